//! The request to the guardian that samples allocations, and its reports.

use serde::{Deserialize, Serialize};

use crate::guardian::report::Work;
use crate::python::RawFrame;

/// The request to sample allocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Samples a second.
    pub rate: f64,
}

impl Work for Sampling {
    const NAME: &'static str = "sample";
    type Seen = Burst;
}

/// A burst: a period in which allocations were counted. Times are in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// How much of the target's own time it stands for.
    pub stands_for: u64,
    /// How long the target stood still during it, for stops and for counted hits.
    pub still: u64,
    /// Where it began.
    pub start: Start,
    /// By which factors what it stands for may be too large and too small: the truth lies between the first
    /// and the second times it.
    pub between: (f64, f64),
    /// What ticks have shown since the burst before.
    pub ticks: Ticked,
    /// Allocations in it.
    pub hits: u64,
    /// The samples, in order.
    pub samples: Vec<Sample>,
}

/// Where a burst began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At a random instant. It stands for a stretch of time.
    #[default]
    Instant,
    /// At a random allocation ([`ticking`](super::ticking)). Each stands for equally many.
    Allocation,
}

/// What ticks have shown. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Ticked {
    /// How long threads could tick.
    pub ran: u64,
    /// How often they did.
    pub number: u64,
    /// How often that was inside the allocator.
    pub inside: u64,
    /// For how much of their own time those ticks stand.
    pub allocating: u64,
}

/// One allocation that was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The thread's number in leakspy's PID namespace.
    pub tid: i32,
    /// The thread's `pthread_t`, by which Python identifies it.
    pub pthread: u64,
    /// Which of the allocator's functions was called.
    pub call: Call,
    /// How many bytes were requested, if known.
    pub bytes: Option<u64>,
    /// The function's return address, in the C function that called it.
    pub caller: u64,
    /// Whether another of the functions made the call, as part of a call that is counted itself.
    pub inner: bool,
    /// How many allocations it stands for.
    pub stands_for: f64,
    /// How long the thread stood still for it, in nanoseconds.
    pub pause: u64,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is complete to its outermost frame.
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
