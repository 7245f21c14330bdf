//! What leakspy and its guardian say to each other: one line of JSON each.
//!
//! The guardian (see [`guardian`](crate::guardian::spawn)) is asked once, by a [`Request`], and
//! then reports until it has ended. What it reports is raw: addresses, not names.

use serde::{Deserialize, Serialize};

use crate::guardian::traced_threads::TraceError;
use crate::process::breakpoint::Way;
use crate::python::RawFrame;

/// What the guardian is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The process to sample.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: another process with its PID is not
    /// to be touched.
    pub started: u64,
    /// Samples a second.
    pub rate: f64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
}

/// What the guardian reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// It has attached and samples from now on.
    Started {
        /// The way in which breakpoints are set.
        way: Way,
    },
    /// It has looked.
    Look(Look),
    /// Nothing of the guardian's is left in the target.
    Ended(End),
}

/// Why the guardian ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The target ended.
    TargetEnded,
    /// The target replaced its program (`execve`).
    Replaced,
    /// It may not trace this thread.
    Denied {
        /// The thread.
        tid: i32,
    },
    /// There are no hardware breakpoints to be had.
    NoBreakpoints {
        /// What the kernel said.
        why: String,
    },
    /// Something else went wrong.
    Failed {
        /// What.
        why: String,
    },
}

impl From<TraceError> for End {
    fn from(error: TraceError) -> End {
        match error {
            TraceError::Ended => End::TargetEnded,
            TraceError::Replaced => End::Replaced,
            TraceError::Denied { tid } => End::Denied { tid },
            TraceError::Failed { why } => End::Failed { why },
        }
    }
}

/// A look at the target: a while in which its allocations were counted. Times are in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// How much of the target's own time it stands for.
    pub stands_for: u64,
    /// How long the target stood still in it, for stops and for counted hits.
    pub still: u64,
    /// How far its own time may be off, and so all that was counted, relative to it.
    pub unsure: f64,
    /// Allocations in it.
    pub hits: u64,
    /// The samples, in order.
    pub samples: Vec<Sample>,
}

/// One allocation that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Our number of the thread.
    pub tid: i32,
    /// The thread's `pthread_t`, by which Python knows it.
    pub pthread: u64,
    /// Which of the allocator's functions was called.
    pub call: Call,
    /// How many bytes were asked for, if that could be found out.
    pub bytes: Option<u64>,
    /// Where the function would have returned to: the C function that asked.
    pub caller: u64,
    /// Whether another of the functions asked, on behalf of a call that is counted by itself.
    pub inner: bool,
    /// How many allocations it stands for.
    pub stands_for: f64,
    /// How long the thread stood still for it, in nanoseconds.
    pub pause: u64,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is there to its outermost frame.
    pub complete: bool,
}

/// The allocator's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// `malloc(ctx, size)`.
    Malloc,
    /// `calloc(ctx, count, size)`.
    Calloc,
    /// `realloc(ctx, block, size)`.
    Realloc,
}
