//! What every thread is doing at one moment.
//!
//! The whole in the order that keeps the pause short: who there is and who runs, then the pause with
//! nothing in it but copies, then names and lines.

use std::time::Duration;

use super::Python;
use super::code::{CodeCache, Stack};
use super::pause::{PythonPause, PythonPauseError};
use super::stack::RawStack;
use super::threads::ThreadState;
use crate::memory::{Cached, Memory, ReadError};
use crate::target::{Process, ProcessError, ThreadIds};

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The process could not be paused.
    #[error(transparent)]
    Pause(#[from] PythonPauseError),
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The list of threads cannot be read.
    #[error("cannot read the threads of the interpreter: {0}")]
    Read(#[from] ReadError),
}

/// All threads of a process at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// How long Python stood still for it.
    pub pause: Duration,
    /// The threads, oldest first: the main thread is the first.
    pub threads: Vec<ThreadSnapshot>,
}

/// One thread.
#[derive(Debug, Clone)]
pub struct ThreadSnapshot {
    /// `threading.get_ident()`.
    pub pthread: u64,
    /// The system's number of the thread, as we see it.
    pub tid: Option<i32>,
    /// What the module `threading` calls it.
    pub name: Option<String>,
    /// Whether it holds the GIL.
    pub holds_gil: bool,
    /// Whether it was running, not waiting.
    pub running: bool,
    /// What it is doing.
    pub stack: Stack,
}

impl Python {
    /// Takes a snapshot; with a pause, or of the running process, whose stacks may be torn then.
    pub fn snapshot(&self, process: &Process, pausing: bool) -> Result<Snapshot, SnapshotError> {
        let ids = ThreadIds::read(process)?;
        let state_of = |thread: &ThreadState| {
            let tid = ids.outer(thread.native_id?)?;
            Some((tid, process.thread_state(tid)?))
        };
        let states: Vec<(i32, char)> =
            self.thread_states(process)?.iter().filter_map(state_of).collect();

        let pause = if pausing { Some(self.pause(process)?) } else { None };
        let copied = self.copy_stacks(process);
        let holders = match &pause {
            Some(pause) => pause.holders.clone(),
            None => self.gil_holders(process)?,
        };
        let pause = pause.map(PythonPause::resume).unwrap_or_default();

        let memory = Cached::new(process);
        let mut cache = CodeCache::new();
        let names = self.thread_names(&memory);
        let describe = |(thread, raw): (ThreadState, RawStack)| {
            let tid = thread.native_id.and_then(|id| ids.outer(id));
            let holds_gil = holders.contains(&thread.address);
            let was_running = || tid.is_some_and(|tid| states.contains(&(tid, 'R')));
            ThreadSnapshot {
                pthread: thread.pthread,
                tid,
                name: names.get(&thread.pthread).cloned(),
                holds_gil,
                running: holds_gil || was_running(),
                stack: cache.resolve_stack(&memory, self, &raw),
            }
        };
        let threads = copied?.into_iter().rev().map(describe).collect();
        Ok(Snapshot { pause, threads })
    }

    /// Copies the stacks of all threads. One that cannot be read is empty and not complete.
    fn copy_stacks<M: Memory>(
        &self,
        memory: &M,
    ) -> Result<Vec<(ThreadState, RawStack)>, ReadError> {
        let copy = |thread: ThreadState| {
            let mut stack = RawStack::default();
            // The stack says itself that it is not complete.
            let _ = self.copy_stack(memory, thread.address, &mut stack);
            (thread, stack)
        };
        Ok(self.thread_states(memory)?.into_iter().map(copy).collect())
    }
}
