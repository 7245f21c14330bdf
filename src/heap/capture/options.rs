//! How a capture is to be taken, how it was made, and why there is none.

use std::io;
use std::time::Duration;

use crate::memory::ReadError;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::ProcessError;
use crate::python::pause::PythonPauseError;

/// How a capture is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Whether the target is paused meanwhile. Without a pause the parts do not fit together exactly.
    pub pausing: bool,
    /// How much memory the capture, and what is made of it, may take, in bytes; by default half of what
    /// is available.
    pub max_memory: Option<u64>,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        CaptureOptions { pausing: true, max_memory: None }
    }
}

/// How a capture was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureFacts {
    /// How long the target stood still while it was copied.
    pub pause: Duration,
    /// How long it stood still in all, with the pauses that fell on a collection and were left.
    pub paused: Duration,
    /// Bytes that were copied.
    pub copied: u64,
    /// Bytes of large buffers that hold no objects and were left out.
    pub left_out: u64,
    /// The resident set of the target, in bytes.
    pub rss: u64,
}

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It could not be paused.
    #[error(transparent)]
    Pause(#[from] PythonPauseError),
    /// Its memory cannot be read.
    #[error("cannot read the memory of the process: {0}")]
    Read(#[from] ReadError),
    /// It has more memory than may be used for a copy of it.
    #[error("its heap takes {} MB to look at, more than the {} MB that may be used", needed >> 20, allowed >> 20)]
    TooLarge {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that may be used.
        allowed: u64,
    },
    /// No moment was found in which the collector's lists could be looked at.
    #[error("its garbage collector is at work all the time")]
    Collecting,
    /// It grew more quickly than a place for it could be made.
    #[error("it grows too quickly to be captured")]
    Restless,
    /// There is no memory for the copy.
    #[error("no memory for a copy of the heap: {0}")]
    NoMemory(#[source] io::Error),
}

impl Obstructed for CaptureError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            CaptureError::Process(error) => error.obstacle(),
            CaptureError::Pause(error) => error.obstacle(),
            CaptureError::Read(error) => error.obstacle(),
            &CaptureError::TooLarge { needed, allowed } => {
                Obstacle::TooLarge { needed, allowed }.of_target()
            }
            CaptureError::Collecting | CaptureError::Restless | CaptureError::NoMemory(_) => None,
        }
    }
}
