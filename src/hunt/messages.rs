//! What leakspy and the guardian that watches say to each other: one line of JSON each.
//!
//! The guardian is asked once, by a [`Request`], and then reports until it has ended. What it reports
//! is raw: addresses, not names.

use serde::{Deserialize, Serialize};

use super::inserts::growth_counters::Word;
use crate::process::breakpoint::Way;
use crate::profile::messages::End;
use crate::python::RawFrame;

/// What the guardian is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The process to watch.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: another process with its PID is not
    /// to be touched.
    pub started: u64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// The words to watch.
    pub words: Vec<Word>,
    /// How much the target can bear.
    pub limits: Limits,
}

/// What a guardian is to do that follows allocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FollowRequest {
    /// The process.
    pub pid: i32,
    /// When that process started, in clock ticks since boot.
    pub started: u64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// Where the C library's functions are.
    pub functions: Functions,
    /// How much the target can bear.
    pub limits: Limits,
}

/// Functions of the C library, by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Functions {
    /// `malloc(size)`.
    pub malloc: u64,
    /// `calloc(count, size)`.
    pub calloc: u64,
    /// `realloc(block, size)`.
    pub realloc: u64,
    /// `aligned_alloc(alignment, size)`.
    pub aligned_alloc: u64,
}

/// How much watching may cost the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// How often a thread may be stopped in a second, in the long run.
    pub stops_per_s: f64,
    /// For how much of the time a thread may stand still, in the long run: 0.01 is a hundredth.
    pub standstill: f64,
}

/// What the guardian reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// It has attached and watches from now on.
    Started {
        /// The way in which breakpoints are set.
        way: Way,
    },
    /// It has seen something.
    News(News),
    /// Nothing of the guardian's is left in the target.
    Ended(End),
}

/// What was seen since the last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// The growths, in order.
    pub hits: Vec<Hit>,
    /// The blocks that were allocated, in order.
    pub blocks: Vec<Block>,
    /// Words whose object is no more, by their places in the request. They are not watched any longer.
    pub gone: Vec<usize>,
    /// How often a thread was stopped.
    pub stops: u64,
    /// For how long, in nanoseconds, all stops together.
    pub still: u64,
    /// For how long at most, in nanoseconds.
    pub longest: u64,
}

/// A block that the C library has given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its address.
    pub address: u64,
    /// How many bytes were asked for.
    pub bytes: u64,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is there to its outermost frame.
    pub complete: bool,
}

/// One growth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Which word, by its place in the request.
    pub word: usize,
    /// Its value before.
    pub before: u64,
    /// Its value after.
    pub after: u64,
    /// The new instance, if the word counts those.
    pub instance: Option<Instance>,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is there to its outermost frame.
    pub complete: bool,
}

/// An instance that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its address.
    pub address: u64,
    /// Whether it was still there a little later, as far as can be told: another may have taken its place
    /// unseen, while its class was not watched.
    pub is_there: bool,
}
