//! What keeps leakspy from its work, where a person can do something about it.
//!
//! Every error that a command can meet implements [`Obstructed`], next to its own definition and with a
//! `match` over all its variants. So the compiler demands an answer when an error or a variant is added:
//! `cli::errors::CommandError` is made of nothing else. The words for a person, which depend on the machine,
//! are in `cli::errors::advice`.
//!
//! This module does not depend on the others: an obstacle is numbers and words.

use std::error::Error;
use std::io;

/// A reason to give up that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing has this PID.
    NoSuchProcess,
    /// It has ended, but its parent has not collected it.
    Zombie {
        /// The parent's PID.
        parent: i32,
    },
    /// It ended while it was observed.
    Ended,
    /// It runs another program (`execve`) than the one that was observed.
    Replaced,
    /// No CPython was found in it.
    NotPython,
    /// Its CPython is older than any that leakspy knows.
    TooOld {
        /// The version that it reports.
        version: String,
    },
    /// Its CPython is newer than any that leakspy knows.
    TooNew {
        /// The version that it reports.
        version: String,
    },
    /// Its CPython is still starting, or already ending.
    NotRunning,
    /// Another process traces it.
    Traced {
        /// The ID of the tracing thread.
        tracer: i32,
    },
    /// The kernel refused to let us read its memory or trace it.
    Denied,
    /// Its heap needs more memory to analyse than may be used.
    TooLarge {
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// Hardware breakpoints are not available.
    NoBreakpoints {
        /// What the kernel said.
        reason: String,
    },
    /// tracemalloc is off in it.
    NotTracing,
}

impl Obstacle {
    /// This obstacle, in a process whose PID the error knows.
    pub fn of(self, pid: i32) -> Option<Obstruction> {
        Some(Obstruction { obstacle: self, pid: Some(pid) })
    }

    /// This obstacle, in the process that the command was about.
    pub fn of_target(self) -> Option<Obstruction> {
        Some(Obstruction { obstacle: self, pid: None })
    }

    /// The other process or thread that the obstacle names.
    pub fn other(&self) -> Option<i32> {
        match *self {
            Obstacle::Zombie { parent } => Some(parent),
            Obstacle::Traced { tracer } => Some(tracer),
            _ => None,
        }
    }
}

/// An obstacle, and the process that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstruction {
    /// The obstacle.
    pub obstacle: Obstacle,
    /// The process, if the error knows it; otherwise the one that the command was about.
    pub pid: Option<i32>,
}

impl Obstruction {
    /// The same obstacle, in this process.
    pub fn with_pid(self, pid: i32) -> Obstruction {
        Obstruction { pid: Some(pid), ..self }
    }
}

/// An error that says which obstacle is behind it.
///
/// There is no default: every new error needs a decision, even if the answer is `None`. Implementations match
/// every variant by name, without `_`, so that every new variant needs one too.
pub trait Obstructed: Error + Send + Sync + 'static {
    /// The obstacle behind this error; `None` if the error's own text says everything.
    fn obstacle(&self) -> Option<Obstruction>;
}

/// Whether the only problem with a process is that it is not a Python.
pub fn is_not_python(error: &impl Obstructed) -> bool {
    error.obstacle().is_some_and(|met| met.obstacle == Obstacle::NotPython)
}

/// Errors of our own files and pipes: they say nothing about a target.
impl Obstructed for io::Error {
    fn obstacle(&self) -> Option<Obstruction> {
        None
    }
}

impl Obstructed for serde_json::Error {
    fn obstacle(&self) -> Option<Obstruction> {
        None
    }
}
