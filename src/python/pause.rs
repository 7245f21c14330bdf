//! A pause in which Python's own memory does not change.
//!
//! In a build with a GIL only the thread that holds it changes Python objects, so it is enough to stop
//! that one thread and see that it still holds. If nobody holds it, or it changes hands faster than
//! we can look, all Python threads are stopped; never the threads of libraries that have no Python
//! thread state.

use std::time::Duration;

use super::Python;
use crate::memory::ReadError;
use crate::target::{Pause, PauseError, Process, ProcessError, ThreadIds};

/// How often the holder is tried to be caught before all Python threads are stopped.
const TRIES: usize = 8;

/// Why Python could not be paused.
#[derive(Debug, thiserror::Error)]
pub enum PythonPauseError {
    /// Threads could not be stopped.
    #[error(transparent)]
    Pause(#[from] PauseError),
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its threads could not be read.
    #[error("cannot read the threads of the interpreter: {0}")]
    Read(#[from] ReadError),
    /// A thread that may change Python's memory is not known by the number the system gives it.
    #[error("not all Python threads can be told among the threads of the process")]
    UnknownThread,
}

/// Python stands still until this is dropped.
#[derive(Debug)]
pub struct PythonPause {
    pause: Pause,
    /// The thread states that hold a GIL, of threads that now stand still.
    pub holders: Vec<u64>,
    /// Whether all Python threads stand still, not only those that hold a GIL.
    pub all: bool,
}

impl PythonPause {
    /// How long it has lasted.
    pub fn elapsed(&self) -> Duration {
        self.pause.elapsed()
    }

    /// The threads that stand still.
    pub fn tids(&self) -> impl Iterator<Item = i32> + '_ {
        self.pause.tids()
    }

    /// Lets the threads go on, and says how long they stood still.
    pub fn resume(self) -> Duration {
        self.pause.resume()
    }
}

impl Python {
    /// Pauses Python: stops as few threads as it takes for its memory not to change.
    pub fn pause(&self, process: &Process) -> Result<PythonPause, PythonPauseError> {
        for _ in 0..TRIES {
            let holders = self.gil_holders(process)?;
            if holders.is_empty() {
                break;
            }
            let Some(tids) = self.tids_of(process, &holders)? else { break };
            let pause = Pause::new(process, &tids)?;
            if self.gil_holders(process)? == holders {
                return Ok(PythonPause { pause, holders, all: false });
            }
        }
        self.pause_all(process)
    }

    /// Stops every thread that has a Python thread state.
    fn pause_all(&self, process: &Process) -> Result<PythonPause, PythonPauseError> {
        for _ in 0..TRIES {
            let threads = self.thread_states(process)?;
            let ids = ThreadIds::read(process)?;
            // A thread whose number is known but that is not there has ended; it does stand still.
            let inner: Option<Vec<i32>> = threads.iter().map(|thread| thread.native_id).collect();
            let inner = inner.ok_or(PythonPauseError::UnknownThread)?;
            let tids: Vec<i32> = inner.into_iter().filter_map(|id| ids.outer(id)).collect();
            let pause = Pause::new(process, &tids)?;
            let holders = self.gil_holders(process)?;
            // A thread that has begun meanwhile may have taken the GIL.
            let known = |holder: &u64| threads.iter().any(|thread| thread.address == *holder);
            if holders.iter().all(known) {
                return Ok(PythonPause { pause, holders, all: true });
            }
        }
        Err(PythonPauseError::UnknownThread)
    }

    /// Our numbers of the threads with these states; `None` if one of them is not known.
    fn tids_of(
        &self,
        process: &Process,
        states: &[u64],
    ) -> Result<Option<Vec<i32>>, PythonPauseError> {
        let threads = self.thread_states(process)?;
        let ids = ThreadIds::read(process)?;
        let tid_of = |state: &u64| {
            let thread = threads.iter().find(|thread| thread.address == *state)?;
            ids.outer(thread.native_id?)
        };
        Ok(states.iter().map(tid_of).collect())
    }
}
