//! Where a heap comes from.
//!
//! The commands ask about the objects of a program: which there are, why they live, in which cycles. What they
//! ask is a [`Source`]; today that is a [live process](live). Only a source knows whether anything is paused,
//! what is captured and which file is read, so a command that works on one source works on all of them.
//!
//! | | |
//! |---|---|
//! | [`file`] | a snapshot file: what one capture showed |
//! | [`live`] | a running process: pauses it and captures its memory |
//! | [`heap`] | what a source gives: the objects of one moment, with the names of their roots |
//!
//! ```text
//!                 ┌─▶ heap          objects, references, retained sizes ──▶ inspect ──▶ render
//! PID ──▶ Source ─┼─▶ summary       objects counted by type
//!                 ├─▶ composition   the resident set divided up
//!                 └─▶ threads       the stack of every thread
//! ```
//!
//! **A new source** is a file in this folder with an `impl Source`, and an argument in
//! `cli::args::source`. What it cannot answer it refuses with a [`SourceError`] that says so.

pub mod file;
pub mod heap;
pub mod live;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

pub use file::SnapshotFile;
pub use heap::{Heap, Provenance};
pub use live::LiveProcess;

use crate::heap::{Composition, CompositionError, Grouping, HeapError, Owner, Summary};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::ProcessError;
use crate::python::thread_dump::{ThreadDump, ThreadDumpError};
use crate::python::{PythonError, Version};
use crate::snapshot::FileError;

/// Something that can be asked about the memory of one Python process.
///
/// Each answer is of the moment in which it is asked for, as far as the source has more than one moment.
pub trait Source: Debug {
    /// Which process it is.
    fn identity(&self) -> &Identity;

    /// All objects with their references, and all that is computed of them.
    ///
    /// # Errors
    /// The heap cannot be captured, or its objects cannot be found.
    fn heap(&self) -> Result<Heap<'_>, SourceError>;

    /// All objects, only counted: by type, and by module if `by` asks for it. Takes a fraction of the time of
    /// [`heap`](Self::heap).
    ///
    /// # Errors
    /// As of [`heap`](Self::heap).
    fn summary(&self, by: Grouping) -> Result<Summary, SourceError>;

    /// What the resident set is made of.
    ///
    /// # Errors
    /// As of [`heap`](Self::heap), and if it is not known which pages are in memory.
    fn composition(&self) -> Result<Composition, SourceError>;

    /// The stack of every thread.
    ///
    /// # Errors
    /// The process cannot be paused, or its threads cannot be read.
    fn threads(&self) -> Result<ThreadDump, SourceError>;

    /// What the monotonic clock said in the process; `None` if it runs in another time namespace.
    fn monotonic_clock(&self) -> Option<Duration>;
}

/// Which process a source is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its PID.
    pub pid: i32,
    /// When it started, in clock ticks since boot: with the PID, the identity of a process.
    pub started: u64,
    /// Its command line.
    pub command: String,
    /// The program that it runs.
    pub executable: String,
    /// The version of its interpreter.
    pub version: Version,
}

impl Identity {
    /// The same for figures.
    pub fn owner(&self) -> Owner {
        Owner { pid: self.pid, command: self.command.clone(), python: self.version.to_string() }
    }
}

/// Why a source has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No Python was understood in it.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// Its heap cannot be captured or understood.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// Its resident set cannot be divided up.
    #[error(transparent)]
    Composition(#[from] CompositionError),
    /// Its threads cannot be read.
    #[error(transparent)]
    Threads(#[from] ThreadDumpError),
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
    },
    /// The file does not say that.
    #[error("{} does not say {what}: a snapshot has only the objects", path.display())]
    NotKept {
        /// The file.
        path: PathBuf,
        /// What was asked.
        what: &'static str,
    },
}

impl Obstructed for SourceError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            SourceError::Process(error) => error.obstacle(),
            SourceError::Python(error) => error.obstacle(),
            SourceError::Heap(error) => error.obstacle(),
            SourceError::Composition(error) => error.obstacle(),
            SourceError::Threads(error) => error.obstacle(),
            SourceError::File { .. } | SourceError::NotKept { .. } => None,
        }
    }
}
