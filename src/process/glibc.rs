//! glibc's own data in the target: the header of a malloc block, and the descriptor of a thread. The lists of
//! malloc, which only the heap needs, are in [`heap::rss::malloc`](crate::heap::rss::malloc).
//!
//! Everything here holds for glibc 2.26 and later on 64-bit machines (`malloc/malloc.c`, `nptl/descr.h`).

use crate::memory::{Memory, PAGE, u64_at};

/// Bytes before a block: `prev_size` and `size`, the two words with which its chunk begins.
pub const HEADER: u64 = 16;
/// The smallest chunk, in bytes.
pub const LEAST: u64 = 32;
/// Chunk sizes are multiples of this, in bytes.
pub const ALIGNMENT: u64 = 16;
/// A flag in the size: the previous chunk is in use.
pub const PREVIOUS_IN_USE: u64 = 1;
/// A flag in the size: the chunk has a mapping of its own.
pub const IS_MMAPPED: u64 = 2;
/// All flags in the size.
pub const FLAGS: u64 = 7;
/// The largest chunks that are kept in per-size lists, in bytes (`tcache`).
const LARGEST_IN_LISTS: u64 = 1040;
/// A chunk can be this much larger than the request, in bytes: its header, and a remainder too small for
/// another chunk.
const MOST_ADDED: u64 = 64;

/// The most bytes that a thread's descriptor (`struct pthread`) takes.
pub const DESCRIPTOR: u64 = 4096;
/// The alignment of descriptors, in bytes.
const DESCRIPTOR_ALIGNMENT: usize = 64;
/// The words of a descriptor that hold its own address: `tcb` and `self` of `tcbhead_t`, on x86-64.
const DESCRIPTOR_TCB: usize = 0;
const DESCRIPTOR_SELF: usize = 0x10;
/// `pthread.tid` on x86-64: the kernel's thread id (glibc 2.36 and 2.43).
#[cfg(target_arch = "x86_64")]
const DESCRIPTOR_TID: u64 = 0x2d0;
/// The most memory that is searched for a descriptor, in bytes.
const MOST_SEARCHED: u64 = 64 << 20;

/// The size in a chunk's header, with its flags.
pub fn size_at(memory: &impl Memory, chunk: u64) -> Option<u64> {
    memory.u64(chunk.wrapping_add(8)).ok()
}

/// How far behind the beginning of a mapping the header of its chunk can be, in bytes: before the first address with
/// the alignment that was asked for, leaving room for another chunk (`_int_memalign`), or right there. Where it is not
/// right there, one from before the alignment is.
pub const HEADERS_OF_MAPPED: [u64; 8] = [48, 112, 240, 496, 1008, 2032, 4080, 0];

/// The size of a mapping that consists of one chunk, if this is the chunk's header and it begins so many bytes
/// behind the beginning of the mapping.
pub fn mapped_size(header: &[u8], behind: u64) -> Option<u64> {
    let (before, size) = (u64_at(header, 0)?, u64_at(header, 8)?);
    let size_of_all = (size & !FLAGS).checked_add(behind)?;
    // From glibc 2.43 on the size does not include the header.
    let bytes = size_of_all.checked_next_multiple_of(PAGE)?;
    let is_size = [0, HEADER].contains(&(bytes - size_of_all));
    let is_one = before == behind && size & FLAGS == IS_MMAPPED && bytes >= PAGE && is_size;
    is_one.then_some(bytes)
}

/// Whether a request for this many bytes can have been served with a chunk of this size. Large chunks are
/// rounded up to whole pages.
pub fn can_be_given(requested: u64, chunk: u64) -> bool {
    let in_pages = requested.saturating_add(PAGE - 1) / PAGE * PAGE;
    let most = requested.saturating_add(MOST_ADDED).max(in_pages.saturating_add(PAGE));
    (requested..=most).contains(&chunk)
}

/// The words of which `free` writes at least one: the chunk's size, which changes when the chunk is merged
/// with the next; the flag in the next chunk that says that this one is free; and in small blocks the two
/// words that link them into lists. It writes none of them only if the chunk is merged with both the previous
/// *and* the next one.
pub fn words_written_by_free(block: u64, chunk: u64) -> Vec<u64> {
    let behind = block.wrapping_add(chunk).wrapping_sub(8);
    let mut words = vec![block.wrapping_sub(8), behind];
    if chunk <= LARGEST_IN_LISTS {
        words.extend([block, block.wrapping_add(8)]);
    }
    words
}

/// The kernel's id of the thread whose descriptor is at this address (its `pthread_t`), if there is one.
#[cfg(target_arch = "x86_64")]
pub fn thread_id(memory: &impl Memory, descriptor: u64) -> Option<u64> {
    let own = memory.u64(descriptor.wrapping_add(DESCRIPTOR_SELF as u64)).ok()?;
    if own != descriptor {
        return None;
    }
    memory.u32(descriptor.wrapping_add(DESCRIPTOR_TID)).ok().map(u64::from)
}

/// It is not known here where glibc keeps the thread id on other architectures.
#[cfg(not(target_arch = "x86_64"))]
pub fn thread_id(_memory: &impl Memory, _descriptor: u64) -> Option<u64> {
    None
}

/// The address of the descriptor above this stack pointer and below `end`, where memory can lend it: on
/// x86-64 two of its first words hold its own address.
pub fn descriptor_above(memory: &impl Memory, pointer: u64, end: u64) -> Option<u64> {
    let first = pointer.checked_next_multiple_of(DESCRIPTOR_ALIGNMENT as u64)?;
    let places = first..end.min(first.saturating_add(MOST_SEARCHED));
    places.step_by(DESCRIPTOR_ALIGNMENT).find(|&place| {
        let words = memory.lend(place, DESCRIPTOR_SELF + 8);
        let is_own = |words: &[u8], word| u64_at(words, word) == Some(place);
        words.is_some_and(|words| is_own(words, DESCRIPTOR_TCB) && is_own(words, DESCRIPTOR_SELF))
    })
}
