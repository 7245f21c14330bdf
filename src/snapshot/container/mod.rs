//! A file of named columns: lists of numbers and stretches of bytes, compressed, each with a checksum.
//!
//! ```text
//! head │ column: block block … │ column │ … │ directory │ tail
//! ```
//!
//! | | |
//! |---|---|
//! | [`layout`] | head, tail and directory, byte by byte |
//! | [`varint`] | numbers in as few bytes as they need |
//! | [`writer`] | writes a file beside its destination and renames it when it is complete |
//! | [`reader`] | maps a file, checks it and reads its columns in bounded memory |
//! | [`error`] | the errors of files |
//!
//! It knows nothing of heaps. All numbers are little-endian. The directory stands at the end, so that a file
//! is written in one pass; the tail says where it is, and a file without a tail is known to be incomplete. A
//! reader skips columns that it does not know, and the name of a column never changes its meaning: anything
//! new gets a new name. So the version of the format only rises when older readers cannot read a file at all.

pub mod error;
mod layout;
pub mod reader;
mod varint;
pub mod writer;

pub use error::FileError;
pub use layout::{Encoding, FORMAT_VERSION};
pub use reader::{Reader, Values};
pub use writer::{Column, Writer};

/// The difference between two numbers, small in either direction; [`with_difference`] reverses it.
pub use varint::{apply as with_difference, difference};
