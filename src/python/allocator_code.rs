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
use crate::process::{Symbol, references};

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

/// By what an allocation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A copy of the short path, behind a read of this pointer.
    Pointer(u64),
    /// The function at this address.
    Function(u64),
    /// Any of the functions: they share the code.
    Any,
}

/// Ranges of addresses, in order and apart, and by what the code there is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocatorCode(Vec<(Range<u64>, Route)>);

impl AllocatorCode {
    /// Where ranges overlap, the one that begins last counts.
    fn new(mut ranges: Vec<(Range<u64>, Route)>) -> AllocatorCode {
        ranges.sort_unstable_by_key(|(range, _)| range.start);
        let starts: Vec<u64> = ranges.iter().skip(1).map(|(range, _)| range.start).collect();
        for ((range, _), next) in ranges.iter_mut().zip(starts) {
            range.end = range.end.min(next);
        }
        AllocatorCode(ranges)
    }

    /// The route of the allocation that this instruction makes; `None` if it makes none.
    pub fn route(&self, address: u64) -> Option<Route> {
        let AllocatorCode(ranges) = self;
        let after = ranges.partition_point(|(range, _)| range.start <= address);
        let (range, route) = ranges.get(after.checked_sub(1)?)?;
        (address < range.end).then_some(*route)
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
            let whole =
                |start: u64| (start..start.saturating_add(FUNCTION), Route::Function(start));
            ranges.extend(functions.map(whole));
            return Some(AllocatorCode::new(ranges));
        }
        let named = ["_PyObject_Malloc", "_PyObject_Calloc", "_PyObject_Realloc"];
        let symbols = named.map(|name| self.image.symbol(name));
        let ours = symbols.iter().flatten().filter(|symbol| functions.contains(&symbol.address));
        let whole = |symbol: Symbol| {
            (symbol.address..symbol.address.saturating_add(symbol.size), Route::Any)
        };
        let mut ranges: Vec<_> = ours.copied().map(whole).collect();
        if ranges.len() < functions.len() {
            return None;
        }
        let paths = SHORT_PATHS.iter().filter_map(|name| self.image.symbol(name));
        ranges.extend(paths.map(whole));
        Some(AllocatorCode::new(ranges))
    }

    /// The copies of the short path: what follows each read of one of these tables.
    fn copies<M: Memory>(&self, memory: &M, tables: &[u64]) -> Vec<(Range<u64>, Route)> {
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
        .map(|(next, pointer)| {
            (next.saturating_sub(1)..next.saturating_add(COPY), Route::Pointer(pointer))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_ranges_overlap_the_later_one_counts_and_ends_are_outside() {
        let [first, second, third] = [1, 2, 3].map(Route::Pointer);
        let code = AllocatorCode::new(vec![(40..50, third), (10..20, first), (15..31, second)]);
        let routes = [
            (9, None),
            (10, Some(first)),
            (14, Some(first)),
            (15, Some(second)),
            (30, Some(second)),
            (31, None),
            (49, Some(third)),
            (50, None),
        ];
        for (address, route) in routes {
            assert_eq!(code.route(address), route, "{address}");
        }
        assert_eq!(AllocatorCode::default().route(0), None);
    }
}
