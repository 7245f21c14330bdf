//! The request to the guardian that follows calls that return memory, and its reports.

use serde::{Deserialize, Serialize};

use crate::guardian::report::Work;
use crate::process::glibc::can_be_given;
use crate::python::RawFrame;

/// The request to follow calls to the memory that they return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Functions at whose entry threads always have a breakpoint: at most three.
    pub always: Vec<Function>,
    /// Functions that take turns at the breakpoint that is left.
    pub in_turn: Vec<Function>,
    /// The sizes of chunks of which there are more and more, in bytes: only calls that can have returned one of
    /// them are followed. Empty if they are not known.
    pub sizes: Vec<u64>,
    /// The address of `munmap`, if it is mappings that are followed.
    pub unmap: u64,
}

impl Work for Follow {
    const NAME: &'static str = "follow";
    type Seen = Vec<Block>;
}

impl Follow {
    /// Whether a call for this many bytes is to be followed.
    pub fn wants(&self, bytes: u64) -> bool {
        self.sizes.is_empty() || self.sizes.iter().any(|&chunk| can_be_given(bytes, chunk))
    }
}

/// A function of the C library that returns memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its address.
    pub address: u64,
    /// How it is called.
    pub call: Call,
}

/// How a function is asked for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `malloc(size)`.
    Malloc,
    /// `calloc(count, size)`.
    Calloc,
    /// `realloc(block, size)`.
    Realloc,
    /// `aligned_alloc(alignment, size)` and `memalign(alignment, size)`.
    Aligned,
    /// `posix_memalign(&block, alignment, size)`, which returns an error number.
    PosixMemalign,
    /// `mmap(address, size, …)`.
    Map,
}

impl Call {
    /// How many bytes a call with these arguments asks for.
    pub fn bytes(self, [first, second, third]: [u64; 3]) -> u64 {
        match self {
            Call::Malloc => first,
            Call::Calloc => first.saturating_mul(second),
            Call::Realloc | Call::Aligned | Call::Map => second,
            Call::PosixMemalign => third,
        }
    }
}

/// A block that a call has returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its address.
    pub address: u64,
    /// How many bytes were asked for.
    pub bytes: u64,
    /// How many calls it stands for: itself, and those like it that were let pass.
    pub stands_for: f64,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is complete to its outermost frame.
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_its_size_elsewhere() {
        let of = |call: Call| call.bytes([2, 30, 400]);
        assert_eq!(of(Call::Malloc), 2);
        assert_eq!(of(Call::Calloc), 60);
        assert_eq!([Call::Realloc, Call::Aligned, Call::Map].map(of), [30; 3]);
        assert_eq!(of(Call::PosixMemalign), 400);
    }

    #[test]
    fn calls_that_cannot_have_returned_what_grows_are_not_wanted() {
        let mut work =
            Follow { always: vec![], in_turn: vec![], sizes: vec![32_784, 48], unmap: 0 };
        assert_eq!([32_768, 40, 200, 1 << 20].map(|it| work.wants(it)), [true, true, false, false]);
        work.sizes.clear();
        assert!(work.wants(200));
    }
}
