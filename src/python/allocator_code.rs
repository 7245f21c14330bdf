//! The instructions that make an allocation: a thread that is at one of them is allocating.
//!
//! Such a thread is nearly always on pymalloc's short path, which takes about the same time for every block.
//! So the share of its time that a thread is there is in proportion to how often it allocates.
//!
//! Where the functions are called, they are that code; pymalloc's rare other paths (a new pool) and libc's
//! `malloc` are not, as they take many times as long. Where the compiler has copied the short path to
//! hundreds of places (see [`allocators`](super::allocators)), each copy begins with a read of the table.

use std::ops::Range;

use super::{AllocatorFunctions, Allocators, Python};
use crate::memory::Memory;
use crate::process::references;

/// pymalloc's short path, where the compiler has left it a function of its own.
const SHORT_PATHS: [&str; 4] =
    ["pymalloc_alloc", "pymalloc_alloc.constprop.0", "pymalloc_alloc.isra.0", "pymalloc_realloc"];
/// How far a copy of the short path reaches behind the read of the table, in bytes (in Debian's builds; some
/// copies are shorter).
const COPY: u64 = 140;
/// How far a function without a symbol reaches.
const FUNCTION: u64 = 256;
/// The largest segment that is searched, in bytes.
const LARGEST_SEGMENT: usize = 64 << 20;

/// Ranges of addresses, in order and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocatorCode(Vec<Range<u64>>);

impl AllocatorCode {
    fn new(mut ranges: Vec<Range<u64>>) -> AllocatorCode {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut apart: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => apart.push(range),
            }
        }
        AllocatorCode(apart)
    }

    /// Whether an instruction is part of it.
    pub fn contains(&self, address: u64) -> bool {
        let AllocatorCode(ranges) = self;
        let after = ranges.partition_point(|range| range.start <= address);
        after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|it| address < it.end)
    }
}

impl Python {
    /// The code of these allocators; `None` if it is not pymalloc's own, or not known where it ends. `copied`
    /// says that the compiler has inlined it.
    pub fn allocator_code<M: Memory>(
        &self,
        memory: &M,
        allocators: &Allocators,
        copied: bool,
    ) -> Option<AllocatorCode> {
        if !allocators.is_pymalloc {
            return None;
        }
        let object = &allocators.object;
        let functions = [object.malloc, object.calloc, object.realloc];
        if copied {
            let domains = [object.table, allocators.mem.table];
            let mut ranges = self.copies(memory, &domains);
            ranges.extend(functions.map(|start| start..start.saturating_add(FUNCTION)));
            return Some(AllocatorCode::new(ranges));
        }
        let named = ["_PyObject_Malloc", "_PyObject_Calloc", "_PyObject_Realloc"];
        let symbols = named.map(|name| self.image.symbol(name));
        let ours = symbols.iter().flatten().filter(|symbol| functions.contains(&symbol.address));
        let mut ranges: Vec<_> =
            ours.map(|symbol| symbol.address..symbol.address.saturating_add(symbol.size)).collect();
        if ranges.len() < functions.len() {
            return None;
        }
        let paths = SHORT_PATHS.iter().filter_map(|name| self.image.symbol(name));
        ranges
            .extend(paths.map(|symbol| symbol.address..symbol.address.saturating_add(symbol.size)));
        Some(AllocatorCode::new(ranges))
    }

    /// The copies of the short path: what follows each read of one of these tables.
    fn copies<M: Memory>(&self, memory: &M, tables: &[u64]) -> Vec<Range<u64>> {
        let pointers =
            [AllocatorFunctions::MALLOC, AllocatorFunctions::CALLOC, AllocatorFunctions::REALLOC];
        let words: Vec<u64> = tables
            .iter()
            .flat_map(|table| pointers.map(|offset| table.wrapping_add(offset)))
            .collect();
        let code = self.image.segments().iter().filter(|segment| segment.executable);
        code.flat_map(|segment| {
            let code = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT);
            let code = code.unwrap_or_default();
            references::to_words(&code, segment.address, &words)
        })
        .map(|read| read.saturating_sub(1)..read.saturating_add(COPY))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one_and_their_ends_are_outside() {
        let code = AllocatorCode::new(vec![40..50, 10..20, 15..30, 30..31]);
        assert_eq!(code, AllocatorCode(vec![10..31, 40..50]));
        for (address, inside) in [(9, false), (10, true), (30, true), (31, false), (49, true)] {
            assert_eq!(code.contains(address), inside, "{address}");
        }
        assert!(!code.contains(50));
        assert!(!AllocatorCode::default().contains(0));
    }
}
