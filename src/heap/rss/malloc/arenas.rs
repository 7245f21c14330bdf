//! glibc's arenas, found without symbols.
//!
//! `main_arena` is a `malloc_state` in the C library's data. It is recognized by its bins: 127 heads of
//! doubly linked lists, two words each; the head of an empty list points to itself (as if it were a chunk: 16
//! bytes before). Right before the first head are `top` and `last_remainder`, and before those the ten heads
//! of the fastbins. After the heads come `binmap` (16 bytes), `next` (the arenas form a ring), `next_free`,
//! `attached_threads`, `system_mem` and `max_system_mem`.
//!
//! A thread's arena consists of heaps of up to 64 MiB, aligned to 64 MiB. Each begins with a `heap_info`:
//! `ar_ptr`, `prev`, `size`; in the first heap of an arena the `malloc_state` follows.

use std::borrow::Cow;
use std::ops::Range;

use rustc_hash::FxHashSet;

use super::Stretch;
use crate::heap::rss::residency::Residency;
use crate::memory::{Memory, PAGE, u64_at};
use crate::process::glibc::{ALIGNMENT, FLAGS, LEAST};

/// The number of list heads, and the bytes of each.
const BINS: usize = 127;
const BIN: usize = 16;
/// Offsets after the heads: `next`, and the end of the `malloc_state`.
const NEXT: u64 = 16;
const STATE_END: u64 = 56;
/// Distances before the heads: `top`, and the fastbins.
const TOP: u64 = 16;
const FASTBINS: u64 = 96;
const FASTBIN_COUNT: usize = 10;
/// The maximum distance from the beginning of the `malloc_state` to the heads, in bytes.
const BEFORE_BINS: u64 = 512;
/// The search looks for this many heads in a row that point to themselves.
const EMPTY: usize = 8;
/// The maximum size of program data that is searched, in bytes.
const LARGEST_DATA: u64 = 64 << 20;
/// The maximum number of arenas that are followed.
const MOST_ARENAS: usize = 4096;
/// The alignment and the maximum size of a heap, in bytes.
pub(super) const HEAP: u64 = 64 << 20;
/// The size of `heap_info`: up to 2.34, and from 2.35 on.
const HEAP_INFO: [u64; 2] = [32, 48];

/// The arenas of malloc.
#[derive(Debug, Default)]
pub(crate) struct Arenas {
    pub stretches: Vec<Stretch>,
    /// The first chunk of each fastbin, and the size of its chunks.
    pub fastbins: Vec<(u64, u64)>,
    pub arenas: usize,
}

/// Finds the arenas.
pub(crate) fn find(memory: &impl Memory, residency: &Residency) -> Option<Arenas> {
    let (bins, data) = main_arena(memory, residency)?;
    let ring = ring(memory, bins);
    // The one in the program's data is `main_arena` itself.
    let is_main = |arena: u64| data.contains(&arena) && bins.wrapping_sub(arena) <= BEFORE_BINS;
    let main = ring.iter().copied().find(|&arena| is_main(arena))?;
    let to_bins = bins - main;
    let mut found = Arenas { arenas: ring.len(), ..Arenas::default() };
    found.stretches.extend(main_stretch(memory, residency, bins));
    found.read_fastbins(memory, bins);
    let threads: FxHashSet<u64> = ring.into_iter().filter(|&arena| arena != main).collect();
    for &arena in &threads {
        found.read_fastbins(memory, arena.wrapping_add(to_bins));
    }
    for heap in heaps(residency) {
        found.stretches.extend(heap_stretch(memory, residency, &threads, to_bins, heap));
    }
    found.stretches.sort_by_key(|stretch| stretch.range.start);
    Some(found)
}

/// The address of the first head of `main_arena`, and the data around it.
fn main_arena(memory: &impl Memory, residency: &Residency) -> Option<(u64, Range<u64>)> {
    let mappings = residency.mappings.iter().map(|resident| &resident.mapping);
    let data = mappings.filter(|mapping| {
        let is_data = mapping.inode != 0 && mapping.writable && !mapping.shared;
        is_data && mapping.length() <= LARGEST_DATA
    });
    let name = |path: &std::path::Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libc"))
    };
    let mut data: Vec<_> = data.collect();
    data.sort_by_key(|mapping| !mapping.path.as_deref().is_some_and(name));
    data.into_iter().find_map(|mapping| {
        let length = mapping.length();
        let bytes = match memory.lend(mapping.start, length as usize) {
            Some(bytes) => Cow::Borrowed(bytes),
            None => memory.bytes(mapping.start, length, LARGEST_DATA as usize).ok()?.into(),
        };
        let range = mapping.start..mapping.end;
        bins_in(memory, &bytes, &range).map(|bins| (bins, range))
    })
}

/// The first list head of an arena in these bytes.
fn bins_in(memory: &impl Memory, bytes: &[u8], range: &Range<u64>) -> Option<u64> {
    let is_empty = |place: usize| {
        let itself = range.start.wrapping_add(place as u64).wrapping_sub(16);
        [0, 8].iter().all(|word| u64_at(bytes, place + word) == Some(itself))
    };
    let mut place = 0;
    while place + EMPTY * BIN <= bytes.len() {
        let here = place;
        place += 8;
        if !(0..EMPTY).all(|bin| is_empty(here + bin * BIN)) {
            continue;
        }
        // Lists before these may have chunks.
        let is_head = |place: usize| {
            is_empty(place) || is_linked(memory, range.start.wrapping_add(place as u64))
        };
        let before = (1..BINS).take_while(|bin| here.checked_sub(bin * BIN).is_some_and(is_head));
        let first = here - before.count() * BIN;
        if (0..BINS).all(|bin| is_head(first + bin * BIN)) {
            return range.start.checked_add(first as u64);
        }
    }
    None
}

/// Whether the list with this head has chunks whose links lead back to it.
fn is_linked(memory: &impl Memory, head: u64) -> bool {
    let as_chunk = head.wrapping_sub(16);
    let first = memory.u64(head).unwrap_or_default();
    let last = memory.u64(head.wrapping_add(8)).unwrap_or_default();
    let leads_back = |chunk: u64, link: u64| {
        chunk != as_chunk
            && chunk.is_multiple_of(ALIGNMENT)
            && memory.u64(chunk.wrapping_add(link)) == Ok(as_chunk)
    };
    leads_back(first, 24) && leads_back(last, 16)
}

/// All arenas, along `next`.
fn ring(memory: &impl Memory, bins: u64) -> Vec<u64> {
    let next_of = bins.wrapping_add((BINS * BIN) as u64).wrapping_add(NEXT);
    let mut arenas = Vec::new();
    let Ok(first) = memory.u64(next_of) else { return arenas };
    // The offset of `next` in an arena is the same for all; the right one closes the ring.
    for before in (16..=BEFORE_BINS).step_by(8) {
        let to_next = before + (BINS * BIN) as u64 + NEXT;
        let main = bins.wrapping_sub(before);
        arenas.clear();
        let mut arena = first;
        while arenas.len() < MOST_ARENAS {
            arenas.push(arena);
            if arena == main {
                return arenas;
            }
            match memory.u64(arena.wrapping_add(to_next)) {
                Ok(next) if next != 0 && !arenas.contains(&next) => arena = next,
                _ => break,
            }
        }
    }
    Vec::new()
}

/// The stretch of the main arena: `[heap]`, up to the end of its top chunk.
fn main_stretch(memory: &impl Memory, residency: &Residency, bins: u64) -> Option<Stretch> {
    let top = memory.u64(bins.wrapping_sub(TOP)).ok()?;
    let heap = residency.mappings.iter().map(|r| &r.mapping).filter(|mapping| mapping.brk);
    let first = heap.clone().map(|mapping| mapping.start).min()?;
    let Some(mapping) = heap.clone().find(|mapping| mapping.contains(top)) else {
        // It has grown since its mappings were listed.
        let end = heap.map(|mapping| mapping.end).max().filter(|&end| end <= top)?;
        return Some(Stretch { range: first..end, top: None, is_main: true });
    };
    let size = memory.u64(top.wrapping_add(8)).ok()? & !FLAGS;
    let after = top.checked_add(size).filter(|_| size >= LEAST)?;
    Some(Stretch { range: first..after.min(mapping.end), top: Some(top), is_main: true })
}

/// The addresses at which threads' heaps can begin.
fn heaps(residency: &Residency) -> impl Iterator<Item = u64> {
    let mappings = residency.mappings.iter().map(|resident| &resident.mapping);
    let anonymous = mappings.filter(|mapping| mapping.inode == 0 && mapping.writable);
    anonymous.flat_map(|mapping| {
        let first = mapping.start.next_multiple_of(HEAP);
        (first..mapping.end).step_by(HEAP as usize)
    })
}

/// The stretch of a heap that belongs to one of these arenas.
fn heap_stretch(
    memory: &impl Memory,
    residency: &Residency,
    arenas: &FxHashSet<u64>,
    to_bins: u64,
    heap: u64,
) -> Option<Stretch> {
    let arena = memory.u64(heap).ok().filter(|arena| arenas.contains(arena))?;
    let size = memory.u64(heap.wrapping_add(16)).ok()?;
    let end = heap.checked_add(size).filter(|_| size <= HEAP && size.is_multiple_of(PAGE))?;
    // It may have grown since its mappings were listed.
    let end = end.min(residency.mapping_at(heap)?.mapping.end);
    let start = match HEAP_INFO.iter().find(|&info| heap + info == arena) {
        Some(_) => {
            let state = to_bins + (BINS * BIN) as u64 + STATE_END;
            arena.checked_add(state)?.next_multiple_of(ALIGNMENT)
        }
        // A further heap; its `heap_info` is as long as that of the first.
        None => heap + HEAP_INFO.iter().find(|&info| arena % HEAP == *info)?,
    };
    let bins = arena.wrapping_add(to_bins);
    let top = memory.u64(bins.wrapping_sub(TOP)).ok();
    let top = top.filter(|top| (start..end).contains(top));
    Some(Stretch { range: start..end, top, is_main: false })
}

impl Arenas {
    /// Adds the fastbins of an arena. (Versions without them have something else there, which does not lead
    /// to a chunk of that size.)
    fn read_fastbins(&mut self, memory: &impl Memory, bins: u64) {
        for index in 0..FASTBIN_COUNT {
            let place = bins.wrapping_sub(FASTBINS).wrapping_add(8 * index as u64);
            match memory.u64(place) {
                Ok(chunk) if chunk != 0 => {
                    self.fastbins.push((chunk, LEAST + ALIGNMENT * index as u64));
                }
                _ => {}
            }
        }
    }
}
