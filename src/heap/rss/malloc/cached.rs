//! Small freed chunks kept for reuse and still marked as in use: in thread caches (`tcache_perthread_struct`)
//! and in fastbins.
//!
//! A thread's cache is itself a block of its arena: counts, then the heads of singly linked lists. It is
//! recognized by its size, and because it leads only to chunks of the right sizes. The links are addresses of
//! blocks (in fastbins, of chunks), from glibc 2.32 on XORed with their own position.

use rustc_hash::FxHashSet;

use super::{ChunkState, Malloc};
use crate::memory::{Memory, u64_at};
use crate::process::glibc::{ALIGNMENT, FLAGS, HEADER, LEAST, size_at};

/// The layout of a cache: bytes before the heads, and the number of heads.
struct Layout {
    heads: usize,
    count: usize,
}

/// With counts of one byte (up to 2.29), of two bytes, and for more sizes (from 2.42 on).
const LAYOUTS: [Layout; 3] = [
    Layout { heads: 64, count: 64 },
    Layout { heads: 128, count: 64 },
    Layout { heads: 152, count: 76 },
];
/// The number of lists with chunks of a single size; the lists of larger blocks have many sizes.
const EXACT: usize = 64;
/// The maximum length of a list.
const LONGEST: usize = 1 << 16;

/// The chunks in lists, by their beginning.
pub(crate) fn find(
    memory: &impl Memory,
    malloc: &Malloc,
    fastbins: &[(u64, u64)],
) -> FxHashSet<u64> {
    let mut caches = Vec::new();
    malloc.for_each(memory, |chunk| {
        if chunk.state == ChunkState::InUse && LAYOUTS.iter().any(|l| chunk.size == l.size()) {
            caches.push((chunk.block(), chunk.size));
        }
    });
    let lists = Lists { memory, malloc };
    let mut found = FxHashSet::default();
    for (block, size) in caches {
        found.extend(lists.cache(block, size).into_iter().flatten());
    }
    for &(first, size) in fastbins {
        // A list of chunks is a list of blocks, which begin 16 bytes after them.
        let chain = lists.chain(first.wrapping_add(HEADER), Some(size), HEADER);
        found.extend(chain.into_iter().flatten());
    }
    found
}

/// Whether a block, in a chunk of this size, is in the list of a thread's cache, as far as its first words
/// show: the first leads to another block of its size or to none, and the second is a key, which is cleared
/// when the block is allocated again. The key is the address of the cache from glibc 2.29 on, and random from
/// 2.34 on.
pub(crate) fn waits(memory: &impl Memory, block: u64, size: u64) -> bool {
    if size >= LEAST + ALIGNMENT * EXACT as u64 {
        return false;
    }
    let size_of = |block: u64| Some(size_at(memory, block.checked_sub(HEADER)?)? & !FLAGS);
    let is_link =
        |link: u64| link == 0 || (link.is_multiple_of(ALIGNMENT) && size_of(link) == Some(size));
    let is_cache =
        |key: u64| size_of(key).is_some_and(|size| LAYOUTS.iter().any(|it| it.size() == size));
    let words = memory.u64(block).ok().zip(memory.u64(block.wrapping_add(8)).ok());
    words.is_some_and(|(link, key)| {
        let is_in_list = is_link(link ^ (block >> 12)) || (is_link(link) && is_cache(key));
        key != 0 && is_in_list
    })
}

impl Layout {
    /// The size of the chunk that the cache is in.
    fn size(&self) -> u64 {
        (self.heads as u64 + 8 * self.count as u64 + 8).next_multiple_of(ALIGNMENT)
    }
}

struct Lists<'a, M> {
    memory: &'a M,
    malloc: &'a Malloc,
}

impl<M: Memory> Lists<'_, M> {
    /// The chunks in a cache; `None` if the block is not a cache.
    fn cache(&self, block: u64, size: u64) -> Option<Vec<u64>> {
        let layout = LAYOUTS.iter().find(|layout| layout.size() == size)?;
        let bytes = self.memory.bytes(block, size - HEADER, size as usize).ok()?;
        let mut found = Vec::new();
        for index in 0..layout.count {
            let first = u64_at(&bytes, layout.heads + 8 * index)?;
            if first != 0 {
                let size = (index < EXACT).then_some(LEAST + ALIGNMENT * index as u64);
                found.extend(self.chain(first, size, 0)?);
            }
        }
        Some(found)
    }

    /// The chunks of the list that begins with this block; `None` if it leads to anything but a chunk of that
    /// size. A link is `before` bytes less than the block that it leads to.
    fn chain(&self, first: u64, size: Option<u64>, before: u64) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let mut block = first;
        while found.len() < LONGEST {
            let chunk = self.chunk(block, size)?;
            found.push(chunk);
            let word = self.memory.u64(block).ok()?;
            let links = [word ^ (block >> 12), word];
            let is_good = |link: u64| match link {
                0 => true,
                link => self.chunk(link.wrapping_add(before), size).is_some(),
            };
            match links.into_iter().find(|&link| is_good(link))? {
                0 => return Some(found),
                link => block = link.wrapping_add(before),
            }
        }
        None
    }

    /// The chunk of this block, if it is in an arena and has that size.
    fn chunk(&self, block: u64, size: Option<u64>) -> Option<u64> {
        let chunk = block.checked_sub(HEADER).filter(|chunk| chunk.is_multiple_of(ALIGNMENT))?;
        let is_inside = self.malloc.stretches.iter().any(|part| part.range.contains(&chunk));
        let bytes = size_at(self.memory, chunk).filter(|_| is_inside)? & !FLAGS;
        let fits = size.map_or(bytes > LEAST + ALIGNMENT * EXACT as u64, |size| size == bytes);
        fits.then_some(chunk)
    }
}
