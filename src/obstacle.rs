//! What keeps leakspy from its work, as far as a person can do something about it.
//!
//! Every error that a command can meet implements [`Obstructed`], beside its own definition and with a
//! `match` over all its variants. So the compiler asks for an answer when an error is added, and again when
//! a variant is: `cli::errors::CommandError` is made of nothing else. The words for a person, which depend
//! on the machine, are `cli::errors::advice`.
//!
//! This module knows nothing of the others: an obstacle is numbers and words.

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
    /// No CPython was found in it.
    NotPython,
    /// Its CPython is older than any that leakspy knows.
    TooOld {
        /// As it calls itself.
        version: String,
    },
    /// Its CPython is newer than any that leakspy knows.
    TooNew {
        /// As it calls itself.
        version: String,
    },
    /// Its CPython is only starting, or already ending.
    NotRunning,
    /// Another process traces it.
    Traced {
        /// The number of the thread that traces.
        tracer: i32,
    },
    /// The kernel refused to let us read its memory or trace it.
    Denied,
    /// Its heap needs more memory to analyse than may be used.
    TooLarge {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that may be used.
        allowed: u64,
    },
    /// The processor's breakpoint registers cannot be had.
    NoBreakpoints {
        /// What the kernel said.
        reason: String,
    },
    /// tracemalloc is off in it.
    NotTracing,
}

impl Obstacle {
    /// This obstacle, met with a process whose PID the error knows.
    pub fn of(self, pid: i32) -> Option<Obstruction> {
        Some(Obstruction { obstacle: self, pid: Some(pid) })
    }

    /// This obstacle, met with the process that was asked for, whichever that was.
    pub fn of_target(self) -> Option<Obstruction> {
        Some(Obstruction { obstacle: self, pid: None })
    }

    /// The process, or a thread of it, that is named beside the target.
    pub fn other(&self) -> Option<i32> {
        match *self {
            Obstacle::Zombie { parent } => Some(parent),
            Obstacle::Traced { tracer } => Some(tracer),
            _ => None,
        }
    }
}

/// An obstacle, and the process that it was met with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstruction {
    /// What is in the way.
    pub obstacle: Obstacle,
    /// The process, where the error tells; otherwise it is the one that was asked for.
    pub pid: Option<i32>,
}

impl Obstruction {
    /// The same obstacle, met with this process.
    pub fn with_pid(self, pid: i32) -> Obstruction {
        Obstruction { pid: Some(pid), ..self }
    }
}

/// An error that says which obstacle is behind it.
///
/// There is no default: who adds an error decides, even if the answer is `None`. Implementations match
/// every variant by name, without `_`, so that a new variant is decided on too.
pub trait Obstructed: Error + Send + Sync + 'static {
    /// The obstacle behind this error; `None` if its own words say all there is to say.
    fn obstacle(&self) -> Option<Obstruction>;
}

/// Whether all that is wrong with a process is that it is not a Python.
pub fn is_not_python(error: &impl Obstructed) -> bool {
    error.obstacle().is_some_and(|met| met.obstacle == Obstacle::NotPython)
}

/// Files and pipes of our own: whose they are is not known, and so nothing is said about a target.
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
