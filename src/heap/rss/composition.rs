//! The parts of the resident set of a process, and which part dominates.
//!
//! Every byte is in one part, so the parts add up to the resident set.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::malloc::known_allocator;
use crate::heap::analysis::HeapError;
use crate::heap::capture::CaptureError;
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::Share;

/// Why the resident set of a process could not be divided up.
#[derive(Debug, thiserror::Error)]
pub enum CompositionError {
    /// It could not be captured, or its objects cannot be found.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The kernel does not say which pages are in memory.
    #[error("cannot tell which pages of the process are in memory: {0}")]
    Residency(#[source] io::Error),
}

impl From<CaptureError> for CompositionError {
    fn from(error: CaptureError) -> Self {
        HeapError::from(error).into()
    }
}

impl Obstructed for CompositionError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            CompositionError::Heap(error) => error.obstacle(),
            CompositionError::Residency(_) => None,
        }
    }
}

/// The parts of the resident set, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Composition {
    /// The resident set: the sum of all parts.
    pub rss: u64,
    /// How much of it no other process maps, and how much counts if each page is divided by the number of
    /// processes that map it.
    pub share: Share,
    /// Memory in use by Python objects.
    pub python: PythonPart,
    /// Free memory in Python's own allocator.
    pub pymalloc: PymallocPart,
    /// The C library's heap, without Python's part.
    pub malloc: MallocPart,
    /// Stacks of threads.
    pub stacks: u64,
    /// Writable data of programs: their variables.
    pub program_data: u64,
    /// Mapped files: code, and read-only data.
    pub files: u64,
    /// Memory shared with other processes, or made for sharing.
    pub shared: u64,
    /// Anonymous memory of unknown use.
    pub other: u64,
    /// Figures that are not parts of the resident set.
    pub facts: Facts,
}

/// Memory in use by Python objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PythonPart {
    /// Blocks of pymalloc that hold objects.
    pub small_objects: u64,
    /// Other blocks of pymalloc in use: small buffers of objects.
    pub small_buffers: u64,
    /// Blocks of malloc that hold objects, including those with mappings of their own.
    pub large_objects: u64,
    /// Blocks of malloc that objects point to, including those with mappings of their own.
    pub large_buffers: u64,
}

/// Memory that pymalloc has and that is not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PymallocPart {
    /// Free blocks in used pools.
    pub in_used_pools: u64,
    /// Free pools, in arenas with used pools.
    pub free_pools: u64,
    /// Headers of pools, and remainders too small for a block.
    pub overhead: u64,
}

/// Memory of malloc that is not Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MallocPart {
    /// In use by others: libraries, extension modules, the interpreter itself.
    pub others: u64,
    /// The part of that in blocks with mappings of their own.
    pub others_mapped: u64,
    /// Free blocks: in bins, and in lists of small ones.
    pub free: u64,
    /// Free memory at the end of arenas.
    pub top: u64,
}

/// The name of an allocator, of those that are known.
pub type AllocatorName = &'static str;

/// Further figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The bytes that `malloc_trim(0)` would return.
    pub trimmable: u64,
    /// The number of pymalloc's arenas.
    pub python_arenas: u64,
    /// The number of blocks in use in them.
    pub python_blocks: u64,
    /// The number of arenas of glibc's malloc; `None` if they were not found.
    pub malloc_arenas: Option<u64>,
    /// Bytes of malloc's heap that could not be read; they count as used by others.
    pub malloc_unread: u64,
    /// Another allocator, if the process has one.
    #[serde(deserialize_with = "allocator")]
    pub other_allocator: Option<AllocatorName>,
    /// How long the process was paused.
    pub pause: Duration,
    /// The bytes copied in the pause.
    pub copied: u64,
}

/// An allocator by its name in a file; one that is not known is none.
fn allocator<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static str>, D::Error> {
    let name = Option::<String>::deserialize(from)?;
    Ok(name.as_deref().and_then(known_allocator))
}

/// The largest part of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Live objects and their buffers.
    LivePython,
    /// Blocks of malloc that do not belong to Python objects.
    Native,
    /// Free memory that the C library keeps and could return.
    Retention,
    /// Free memory that Python's allocator cannot return, because there are objects in between.
    Fragmentation,
    /// Anonymous mappings that belong to no allocator that is known.
    Mappings,
    /// None of these stands out.
    Mixed,
}

/// A verdict needs at least this part of the memory that is not mapped from files.
const VERDICT_LEAST: f64 = 0.3;
/// Anything else mentioned needs at least this part of it.
const WORTH_A_WORD: f64 = 0.2;

impl Composition {
    /// Whether it is that of a core file, which says nothing about residency: `rss` is then what the core has.
    pub fn is_of_core(&self) -> bool {
        self.facts.copied == 0 && self.facts.pause.is_zero()
    }

    /// Memory in use by Python.
    pub fn live_python(&self) -> u64 {
        let PythonPart { small_objects, small_buffers, large_objects, large_buffers } = self.python;
        small_objects + small_buffers + large_objects + large_buffers
    }

    /// Blocks of malloc that do not belong to Python objects.
    pub fn native(&self) -> u64 {
        self.malloc.others
    }

    /// Free memory in pymalloc.
    pub fn free_in_pymalloc(&self) -> u64 {
        self.pymalloc.in_used_pools + self.pymalloc.free_pools
    }

    /// The part of the resident set that other processes map as well.
    pub fn mapped_by_others(&self) -> u64 {
        self.rss.saturating_sub(self.share.uss)
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

    /// Whether every figure can be that of a process: then no sum of them overflows.
    pub fn is_plausible(&self) -> bool {
        /// More than there is in an address space.
        const LARGEST: u64 = 1 << 56;
        let PythonPart { small_objects, small_buffers, large_objects, large_buffers } = self.python;
        let PymallocPart { in_used_pools, free_pools, overhead } = self.pymalloc;
        let MallocPart { others, others_mapped, free, top } = self.malloc;
        let Composition { rss, share, stacks, program_data, files, shared, other, facts, .. } =
            *self;
        let python = [small_objects, small_buffers, large_objects, large_buffers];
        let pymalloc = [in_used_pools, free_pools, overhead];
        let malloc = [others, others_mapped, free, top, facts.malloc_unread, facts.trimmable];
        let rest =
            [rss, share.pss, share.uss, stacks, program_data, files, shared, other, facts.copied];
        let all = python.into_iter().chain(pymalloc).chain(malloc).chain(rest);
        all.into_iter().all(|bytes| bytes <= LARGEST)
    }

    /// The largest part of the memory, and its size. Mapped files are ignored, because they are there
    /// whatever a program does.
    pub fn verdict(&self) -> (Verdict, u64) {
        let most = self.candidates().into_iter().max_by_key(|candidate| candidate.1);
        most.filter(|most| self.is_part(most.1, VERDICT_LEAST)).unwrap_or((Verdict::Mixed, 0))
    }

    /// The other large parts of the memory, largest first.
    pub fn besides(&self) -> Vec<(Verdict, u64)> {
        let (verdict, _) = self.verdict();
        let mut others = self.candidates().to_vec();
        others.retain(|other| other.0 != verdict && self.is_part(other.1, WORTH_A_WORD));
        others.sort_by_key(|other| std::cmp::Reverse(other.1));
        others
    }

    fn candidates(&self) -> [(Verdict, u64); 5] {
        [
            (Verdict::LivePython, self.live_python()),
            (Verdict::Native, self.native()),
            (Verdict::Retention, self.facts.trimmable),
            (Verdict::Fragmentation, self.free_in_pymalloc()),
            (Verdict::Mappings, self.other),
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
        sum.other = 240;
        assert_eq!(sum.verdict(), (Verdict::Mappings, 240));
    }
}
