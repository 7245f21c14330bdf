//! Why the work of a guardian cannot go on, and what its last word is then.

use std::io;

use super::traced_threads::{TraceError, has_ended};
use crate::profile::messages::End;

/// Why work cannot go on.
#[derive(Debug)]
pub enum Trouble {
    /// The reports cannot be delivered.
    NobodyListens(io::Error),
    /// Anything else.
    End(End),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::End(End::Failed { why: error.to_string() })
    }
}

impl From<TraceError> for Trouble {
    fn from(error: TraceError) -> Trouble {
        Trouble::End(error.into())
    }
}

/// What is to be said at the end of work on the process that has this PID and was started then, in clock
/// ticks since boot: of one that is ending little can be read, which is no failure. An error means that
/// nobody listens any more.
pub fn last_word(end: Result<End, Trouble>, pid: i32, started: u64) -> io::Result<End> {
    match end {
        Ok(end) => Ok(end),
        Err(Trouble::NobodyListens(error)) => Err(error),
        Err(Trouble::End(End::Failed { .. })) if has_ended(pid, started) => Ok(End::TargetEnded),
        Err(Trouble::End(end)) => Ok(end),
    }
}
