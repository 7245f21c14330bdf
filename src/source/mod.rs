//! Where a heap comes from.
//!
//! Commands ask about the objects of a program: which exist, why they are alive, which cycles they form. They
//! ask a [`Source`]: a [live process](live), a [snapshot file](mod@file) or a [core file](mod@core). Only the source knows whether
//! anything is paused, what is captured and which file is read, so a command works on every source.
//!
//! | | |
//! |---|---|
//! | [`mod@core`] | a core file: the memory of a process that died |
//! | [`file`] | a snapshot file: the heap of one capture |
//! | [`live`] | a running process: pauses it and captures its memory |
//! | [`mod@facts`] | what a snapshot file states about a heap |
//! | [`heap`] | the answer of a source: the objects of one moment, with the names of their roots |
//!
//! ```text
//!                 ┌─▶ heap          objects, references, retained sizes ──▶ inspect ──▶ render
//! PID ──▶ Source ─┼─▶ summary       objects counted by type
//!                 ├─▶ composition   the resident set divided up
//!                 └─▶ threads       the stack of every thread
//! ```
//!
//! **A new source** is a file in this folder with an `impl Source`, and an argument in `cli::args::source`.
//! It refuses what it cannot answer with a [`SourceError`] that says so.

pub mod core;
pub mod facts;
pub mod file;
pub mod heap;
pub mod live;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

pub use self::core::{CoreFile, CoreFileError};
pub use file::SnapshotFile;
pub use heap::{Heap, Provenance};
pub use live::{LiveProcess, Moment};

use crate::heap::{Composition, CompositionError, Grouping, HeapError, Owner, Summary};
use crate::inspect::waste::{Waste, waste};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::core::death::Death;
use crate::process::text::shown_path;
use crate::process::{Process, ProcessError};
use crate::python::objects::Disclosure;
use crate::python::thread_dump::{ThreadDump, ThreadDumpError};
use crate::python::{Python, PythonError, SourceLines, Version};
use crate::snapshot::FileError;

/// Something that can be asked about the memory of one Python process.
///
/// An answer describes the moment of the question, if the source has more than one moment.
pub trait Source: Debug {
    /// The process that it describes.
    fn identity(&self) -> &Identity;

    /// All objects with their references, and everything computed from them.
    ///
    /// # Errors
    /// The heap cannot be captured, or its objects cannot be found.
    fn heap(&self) -> Result<Heap<'_>, SourceError>;

    /// All objects, only counted: by type, and by module if `by` asks for it. Takes a fraction of the time of
    /// [`heap`](Self::heap).
    ///
    /// # Errors
    /// As for [`heap`](Self::heap).
    fn summary(&self, by: Grouping) -> Result<Summary, SourceError>;

    /// The parts of the resident set.
    ///
    /// # Errors
    /// As for [`heap`](Self::heap), and if the kernel does not say which pages are in memory.
    fn composition(&self) -> Result<Composition, SourceError>;

    /// The stack of every thread.
    ///
    /// # Errors
    /// The process cannot be paused, or its threads cannot be read, or the source has no local variables.
    fn threads(&self, locals: Option<Disclosure>) -> Result<ThreadDump, SourceError>;

    /// What is needless in a heap of this source. `disclosure` says whether values may be shown.
    ///
    /// # Errors
    /// It is not known.
    fn waste(&self, heap: &Heap<'_>, disclosure: Disclosure) -> Result<Waste, SourceError> {
        let found = waste(&heap.analysis, heap.names(), disclosure);
        found.ok_or(SourceError::NoMemory)
    }

    /// The time on the process's monotonic clock; `None` if it is in another time namespace.
    fn monotonic_clock(&self) -> Option<Duration>;

    /// The name of its machine; empty if that is not known.
    fn host(&self) -> String;

    /// The lines of source code of its frames, if its files are there.
    fn source_lines(&self) -> Option<SourceLines> {
        None
    }

    /// Why the process died, if it did.
    fn death(&self) -> Option<Death> {
        None
    }
}

/// The process that a source describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its PID.
    pub pid: i32,
    /// When it started, in clock ticks since boot; together with the PID this identifies a process.
    pub started: u64,
    /// Its command line.
    pub command: String,
    /// The program that it runs.
    pub executable: String,
    /// The version of its interpreter.
    pub version: Version,
}

impl Identity {
    /// The identity of a running process.
    ///
    /// # Errors
    /// It has ended.
    pub fn of(process: &Process, python: &Python) -> Result<Identity, ProcessError> {
        Ok(Identity {
            pid: process.pid(),
            started: process.started(),
            command: process.command()?,
            executable: shown_path(&process.executable()?),
            version: python.version,
        })
    }

    /// The same in the form that a summary has.
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
    /// It has no Python that we understand.
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
    /// The core file cannot be read, or has no Python that we understand.
    #[error("cannot read {}: {error}", path.display())]
    Core {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: CoreFileError,
    },
    /// Only the graph of the objects is there.
    #[error("the memory of this heap is not there")]
    NoMemory,
    /// The file does not contain the answer.
    #[error("{} does not say {what}: that was not known when it was written", path.display())]
    NotKept {
        /// The file.
        path: PathBuf,
        /// What was asked for.
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
            SourceError::File { .. }
            | SourceError::Core { .. }
            | SourceError::NoMemory
            | SourceError::NotKept { .. } => None,
        }
    }
}
