//! How to take a capture, how it was taken, and why it could not be.

use std::io;
use std::time::Duration;

use crate::memory::ReadError;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::ProcessError;
use crate::python::pause::PythonPauseError;

/// How to take a capture.
#[derive(Debug, Clone, Copy)]
pub struct CaptureOptions {
    /// Whether the target is paused for the copy. Without a pause the capture is not quite consistent.
    pub pausing: bool,
    /// The most memory, in bytes, that the capture and everything computed from it may take; by default half
    /// of what is available.
    pub max_memory: Option<u64>,
    /// Called with the PID of the target when a collection delays the capture. The target is not paused then.
    pub on_delay: Option<fn(i32, Delay)>,
}

/// What delays a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// A garbage collection has been running for a while; the capture waits for its end.
    Waiting,
    /// It did not end within this time, so the capture was taken during it.
    Unfinished(Duration),
}

impl Default for CaptureOptions {
    fn default() -> Self {
        CaptureOptions { pausing: true, max_memory: None, on_delay: None }
    }
}

/// How a capture was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureFacts {
    /// How long the target was paused for the copy.
    pub pause: Duration,
    /// How long it was paused in all, including pauses given up because a collection was running.
    pub paused: Duration,
    /// Bytes that were copied; none of a core file.
    pub copied: u64,
    /// Bytes that were left out, because no object is there: the bodies of arrays and strings, native blocks.
    pub left_out: u64,
    /// The resident set of the target, in bytes; zero if it is not known, as for a core file.
    pub rss: u64,
    /// Whether a garbage collection was running that did not finish in time. Objects that it has found
    /// unreachable may be missing then.
    pub collecting: bool,
}

/// Why a capture could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It could not be paused.
    #[error(transparent)]
    Pause(#[from] PythonPauseError),
    /// Its memory cannot be read.
    #[error("cannot read the memory of the process: {0}")]
    Read(#[from] ReadError),
    /// A copy of its memory would take more than may be used.
    #[error("its heap takes {} MB to look at, more than the {} MB that may be used", needed >> 20, allowed >> 20)]
    TooLarge {
        /// The bytes needed.
        needed: u64,
        /// The bytes that may be used.
        allowed: u64,
    },
    /// It grew faster than room could be made for it.
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
            CaptureError::Restless | CaptureError::NoMemory(_) => None,
        }
    }
}
