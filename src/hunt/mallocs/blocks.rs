//! The request to the guardian that follows malloc, and its reports.

use serde::{Deserialize, Serialize};

use crate::guardian::report::Work;
use crate::python::RawFrame;

/// The request to follow calls of the C library's allocator to their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The allocator's functions.
    pub functions: Functions,
}

impl Work for Follow {
    const NAME: &'static str = "follow";
    type Seen = Vec<Block>;
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

/// A block that the C library has returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its address.
    pub address: u64,
    /// How many bytes were asked for.
    pub bytes: u64,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is complete to its outermost frame.
    pub complete: bool,
}
