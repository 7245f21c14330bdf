//! The C library's heap, read from its own structures, without symbols: glibc's chunks in `[heap]`, in thread
//! arenas, and in mappings of their own.
//!
//! Every malloc block is in a *chunk*: two words, then the block. The second word is the chunk's size, which
//! leads to the next chunk, with flags in the low bits: whether the chunk before is in use (`PREV_INUSE`, 1),
//! whether this one has a mapping of its own (`IS_MMAPPED`, 2), whether it belongs to a thread's arena
//! (`NON_MAIN_ARENA`, 4). So a run of chunks can be walked from its start, and the flags show which are in
//! use, except that small freed blocks stay marked as in use while they are in lists for reuse (thread caches
//! and fastbins): those lists are followed, too.
//!
//! Everything is for glibc 2.26 and later on 64-bit machines (`malloc/malloc.c`, `malloc/arena.c`).

mod arenas;
mod cached;
mod other;
mod own_data;

use std::ops::Range;

use rustc_hash::FxHashSet;

use super::residency::Residency;
use crate::memory::{Memory, PAGE};
use crate::process::glibc::{
    ALIGNMENT, FLAGS, HEADER, HEADERS_OF_MAPPED, IS_MMAPPED, LEAST, PREVIOUS_IN_USE, mapped_size,
    size_at,
};

pub use other::{known_allocator, other_allocator};
pub(crate) use own_data::own_data;

/// A chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins.
    pub start: u64,
    /// Its size in bytes, header included.
    pub size: u64,
    /// Whether it is in use.
    pub state: ChunkState,
}

impl Chunk {
    /// Where its block begins.
    pub fn block(&self) -> u64 {
        self.start.wrapping_add(HEADER)
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.size)
    }
}

/// The state of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkState {
    /// In use.
    InUse,
    /// Freed, and kept in a list of small chunks for reuse.
    Cached,
    /// Free.
    Free,
    /// The free memory at the end of an arena.
    Top,
}

/// A chunk with a mapping of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedChunk {
    /// The addresses of the mapping.
    pub mapping: Range<u64>,
    /// Where the chunk begins: a little later if its block had to be aligned.
    pub start: u64,
}

impl MappedChunk {
    /// The chunk, which ends with its mapping.
    pub fn chunk(&self) -> Chunk {
        let size = self.mapping.end.saturating_sub(self.start);
        Chunk { start: self.start, size, state: ChunkState::InUse }
    }
}

/// A run of contiguous chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// From the first chunk to the end of the last.
    pub range: Range<u64>,
    /// Where the top chunk begins, if it is in this stretch.
    pub top: Option<u64>,
    /// Whether it belongs to the main arena, whose top chunk `malloc_trim` returns.
    pub is_main: bool,
}

/// The heap of malloc.
#[derive(Debug, Default)]
pub struct Malloc {
    stretches: Vec<Stretch>,
    /// Chunks with mappings of their own.
    mapped: Vec<MappedChunk>,
    /// Chunks in lists for reuse, by their beginning.
    cached: FxHashSet<u64>,
    /// The rest of each stretch that could not be walked to its end.
    pub unread: Vec<Range<u64>>,
    /// The number of arenas.
    pub arenas: usize,
}

impl Malloc {
    /// Reads it. `None` if there is no arena of glibc. `taken` are ranges known not to be malloc's, in order
    /// of address.
    pub fn read(
        memory: &impl Memory,
        residency: &Residency,
        taken: &[Range<u64>],
    ) -> Option<Malloc> {
        let found = arenas::find(memory, residency)?;
        let mut malloc = Malloc { arenas: found.arenas, ..Malloc::default() };
        for stretch in found.stretches {
            let walked = walk(memory, &stretch, |_| ());
            if walked < stretch.range.end {
                malloc.unread.push(walked..stretch.range.end);
            }
            let range = stretch.range.start..walked;
            malloc.stretches.push(Stretch { range, ..stretch });
        }
        malloc.mapped = mapped(memory, residency, taken, &malloc.ranges());
        malloc.cached = cached::find(memory, &malloc, &found.fastbins);
        Some(malloc)
    }

    /// The addresses of arenas, in order, including those that could not be walked.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let walked = self.stretches.iter().map(|stretch| stretch.range.clone());
        let mut ranges: Vec<_> = walked.chain(self.unread.iter().cloned()).collect();
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    /// Chunks with mappings of their own, in order of address.
    pub fn mapped(&self) -> &[MappedChunk] {
        &self.mapped
    }

    /// Calls `each` with every chunk in an arena.
    pub fn for_each(&self, memory: &impl Memory, mut each: impl FnMut(Chunk)) {
        for stretch in &self.stretches {
            walk(memory, stretch, |chunk| {
                let is_cached = self.cached.contains(&chunk.start);
                let state = if is_cached { ChunkState::Cached } else { chunk.state };
                each(Chunk { state, ..chunk });
            });
        }
    }

    /// The bytes that `malloc_trim(0)` would return to the system: whole pages inside free chunks, and in the
    /// top chunk of the main arena.
    pub fn trimmable(&self, memory: &impl Memory, residency: &Residency) -> u64 {
        /// The part of a free chunk that holds its links (`sizeof(struct malloc_chunk)`).
        const IN_USE: u64 = 48;
        let mut bytes = 0_u64;
        for stretch in &self.stretches {
            walk(memory, stretch, |chunk| {
                let is_free = chunk.state == ChunkState::Free
                    || (chunk.state == ChunkState::Top && stretch.is_main);
                if is_free && !self.cached.contains(&chunk.start) {
                    let start = chunk.start.saturating_add(IN_USE).next_multiple_of(PAGE);
                    let end = chunk.range().end / PAGE * PAGE;
                    if start < end {
                        bytes = bytes.saturating_add(residency.bytes(&(start..end)));
                    }
                }
            });
        }
        bytes
    }
}

/// Calls `each` with every chunk of a stretch. Returns where the walk ended: at the end, or where no valid
/// chunk follows.
fn walk(memory: &impl Memory, stretch: &Stretch, mut each: impl FnMut(Chunk)) -> u64 {
    let end = stretch.range.end;
    let mut start = stretch.range.start;
    let Some(mut size) = size_at(memory, start) else { return start };
    while start < end {
        let bytes = size & !FLAGS;
        let Some(next) = start.checked_add(bytes).filter(|&next| next <= end) else { break };
        if bytes < ALIGNMENT {
            // A heap followed by another ends with a fence: a chunk of 16 bytes, and one of 0.
            return if end - start < PAGE { end } else { start };
        }
        if stretch.top == Some(start) {
            // It reaches to the end, whatever its own header says by now.
            each(Chunk { start, size: end - start, state: ChunkState::Top });
            return end;
        }
        let following = if next < end { size_at(memory, next) } else { None };
        let is_in_use = following.is_none_or(|size| size & PREVIOUS_IN_USE != 0);
        let state = if is_in_use { ChunkState::InUse } else { ChunkState::Free };
        each(Chunk { start, size: bytes, state });
        start = next;
        match following {
            Some(following) => size = following,
            None => break,
        }
    }
    start
}

/// The size of the chunk that a block is in; `None` if it is free, is in the list of a thread's cache, or
/// cannot be read. Before glibc 2.29 a cached block cannot be recognized.
pub fn size_in_use(memory: &impl Memory, block: u64) -> Option<u64> {
    let chunk = block.checked_sub(HEADER)?;
    let size = size_at(memory, chunk)?;
    let bytes = size & !FLAGS;
    if size & IS_MMAPPED != 0 {
        return Some(bytes);
    }
    let following = size_at(memory, chunk.checked_add(bytes)?).filter(|_| bytes >= LEAST)?;
    let is_free = following & PREVIOUS_IN_USE == 0 || cached::waits(memory, block, bytes);
    (!is_free).then_some(bytes)
}

/// Chunks with mappings of their own: each has its header near the beginning of a page, in anonymous memory with no
/// other use. The kernel merges neighbouring mappings.
fn mapped(
    memory: &impl Memory,
    residency: &Residency,
    taken: &[Range<u64>],
    arenas: &[Range<u64>],
) -> Vec<MappedChunk> {
    let mut nothing: Vec<Range<u64>> = taken.iter().chain(arenas).cloned().collect();
    nothing.sort_by_key(|range| range.start);
    let mut found = Vec::new();
    for run in anonymous_runs(residency) {
        let mut page = run.start;
        while page < run.end {
            let other = nothing.partition_point(|range| range.end <= page);
            match nothing.get(other) {
                Some(other) if other.start <= page => {
                    page = other.end.next_multiple_of(PAGE).max(page.saturating_add(PAGE));
                    continue;
                }
                _ => {}
            }
            let limit = nothing.get(other).map_or(run.end, |o| o.start.min(run.end));
            match mapped_chunk(memory, page).filter(|it| it.mapping.end <= limit) {
                Some(chunk) => {
                    page = chunk.mapping.end;
                    found.push(chunk);
                }
                None => page = page.saturating_add(PAGE),
            }
        }
    }
    found
}

/// Runs of anonymous memory other than `[heap]`. The kernel may split one block into several mappings, as for
/// the huge pages that numpy asks for.
fn anonymous_runs(residency: &Residency) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for resident in &residency.mappings {
        let mapping = &resident.mapping;
        let is_candidate = mapping.inode == 0
            && mapping.readable
            && mapping.writable
            && !mapping.shared
            && !mapping.brk
            && resident.special.is_empty();
        match runs.last_mut() {
            _ if !is_candidate => {}
            Some(last) if last.end == mapping.start => last.end = mapping.end,
            _ => runs.push(mapping.start..mapping.end),
        }
    }
    runs
}

/// Whether this page begins the mapping of a single chunk.
pub fn is_mapped_chunk(memory: &impl Memory, page: u64) -> bool {
    mapped_chunk(memory, page).is_some()
}

/// The chunk whose mapping begins with this page, if there is one.
fn mapped_chunk(memory: &impl Memory, page: u64) -> Option<MappedChunk> {
    HEADERS_OF_MAPPED.into_iter().find_map(|behind| {
        let start = page.checked_add(behind)?;
        let header = memory.array::<{ HEADER as usize }>(start).ok()?;
        let end = page.checked_add(mapped_size(&header, behind)?)?;
        Some(MappedChunk { mapping: page..end, start })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ReadError;

    /// Words from an address on.
    struct Words(u64, Vec<u64>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let error = ReadError::Unmapped { address, length: buffer.len() };
            let bytes: Vec<u8> = self.1.iter().flat_map(|word| word.to_le_bytes()).collect();
            let start = address.checked_sub(self.0).ok_or(error)? as usize;
            let end = start.checked_add(buffer.len()).ok_or(error)?;
            buffer.copy_from_slice(bytes.get(start..end).ok_or(error)?);
            Ok(())
        }
    }

    /// Chunks of these sizes and flags, one after the other.
    fn heap(sizes: &[u64]) -> (Words, Stretch) {
        let mut words = Vec::new();
        for size in sizes {
            let begin = words.len();
            words.resize(begin + ((size & !FLAGS) / 8).max(2) as usize, 0);
            words[begin + 1] = *size;
        }
        let range = 0x1000..0x1000 + 8 * words.len() as u64;
        (Words(0x1000, words), Stretch { range, top: None, is_main: true })
    }

    fn states(sizes: &[u64], top: Option<u64>) -> (Vec<(u64, ChunkState)>, bool) {
        let (memory, stretch) = heap(sizes);
        let mut found = Vec::new();
        let stretch = Stretch { top, ..stretch };
        let end = walk(&memory, &stretch, |chunk| found.push((chunk.size, chunk.state)));
        (found, end == stretch.range.end)
    }

    #[test]
    fn the_next_chunk_says_whether_one_is_in_use() {
        let (found, whole) = states(&[0x31, 0x41, 0x50, 0x101], Some(0x1000 + 0x30 + 0x40 + 0x50));
        let (used, free, top) = (ChunkState::InUse, ChunkState::Free, ChunkState::Top);
        assert_eq!(found, [(0x30, used), (0x40, free), (0x50, used), (0x100, top)]);
        assert!(whole);
    }

    #[test]
    fn a_block_says_whether_it_is_in_use() {
        let (memory, _) = heap(&[0x31, 0x41, 0x50, 0x101, 0x1002]);
        assert_eq!(size_in_use(&memory, 0x1010), Some(0x30));
        assert_eq!(size_in_use(&memory, 0x1040), None, "it is free");
        assert_eq!(size_in_use(&memory, 0x1080), Some(0x50));
        assert_eq!(size_in_use(&memory, 0x11d0), Some(0x1000), "with a mapping of its own");
        assert_eq!(size_in_use(&memory, 0x1030), None, "it is no block");
        assert_eq!(size_in_use(&memory, 0x8), None);
    }

    #[test]
    fn a_block_that_waits_in_a_list_is_not_in_use() {
        let (mut memory, _) = heap(&[0x31, 0x31, 0x31]);
        let (last, first) = (0x1010, 0x1040);
        let mut is_used_with = |block: u64, link, key| {
            let word = (block - 0x1000) as usize / 8;
            memory.1[word..word + 2].copy_from_slice(&[link, key]);
            size_in_use(&memory, block).is_some()
        };
        assert!(!is_used_with(last, last >> 12, 0x1234_5678_9abc_def0));
        assert!(!is_used_with(first, last ^ (first >> 12), 0x1234_5678_9abc_def0));
        assert!(is_used_with(first, last ^ (first >> 12), 0), "it was given again");
        assert!(is_used_with(first, 0x0101_0101_0101_0101, 0x0101_0101_0101_0101));
        assert!(is_used_with(first, 0, 1), "of glibc before 2.32 this is no key");
    }

    #[test]
    fn what_is_no_chunk_ends_the_walk() {
        assert!(!states(&[0x31, 0x0, 0x2001], None).1);
        let (found, whole) = states(&[0x31, 0x41, 0x11, 0x1], None);
        assert!(whole && found.len() == 3, "a fence: {found:?}");
        let (memory, mut stretch) = heap(&[0x31, 0x41]);
        stretch.range.end += 0x10_0000;
        assert_eq!(walk(&memory, &stretch, |_| ()), 0x1000 + 0x70);
        let (mut memory, stretch) = heap(&[0x31, 0x41]);
        memory.1[1] = u64::MAX;
        assert_eq!(walk(&memory, &stretch, |_| ()), 0x1000);
    }
}
