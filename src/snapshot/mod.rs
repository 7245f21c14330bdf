//! Snapshots: the heap of one capture, kept in a file.
//!
//! ```text
//! Analysis ──write──▶ container ──▶ file ──▶ container ──load──▶ Analysis
//! ```
//!
//! A file has the finished graph and the words for it, and no byte of the target's memory: types, sizes,
//! references with their names, roots with theirs, dominators, and whatever else the analyses ask. They get
//! the same answers from a file as from the capture behind it.
//!
//! | | |
//! |---|---|
//! | [`container`] | the file format: named columns, compressed and checked |
//! | [`columns`] | the columns and their contents |
//! | [`facts`] | which process and moment a file is from |
//! | [`records`] | roots and roles as JSON |
//! | [`runs`] | positions of objects as small numbers |
//! | [`write`], [`roles`] | from a heap to a file |
//! | [`load`], [`names`] | from a file to a heap |

mod columns;
pub mod container;
pub mod facts;
pub mod load;
mod names;
mod records;
mod roles;
mod runs;
pub mod write;

pub use container::{FORMAT_VERSION, FileError};
pub use facts::Facts;
pub use load::Snapshot;
pub use write::{Heap, write};
