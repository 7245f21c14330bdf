//! A pause in which Python's own memory does not change.
//!
//! In a build with a GIL only the thread that holds it changes Python objects, so it is enough to stop that
//! thread and check that it still holds the GIL. If no thread holds the GIL, or it changes hands too fast,
//! all Python threads are stopped. Threads of libraries, which have no Python thread state, are never
//! stopped, unless a thread is just starting whose ID Python does not know yet.

use std::time::Duration;

use super::Python;
use super::threads::ThreadState;
use crate::memory::ReadError;
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::{Pause, PauseError, Process, ProcessError, ThreadIds};

/// How often to try to catch the holder before stopping all Python threads.
const TRIES: usize = 8;

/// Why Python could not be paused.
#[derive(Debug, thiserror::Error)]
pub enum PythonPauseError {
    /// Threads could not be stopped.
    #[error(transparent)]
    Pause(#[from] PauseError),
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its threads could not be read.
    #[error("cannot read the threads of the interpreter: {0}")]
    Read(#[from] ReadError),
    /// New threads appeared faster than they could be stopped.
    #[error("its threads could not be stopped: new ones kept appearing")]
    Restless,
}

impl Obstructed for PythonPauseError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            PythonPauseError::Pause(error) => error.obstacle(),
            PythonPauseError::Process(error) => error.obstacle(),
            PythonPauseError::Read(error) => error.obstacle(),
            PythonPauseError::Restless => None,
        }
    }
}

/// Python is paused until this is dropped.
#[derive(Debug)]
pub struct PythonPause {
    pause: Pause,
    /// The states of the stopped threads that hold a GIL.
    pub holders: Vec<u64>,
    /// Whether all Python threads are stopped, not only those that hold a GIL.
    pub all: bool,
}

impl PythonPause {
    /// How long it has lasted.
    pub fn elapsed(&self) -> Duration {
        self.pause.elapsed()
    }

    /// The stopped threads.
    pub fn tids(&self) -> impl Iterator<Item = i32> + '_ {
        self.pause.tids()
    }

    /// Resumes the threads, and returns how long they were stopped.
    pub fn resume(self) -> Duration {
        self.pause.resume()
    }
}

impl Python {
    /// Pauses Python: stops as few threads as possible such that its memory does not change.
    pub fn pause(&self, process: &Process) -> Result<PythonPause, PythonPauseError> {
        for _ in 0..TRIES {
            let Some(holders) = if_whole(self.gil_holders(process))? else { continue };
            if holders.is_empty() {
                break;
            }
            let Some(threads) = if_whole(self.thread_states(process))? else { continue };
            let Some(tids) = tids_of(process, &threads, &holders)? else { break };
            let pause = Pause::new(process, &tids)?;
            if self.gil_holders(process)? == holders {
                return Ok(PythonPause { pause, holders, all: false });
            }
        }
        self.pause_all(process)
    }

    /// Stops every thread that has a Python thread state. A thread that Python is just creating has a state
    /// without an ID: if it stays so, all threads of the process are stopped.
    fn pause_all(&self, process: &Process) -> Result<PythonPause, PythonPauseError> {
        let mut pause = Pause::new(process, &[])?;
        let mut known: Vec<i32> = Vec::new();
        for attempt in 0..TRIES {
            // Once the threads are stopped, the list is whole.
            let Some(threads) = if_whole(self.thread_states(process))? else { continue };
            let numbers: Vec<i32> = threads.iter().filter_map(|thread| thread.native_id).collect();
            let fresh = numbers.iter().any(|number| !known.contains(number));
            if fresh {
                // An ID that no thread of the process has belongs to one that has ended.
                let ids = ThreadIds::read(process)?;
                let tids: Vec<i32> = numbers.iter().filter_map(|&id| ids.outer(id)).collect();
                pause.add(process, &tids)?;
                known = numbers;
            } else if numbers.len() == threads.len() {
                let holders = self.gil_holders(process)?;
                return Ok(PythonPause { pause, holders, all: true });
            } else if attempt > 0 {
                break;
            }
        }
        for _ in 0..TRIES {
            let tids = process.threads()?;
            if tids.iter().all(|&tid| pause.contains(tid)) {
                let holders = self.gil_holders(process)?;
                return Ok(PythonPause { pause, holders, all: true });
            }
            pause.add(process, &tids)?;
        }
        Err(PythonPauseError::Restless)
    }
}

/// While threads come and go, their list can be torn and lead to unmapped memory. The result is then `None`:
/// read it again.
fn if_whole<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Err(error) if error.may_pass() => Ok(None),
        read => read.map(Some),
    }
}

/// Our IDs of the threads with these states; `None` if one of them is not known.
fn tids_of(
    process: &Process,
    threads: &[ThreadState],
    states: &[u64],
) -> Result<Option<Vec<i32>>, ProcessError> {
    let ids = ThreadIds::read(process)?;
    let tid_of = |state: &u64| {
        let thread = threads.iter().find(|thread| thread.address == *state)?;
        ids.outer(thread.native_id?)
    };
    Ok(states.iter().map(tid_of).collect())
}
