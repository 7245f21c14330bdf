//! Snapshots: what one capture showed, kept in a file.
//!
//! | | |
//! |---|---|
//! | [`container`] | the file format: named columns, compressed and checked |

pub mod container;

pub use container::{FORMAT_VERSION, FileError};
