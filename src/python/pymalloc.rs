//! pymalloc: the arenas, pools and blocks of CPython's own allocator (`Objects/obmalloc.c`).
//!
//! Requests of up to 512 bytes are served from *blocks* of one size, which fill a *pool*; pools are carved
//! out of *arenas*. An array of `arena_object`s lists the arenas. A pool begins with a header: the size of
//! its blocks, the number in use, and the head of the list of free ones. Larger requests, and all requests if
//! `PYTHONMALLOC` says so, go to another allocator.

use super::gc::GcError;
use super::layout::PymallocPlace;
use super::{Python, at};
use crate::memory::{Memory, PAGE, ReadError, u32_at, u64_at};
use crate::process::Image;

/// `arena_object`: its size, and the offsets of the arena's address and of the first pool that was never
/// carved.
const ARENA_OBJECT: usize = 48;
const ARENA_ADDRESS: usize = 0;
const ARENA_UNCARVED: usize = 8;
const ARENA_FREE_POOLS: usize = 16;
const ARENA_POOLS: usize = 20;

/// Bytes of a `pool_header`.
pub const POOL_HEADER: u64 = 48;
/// The offsets of its fields.
const POOL_USED: usize = 0;
const POOL_FREE_BLOCK: usize = 8;
const POOL_ARENA_INDEX: usize = 32;
const POOL_SIZE_CLASS: usize = 36;
const POOL_NEXT_OFFSET: usize = 40;

/// `_obmalloc_state` (from 3.12 on): `mgmt.arenas` and `mgmt.maxarenas`.
const STATE_ARENAS: usize = 512;
const STATE_ARENA_COUNT: usize = 520;

/// The step between block sizes, in bytes (`ALIGNMENT` on 64-bit machines).
const ALIGNMENT: u64 = 16;
/// The largest request that pymalloc serves itself, in bytes (`SMALL_REQUEST_THRESHOLD`, 3.8 to 3.15).
const LARGEST_REQUEST: u64 = 512;
/// An object begins at most this far from the start of its block, in bytes: after the collector's header, two
/// more words, and what the debugging allocator puts before those.
pub const FARTHEST_OBJECT: u64 = 64;
/// The most blocks that a pool can have: the largest pool with the smallest blocks.
const MOST_BLOCKS: usize = 1024;
/// The most arenas that are read: a terabyte.
const MOST_ARENAS: usize = 1 << 20;
/// The most arenas that a search checks.
const SEARCHED_ARENAS: usize = 16;
/// The largest segment that is searched, in bytes.
const LARGEST_SEGMENT: u64 = 64 << 20;

/// The size of the block that pymalloc allocates for a request, in bytes; `None` if it does not serve the
/// request.
pub fn size_class(request: u64) -> Option<u64> {
    (request <= LARGEST_REQUEST).then(|| request.max(1).next_multiple_of(ALIGNMENT))
}

/// An arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arena {
    /// Its number in the array of arenas.
    pub index: u32,
    /// Where its memory begins.
    pub start: u64,
    /// One past the end of its memory.
    pub end: u64,
    /// The pools from here on have not been carved yet.
    pub uncarved: u64,
}

/// A pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Where it begins.
    pub start: u64,
    /// One past its end.
    pub end: u64,
    /// How many of its blocks are in use.
    pub used: u32,
}

/// A block in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub address: u64,
    /// Its size, in bytes.
    pub size: u64,
}

impl Python {
    /// Bytes of a pool. Pools are aligned to their size.
    pub fn pool_size(&self) -> u64 {
        self.layout.pymalloc.pool_size
    }

    /// Bytes of an arena.
    pub fn arena_size(&self) -> u64 {
        self.layout.pymalloc.arena_size
    }

    /// The [arenas](Self::arenas), or an error if objects are in them and they are not found. Where they are is known
    /// on x86-64 only.
    pub fn known_arenas<M: Memory>(&self, memory: &M) -> Result<Vec<Arena>, GcError> {
        let arenas = self.arenas(memory).unwrap_or_default();
        let is_known = cfg!(target_arch = "x86_64") && !arenas.is_empty();
        match self.allocators(memory) {
            Ok(allocators) if allocators.is_pymalloc && !is_known => Err(GcError::NoArenas),
            _ => Ok(arenas),
        }
    }

    /// The arenas of all interpreters, by address. Empty if pymalloc is not in use, or if they are not found
    /// in a stripped build up to 3.11, which has no symbol for them.
    pub fn arenas<M: Memory>(&self, memory: &M) -> Result<Vec<Arena>, ReadError> {
        let mut arrays = Vec::new();
        match self.layout.pymalloc.place {
            PymallocPlace::Static => {
                arrays.extend(self.static_arenas(memory)?);
            }
            PymallocPlace::Embedded(offset) => {
                for interpreter in self.interpreters(memory)? {
                    arrays.push(array_of(memory, at(interpreter, offset))?);
                }
            }
            PymallocPlace::Pointer(offset) => {
                for interpreter in self.interpreters(memory)? {
                    match memory.u64(at(interpreter, offset))? {
                        0 => {}
                        state => arrays.push(array_of(memory, state)?),
                    }
                }
            }
        }
        arrays.sort_unstable();
        arrays.dedup();
        let mut arenas = Vec::new();
        for (array, count) in arrays {
            self.read_arenas(memory, array, count, &mut arenas)?;
        }
        arenas.sort_unstable_by_key(|arena| arena.start);
        Ok(arenas)
    }

    /// Calls `each` with the blocks in use of an arena's pools, in order of address, and returns the number
    /// of inconsistent pools: the header cannot be read or is not plausible (then there are no blocks), or
    /// its count differs from the blocks found. A thread stopped in the middle of an allocation leaves one
    /// such pool.
    pub fn for_each_block<M: Memory>(
        &self,
        memory: &M,
        arena: &Arena,
        each: impl FnMut(Block),
    ) -> u64 {
        self.for_each_block_in(memory, arena, |_| true, each)
    }

    /// The block in use that begins at this address of an arena.
    pub fn block_at<M: Memory>(&self, memory: &M, arena: &Arena, address: u64) -> Option<Block> {
        let pool_size = self.layout.pymalloc.pool_size;
        let pool = address / pool_size * pool_size;
        let is_carved = pool >= arena.start && pool < arena.uncarved;
        let bytes = memory.lend(pool, pool_size as usize).filter(|_| is_carved)?;
        let mut found = None;
        let is_whole = blocks_in_use(bytes, pool, arena.index, |block| {
            if block.address == address {
                found = Some(block);
            }
        });
        found.filter(|_| is_whole.is_some())
    }

    /// Like [`for_each_block`](Self::for_each_block), but only in the wanted pools.
    pub fn for_each_block_in<M: Memory>(
        &self,
        memory: &M,
        arena: &Arena,
        is_wanted: impl Fn(Pool) -> bool,
        mut each: impl FnMut(Block),
    ) -> u64 {
        let mut disagreeing = 0;
        let pool_size = self.layout.pymalloc.pool_size;
        let mut own = Vec::new();
        let mut pool = arena.start.next_multiple_of(pool_size);
        while pool < arena.uncarved && pool.saturating_add(pool_size) <= arena.end {
            let bytes = match memory.lend(pool, pool_size as usize) {
                Some(bytes) => Some(bytes),
                None => {
                    own.resize(pool_size as usize, 0);
                    memory.read(pool, &mut own).is_ok().then_some(own.as_slice())
                }
            };
            let used = bytes.and_then(|bytes| u32_at(bytes, POOL_USED)).unwrap_or_default();
            if is_wanted(Pool { start: pool, end: pool.saturating_add(pool_size), used }) {
                let found =
                    bytes.and_then(|bytes| blocks_in_use(bytes, pool, arena.index, &mut each));
                disagreeing += u64::from(!found.is_some_and(|found| found.agrees()));
            }
            pool = pool.saturating_add(pool_size);
        }
        disagreeing
    }

    /// The array of arenas and its length, from the symbols or by search.
    fn static_arenas<M: Memory>(&self, memory: &M) -> Result<Option<(u64, usize)>, ReadError> {
        match ["arenas", "maxarenas"].map(|name| self.image.symbol(name)) {
            [Some(arenas), Some(count)] => {
                let count = memory.u32(count.address)? as usize;
                Ok(Some((memory.u64(arenas.address)?, count)))
            }
            _ => {
                let known = self.arenas_word.get().and_then(|&word| memory.u64(word).ok());
                match known.filter(|&array| self.is_confirmed(memory, array)) {
                    Some(array) => Ok(Some((array, MOST_ARENAS))),
                    None => self.search(memory, &self.image),
                }
            }
        }
    }

    /// Searches the interpreter's writable memory for a pointer to an array of `arena_object`s whose pools
    /// confirm it, for stripped builds up to 3.11. In all builds seen, `maxarenas` is the word before it, but
    /// nothing guarantees that: the array is assumed to end with its last plausible entry. The search takes long, so
    /// where it was found is remembered.
    fn search<M: Memory>(
        &self,
        memory: &M,
        image: &Image,
    ) -> Result<Option<(u64, usize)>, ReadError> {
        let writable = image.segments().iter().filter(|segment| segment.writable);
        let mut found = None;
        let mut place = 0;
        for segment in writable.filter(|segment| segment.size <= LARGEST_SEGMENT) {
            let bytes = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT as usize)?;
            for (number, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
                let array = u64::from_le_bytes(*word);
                let aligned = array != 0 && array % 16 == 0;
                if !aligned || Some(array) == found || segment.contains(array) {
                    continue;
                }
                if self.is_confirmed(memory, array) {
                    if found.is_some() {
                        return Ok(None);
                    }
                    found = Some(array);
                    place = at(segment.address, 8 * number);
                }
            }
        }
        if found.is_some() {
            // Another thread may have been first, with the same word.
            let _ = self.arenas_word.set(place);
        }
        Ok(found.map(|array| (array, MOST_ARENAS)))
    }

    /// Whether this is an array of arenas, confirmed by a pool of one of them.
    fn is_confirmed<M: Memory>(&self, memory: &M, array: u64) -> bool {
        let mut arenas = Vec::new();
        let read = self.read_arenas(memory, array, SEARCHED_ARENAS, &mut arenas);
        read.is_ok()
            && arenas.iter().any(|arena| {
                let pool = arena.start.next_multiple_of(self.layout.pymalloc.pool_size);
                memory.array::<{ POOL_HEADER as usize }>(pool).is_ok_and(|header| {
                    u32_at(&header, POOL_ARENA_INDEX) == Some(arena.index)
                        && u32_at(&header, POOL_SIZE_CLASS).is_some_and(|class| class < 32)
                        && u64_at(&header, POOL_FREE_BLOCK)
                            .is_some_and(|block| block == 0 || block & !0x3fff == pool & !0x3fff)
                })
            })
    }

    /// Appends the entries of an array of `arena_object`s, up to the first implausible one.
    fn read_arenas<M: Memory>(
        &self,
        memory: &M,
        array: u64,
        count: usize,
        arenas: &mut Vec<Arena>,
    ) -> Result<(), ReadError> {
        /// Entries read at once.
        const BATCH: usize = 16;
        let count = if array == 0 { 0 } else { count.min(MOST_ARENAS) };
        let mut index = 0;
        let mut bytes = [0; BATCH * ARENA_OBJECT];
        while index < count {
            let batch = (count - index).min(BATCH);
            let bytes = bytes.get_mut(..batch * ARENA_OBJECT).unwrap_or_default();
            match memory.read(at(array, index * ARENA_OBJECT), bytes) {
                Ok(()) => {}
                // The end of an array of unknown length.
                Err(ReadError::Unmapped { .. }) if count == MOST_ARENAS && index > 0 => break,
                Err(error) => return Err(error),
            }
            for entry in bytes.as_chunks::<ARENA_OBJECT>().0 {
                match self.arena(entry, index as u32) {
                    Ok(arena) => arenas.extend(arena),
                    Err(Implausible) => return Ok(()),
                }
                index += 1;
            }
        }
        Ok(())
    }

    /// The arena of an `arena_object`; `None` if it is not in use.
    fn arena(&self, entry: &[u8], index: u32) -> Result<Option<Arena>, Implausible> {
        let layout = &self.layout.pymalloc;
        let start = u64_at(entry, ARENA_ADDRESS).ok_or(Implausible)?;
        if start == 0 {
            return Ok(None);
        }
        let end = start.checked_add(layout.arena_size).ok_or(Implausible)?;
        let uncarved = u64_at(entry, ARENA_UNCARVED).ok_or(Implausible)?;
        let free = u32_at(entry, ARENA_FREE_POOLS).ok_or(Implausible)?;
        let pools = u32_at(entry, ARENA_POOLS).ok_or(Implausible)?;
        // Pools are aligned to their size, so an arena may have room for one less.
        let most = layout.arena_size / layout.pool_size;
        let plausible = start % PAGE == 0
            && (start..=end).contains(&uncarved)
            && uncarved % layout.pool_size == 0
            && free <= pools
            && (most - 1..=most).contains(&pools.into());
        plausible.then_some(Some(Arena { index, start, end, uncarved })).ok_or(Implausible)
    }
}

/// The data is not what it should be.
struct Implausible;

/// The array of arenas in an `_obmalloc_state`, and its length.
fn array_of<M: Memory>(memory: &M, state: u64) -> Result<(u64, usize), ReadError> {
    let array = memory.u64(at(state, STATE_ARENAS))?;
    Ok((array, memory.u32(at(state, STATE_ARENA_COUNT))? as usize))
}

/// The number of blocks in use in a pool.
struct Used {
    counted: u32,
    claimed: u32,
}

impl Used {
    fn agrees(&self) -> bool {
        self.counted == self.claimed
    }
}

/// Calls `each` with the blocks in use of the pool in `bytes`; `None` if the pool is not plausible.
fn blocks_in_use(bytes: &[u8], pool: u64, arena: u32, mut each: impl FnMut(Block)) -> Option<Used> {
    let mut used = Used { counted: 0, claimed: u32_at(bytes, POOL_USED)? };
    if used.claimed == 0 {
        // A free pool still has the rest of its last header.
        return Some(used);
    }
    let class = u32_at(bytes, POOL_SIZE_CLASS)?;
    if class >= 32 || u32_at(bytes, POOL_ARENA_INDEX)? != arena {
        return None;
    }
    let size = (u64::from(class) + 1) * ALIGNMENT;
    let end = u64::from(u32_at(bytes, POOL_NEXT_OFFSET)?).min(bytes.len() as u64);
    let mut free = [0_u64; MOST_BLOCKS / 64];
    let mut block = u64_at(bytes, POOL_FREE_BLOCK)?;
    for _ in 0..MOST_BLOCKS {
        if block == 0 {
            break;
        }
        let offset = block.checked_sub(pool)?;
        let number = (offset.checked_sub(POOL_HEADER)? / size) as usize;
        *free.get_mut(number / 64)? |= 1 << (number % 64);
        block = u64_at(bytes, offset as usize)?;
    }
    let mut offset = POOL_HEADER;
    let mut number = 0;
    while offset + size <= bytes.len() as u64 && offset < end {
        if free.get(number / 64)? >> (number % 64) & 1 == 0 {
            each(Block { address: pool.wrapping_add(offset), size });
            used.counted += 1;
        }
        offset += size;
        number += 1;
    }
    Some(used)
}
