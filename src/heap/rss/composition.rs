//! The parts of the resident set of a process, and which part dominates.
//!
//! Every byte is in one part, so the parts add up to the resident set.

use std::io;
use std::time::Duration;

use crate::heap::analysis::HeapError;
use crate::obstacle::{Obstructed, Obstruction};

/// Why a process's memory could not be divided up.
#[derive(Debug, thiserror::Error)]
pub enum CompositionError {
    /// There is no capture of it, or its objects cannot be found.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The kernel does not say which pages are in memory.
    #[error("cannot tell which pages of the process are in memory: {0}")]
    Residency(#[source] io::Error),
}

impl Obstructed for CompositionError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            CompositionError::Heap(error) => error.obstacle(),
            CompositionError::Residency(_) => None,
        }
    }
}

/// What the resident set is made of, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Composition {
    /// The resident set: the sum of all parts.
    pub rss: u64,
    /// What lives in Python.
    pub python: PythonPart,
    /// What is free in Python's own allocator.
    pub pymalloc: PymallocPart,
    /// The C library's heap, without what is Python's.
    pub malloc: MallocPart,
    /// Stacks of threads.
    pub stacks: u64,
    /// Data of programs: their variables.
    pub program_data: u64,
    /// Mapped files: code, and data that is read only.
    pub files: u64,
    /// Memory shared with other processes, or made to be.
    pub shared: u64,
    /// Anonymous memory of which nothing is known.
    pub other: u64,
    /// Counts that are no bytes.
    pub facts: Facts,
}

/// Memory in use by Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PythonPart {
    /// Blocks of pymalloc that hold objects.
    pub small_objects: u64,
    /// Other blocks of pymalloc in use: small buffers of objects.
    pub small_buffers: u64,
    /// Blocks of malloc that hold objects, those with mappings of their own included.
    pub large_objects: u64,
    /// Blocks of malloc that objects point to, likewise.
    pub large_buffers: u64,
}

/// Memory that pymalloc has and nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PymallocPart {
    /// Free blocks in pools that are used.
    pub in_used_pools: u64,
    /// Free pools, in arenas that have others.
    pub free_pools: u64,
    /// Heads of pools, and what is too little for a block.
    pub overhead: u64,
}

/// Memory of malloc that is not Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MallocPart {
    /// In use by others: libraries, extension modules, the interpreter itself.
    pub others: u64,
    /// The part of that which is in blocks with mappings of their own.
    pub others_mapped: u64,
    /// Free blocks: in bins, and in lists of small ones.
    pub free: u64,
    /// Free at the end of arenas.
    pub top: u64,
}

/// What else was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What `malloc_trim(0)` would give back, in bytes.
    pub trimmable: u64,
    /// How many arenas pymalloc has.
    pub python_arenas: u64,
    /// How many blocks in them are in use.
    pub python_blocks: u64,
    /// How many arenas glibc's malloc has; `None` where it was not found.
    pub malloc_arenas: Option<u64>,
    /// Bytes of malloc's heap that could not be read, and are counted as used by others.
    pub malloc_unread: u64,
    /// Another allocator that is there.
    pub other_allocator: Option<&'static str>,
    /// How long the process stood still.
    pub pause: Duration,
    /// How much was copied meanwhile, in bytes.
    pub copied: u64,
}

/// What most of the memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Objects that live, and their buffers.
    LivePython,
    /// Blocks of malloc that are no Python object's.
    Native,
    /// Memory that the C library keeps and would give back.
    Retention,
    /// Memory that Python's allocator cannot give back because there are objects between.
    Fragmentation,
    /// None of these stands out.
    Mixed,
}

/// No verdict is given on less than this part of what is not mapped from files.
const VERDICT_LEAST: f64 = 0.3;
/// What is besides worth a word is no less than this part of it.
const WORTH_A_WORD: f64 = 0.2;

impl Composition {
    /// What Python uses.
    pub fn live_python(&self) -> u64 {
        let PythonPart { small_objects, small_buffers, large_objects, large_buffers } = self.python;
        small_objects + small_buffers + large_objects + large_buffers
    }

    /// What malloc has given to others than Python's objects.
    pub fn native(&self) -> u64 {
        self.malloc.others
    }

    /// What is free in pymalloc.
    pub fn free_in_pymalloc(&self) -> u64 {
        self.pymalloc.in_used_pools + self.pymalloc.free_pools
    }

    /// The sum of all parts.
    pub fn sum(&self) -> u64 {
        let PymallocPart { in_used_pools, free_pools, overhead } = self.pymalloc;
        let MallocPart { others, free, top, .. } = self.malloc;
        let parts = [
            self.live_python(),
            in_used_pools,
            free_pools,
            overhead,
            others,
            free,
            top,
            self.stacks,
            self.program_data,
            self.files,
            self.shared,
            self.other,
        ];
        parts.iter().sum()
    }

    /// What most of the memory is, and how much that is. Mapped files are left out of account: whatever
    /// a program does, they are there.
    pub fn verdict(&self) -> (Verdict, u64) {
        let most = self.candidates().into_iter().max_by_key(|candidate| candidate.1);
        most.filter(|most| self.is_part(most.1, VERDICT_LEAST)).unwrap_or((Verdict::Mixed, 0))
    }

    /// What else is a good part of the memory, the most first.
    pub fn besides(&self) -> Vec<(Verdict, u64)> {
        let (verdict, _) = self.verdict();
        let mut others = self.candidates().to_vec();
        others.retain(|other| other.0 != verdict && self.is_part(other.1, WORTH_A_WORD));
        others.sort_by_key(|other| std::cmp::Reverse(other.1));
        others
    }

    fn candidates(&self) -> [(Verdict, u64); 4] {
        [
            (Verdict::LivePython, self.live_python()),
            (Verdict::Native, self.native()),
            (Verdict::Retention, self.facts.trimmable),
            (Verdict::Fragmentation, self.free_in_pymalloc()),
        ]
    }

    fn is_part(&self, bytes: u64, least: f64) -> bool {
        bytes as f64 >= least * self.rss.saturating_sub(self.files) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_something_that_stands_out() {
        let mut sum = Composition { rss: 1000, files: 400, ..Composition::default() };
        sum.python.small_objects = 170;
        assert_eq!(sum.verdict(), (Verdict::Mixed, 0));
        sum.python.large_buffers = 30;
        assert_eq!(sum.verdict(), (Verdict::LivePython, 200));
        sum.malloc.others = 210;
        assert_eq!(sum.verdict(), (Verdict::Native, 210));
        sum.pymalloc.free_pools = 220;
        assert_eq!(sum.verdict(), (Verdict::Fragmentation, 220));
        sum.facts.trimmable = 230;
        assert_eq!(sum.verdict(), (Verdict::Retention, 230));
    }
}
