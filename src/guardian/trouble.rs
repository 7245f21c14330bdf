//! Why a guardian's work cannot continue, and what it reports as its end.

use std::io;

use super::report::End;
use super::traced_threads::{TraceError, has_ended};

/// Why the work cannot continue.
#[derive(Debug)]
pub enum Trouble {
    /// The pipe for the reports is broken: leakspy is gone.
    ReaderGone(io::Error),
    /// Anything else.
    End(End),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::End(End::failed(error))
    }
}

impl From<TraceError> for Trouble {
    fn from(error: TraceError) -> Trouble {
        Trouble::End(error.into())
    }
}

/// What to report as the end of the work on the process with this PID and start time, in clock ticks since
/// boot. A failure to read a process that is ending is not reported as a failure.
///
/// # Errors
/// If the reports have no reader any more.
pub fn last_word(end: Result<End, Trouble>, pid: i32, started: u64) -> io::Result<End> {
    match end {
        Ok(end) => Ok(end),
        Err(Trouble::ReaderGone(error)) => Err(error),
        Err(Trouble::End(End::Failed { .. })) if has_ended(pid, started) => Ok(End::TargetEnded),
        Err(Trouble::End(end)) => Ok(end),
    }
}
