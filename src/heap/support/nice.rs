//! Yielding the processors to the target if there are too few for both.

use std::panic::resume_unwind;
use std::thread;

/// How much nicer (see nice(7)) analysing threads are than others: a busy thread that shares a processor with
/// one keeps three quarters of it, and the scheduler prefers to give it a processor of its own.
const NICER: libc::c_int = 5;

/// Runs `work` in a thread that yields to others, as do the threads that it starts.
pub(crate) fn politely<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: it takes and returns integers. On Linux it affects the calling thread only.
            let _ = unsafe { libc::nice(NICER) };
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
