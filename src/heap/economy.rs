//! How the C library's allocator is to go about the few large arrays that a heap is analysed with.

/// Lets large blocks of memory go back to the system as soon as they are free. By default glibc keeps those
/// of up to 32 MB for later, between others that are in use: an analysis would take a seventh more memory.
/// Holds for the whole process, from now on.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only sets a number, under the allocator's own lock.
    unsafe {
        /// The default before it is adapted, in bytes.
        const LARGE: libc::c_int = 128 << 10;
        // If it refuses, all stays as it was.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
