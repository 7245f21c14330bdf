//! The errors of snapshot files.

use std::io;

use crate::obstacle::{Obstructed, Obstruction};

/// Why a snapshot file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a snapshot.
    #[error("it is not a leakspy snapshot")]
    Foreign,
    /// Its end is missing.
    #[error("the file is incomplete: its end is missing")]
    Incomplete,
    /// A later leakspy wrote it, in a format that this one does not know.
    #[error("a newer leakspy wrote it: its format has version {version}")]
    Newer {
        /// The version of its format.
        version: u32,
    },
    /// Bytes are not as written.
    #[error("the file is damaged: {part} is not as it was written")]
    Damaged {
        /// The damaged part.
        part: String,
    },
    /// A column is missing.
    #[error("the file has no column `{0}`")]
    Missing(&'static str),
    /// The contents of a column contradict the rest.
    #[error("the file contradicts itself: column `{column}` {what}")]
    Contradiction {
        /// The column.
        column: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It would take too much memory.
    #[error("reading it takes {needed} bytes of memory, and {allowed} are allowed")]
    TooLarge {
        /// The bytes needed.
        needed: u64,
        /// The bytes allowed.
        allowed: u64,
    },
}

impl FileError {
    /// A column contradicts the rest.
    pub fn contradiction(column: &str, what: &'static str) -> FileError {
        FileError::Contradiction { column: column.to_owned(), what }
    }

    /// A part is damaged.
    pub(super) fn damaged(part: impl Into<String>) -> FileError {
        FileError::Damaged { part: part.into() }
    }
}

impl Obstructed for FileError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            FileError::Io(error) => error.obstacle(),
            _ => None,
        }
    }
}
