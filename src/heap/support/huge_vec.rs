//! Memory for the few large arrays of an analysis: in huge pages where the kernel has them, and returned to
//! the system as soon as it is freed. Touching new memory page by page would take a quarter of the analysis.

use crate::memory::PAGE;

/// Arrays smaller than this, in bytes, are left to the allocator.
const LARGE: usize = 4 << 20;

/// Makes large blocks of memory return to the system as soon as they are freed. By default glibc keeps those
/// of up to 32 MB, between others that are in use. Applies to the whole process from now on.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only sets a number, under the allocator's own lock.
    unsafe {
        /// The default before glibc adapts it, in bytes.
        const THRESHOLD: libc::c_int = 128 << 10;
        // If it refuses, nothing changes.
        libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
    }
}

/// An empty vector with room for this many items.
pub(crate) fn room_for<T>(items: usize) -> Vec<T> {
    let vector: Vec<T> = Vec::with_capacity(items);
    let bytes = vector.capacity() * size_of::<T>();
    if bytes >= LARGE {
        let page = PAGE as usize;
        let start = vector.as_ptr().addr();
        let first = start.next_multiple_of(page);
        let last = (start + bytes) / page * page;
        // SAFETY: these pages are the vector's own, and the advice does not change their contents.
        unsafe {
            // Refused only by a kernel without huge pages; small pages do then.
            libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_HUGEPAGE);
        }
    }
    vector
}

/// A vector of this many equal items.
pub(crate) fn filled<T: Clone>(value: T, items: usize) -> Vec<T> {
    let mut vector = room_for(items);
    vector.resize(items, value);
    vector
}

/// The items in a vector; the iterator should know how many they are.
pub(crate) fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Vec<T> {
    let mut vector = room_for(items.len());
    vector.extend(items);
    vector
}
