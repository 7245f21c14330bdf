//! What glibc keeps beside the memory that it gives: the header of a block of malloc, and the descriptor of a
//! thread. The lists of malloc, which only the heap needs, are in [`heap::rss::malloc`](crate::heap::rss::malloc).
//!
//! All is of glibc 2.26 and later on 64-bit machines (`malloc/malloc.c`, `nptl/descr.h`).

use crate::memory::{Memory, PAGE, u64_at};

/// Bytes before a block: `prev_size` and `size`, the two words with which its chunk begins.
pub const HEADER: u64 = 16;
/// The smallest chunk, in bytes.
pub const LEAST: u64 = 32;
/// What sizes of chunks are multiples of, in bytes.
pub const ALIGNMENT: u64 = 16;
/// A flag in a size: the chunk before is in use.
pub const PREVIOUS_IN_USE: u64 = 1;
/// A flag in a size: the chunk has a mapping of its own.
pub const IS_MMAPPED: u64 = 2;
/// All flags in a size.
pub const FLAGS: u64 = 7;
/// The largest chunks that are kept in lists of their size, in bytes (`tcache`).
const LARGEST_IN_LISTS: u64 = 1040;
/// A chunk can be so much larger than what was asked for: its header, and a rest too small for another.
const MOST_ADDED: u64 = 64;

/// A thread's descriptor (`struct pthread`) takes so many bytes at most.
pub const DESCRIPTOR: u64 = 4096;
/// What descriptors are aligned to, in bytes.
const DESCRIPTOR_ALIGNMENT: usize = 64;
/// The words of a descriptor that have its own address: `tcb` and `self` of `tcbhead_t`, on x86-64.
const DESCRIPTOR_TCB: usize = 0;
const DESCRIPTOR_SELF: usize = 0x10;
/// `pthread.tid` on x86-64: the kernel's thread id (glibc 2.36 and 2.43).
#[cfg(target_arch = "x86_64")]
const DESCRIPTOR_TID: u64 = 0x2d0;
/// No more than this is searched for a descriptor, in bytes.
const MOST_SEARCHED: u64 = 64 << 20;

/// The size in a chunk's header, with its flags.
pub fn size_at(memory: &impl Memory, chunk: u64) -> Option<u64> {
    memory.u64(chunk.wrapping_add(8)).ok()
}

/// The size of the mapping that begins with this header, if a chunk with a mapping of its own does.
pub fn mapped_size(header: &[u8]) -> Option<u64> {
    let (before, size) = (u64_at(header, 0)?, u64_at(header, 8)?);
    // From glibc 2.43 on the size is that of the mapping without the header.
    let bytes = (size & !FLAGS).checked_next_multiple_of(PAGE)?;
    let is_size = [0, HEADER].contains(&(bytes - (size & !FLAGS)));
    let is_one = before == 0 && size & FLAGS == IS_MMAPPED && bytes >= PAGE && is_size;
    is_one.then_some(bytes)
}

/// Whether a request for so many bytes can have been given a chunk of this size. Large ones are rounded up
/// to whole pages.
pub fn can_be_given(requested: u64, chunk: u64) -> bool {
    let in_pages = requested.saturating_add(PAGE - 1) / PAGE * PAGE;
    let most = requested.saturating_add(MOST_ADDED).max(in_pages.saturating_add(PAGE));
    (requested..=most).contains(&chunk)
}

/// The words of which `free` writes at least one: the size of the block's chunk, which becomes another when
/// that is merged with what follows; the flag of what follows, which says that it is free; and of
/// small blocks the two words that link them in lists. Only if it is merged with what is before it *and*
/// behind, none is.
pub fn words_written_by_free(block: u64, chunk: u64) -> Vec<u64> {
    let behind = block.wrapping_add(chunk).wrapping_sub(8);
    let mut words = vec![block.wrapping_sub(8), behind];
    if chunk <= LARGEST_IN_LISTS {
        words.extend([block, block.wrapping_add(8)]);
    }
    words
}

/// The kernel's id of the thread whose descriptor is at this address (its `pthread_t`), if one is.
#[cfg(target_arch = "x86_64")]
pub fn thread_id(memory: &impl Memory, descriptor: u64) -> Option<u64> {
    let own = memory.u64(descriptor.wrapping_add(DESCRIPTOR_SELF as u64)).ok()?;
    if own != descriptor {
        return None;
    }
    memory.u32(descriptor.wrapping_add(DESCRIPTOR_TID)).ok().map(u64::from)
}

/// Where glibc keeps the thread id on other architectures is not known here.
#[cfg(not(target_arch = "x86_64"))]
pub fn thread_id(_memory: &impl Memory, _descriptor: u64) -> Option<u64> {
    None
}

/// The address of the descriptor above this stack pointer and below `end`, where memory can lend it: on
/// x86-64 two of its first words have its own address.
pub fn descriptor_above(memory: &impl Memory, pointer: u64, end: u64) -> Option<u64> {
    let first = pointer.checked_next_multiple_of(DESCRIPTOR_ALIGNMENT as u64)?;
    let places = first..end.min(first.saturating_add(MOST_SEARCHED));
    places.step_by(DESCRIPTOR_ALIGNMENT).find(|&place| {
        let words = memory.lend(place, DESCRIPTOR_SELF + 8);
        let is_own = |words: &[u8], word| u64_at(words, word) == Some(place);
        words.is_some_and(|words| is_own(words, DESCRIPTOR_TCB) && is_own(words, DESCRIPTOR_SELF))
    })
}
