//! The stacks of all threads at one moment.
//!
//! The order of steps keeps the pause short: first the list of threads and which of them run, then the pause,
//! in which memory is only copied, then names and lines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Python;
use super::code::{CodeCache, Stack};
use super::pause::{PythonPause, PythonPauseError};
use super::stack::RawStack;
use super::threads::ThreadState;
use crate::memory::{Cached, Memory, ReadError};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::{Process, ProcessError, Target, ThreadIds};

/// Why there is no thread dump.
#[derive(Debug, thiserror::Error)]
pub enum ThreadDumpError {
    /// The process could not be paused.
    #[error(transparent)]
    Pause(#[from] PythonPauseError),
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The list of threads cannot be read.
    #[error("cannot read the threads of the interpreter: {0}")]
    Read(#[from] ReadError),
}

impl Obstructed for ThreadDumpError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            ThreadDumpError::Pause(error) => error.obstacle(),
            ThreadDumpError::Process(error) => error.obstacle(),
            ThreadDumpError::Read(error) => error.obstacle(),
        }
    }
}

/// All threads of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadDump {
    /// How long Python was paused for it.
    pub pause: Duration,
    /// The threads, oldest first: the main thread is the first.
    pub threads: Vec<DumpedThread>,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedThread {
    /// `threading.get_ident()`.
    pub pthread: u64,
    /// The kernel's id of the thread, in our namespace.
    pub tid: Option<i32>,
    /// Its name in the module `threading`.
    pub name: Option<String>,
    /// Whether it holds the GIL.
    pub holds_gil: bool,
    /// Whether it was running rather than waiting.
    pub running: bool,
    /// Its stack.
    pub stack: Stack,
}

/// What is known of the moment besides the memory of the process.
struct Moment {
    ids: ThreadIds,
    /// The threads that were running, by our IDs.
    running: Vec<i32>,
    /// The states of those that hold a GIL.
    holders: Vec<u64>,
    pause: Duration,
}

/// How often to try again if a thread is just entering a function, or the thread list changes while it is
/// read.
const TRIES: usize = 5;

impl Python {
    /// Dumps all threads, with a pause, or without one, in which case stacks may be torn.
    ///
    /// A pause can fall on the few instructions in which the interpreter links a new frame (up to 3.12 the
    /// link is missing for a moment). Such a stack is not complete, and the dump is taken again. The same
    /// happens if the thread list leads nowhere, as it can without a pause.
    pub fn dump_threads(
        &self,
        process: &Process,
        pausing: bool,
    ) -> Result<ThreadDump, ThreadDumpError> {
        let mut paused = Duration::ZERO;
        let mut tries = 1;
        loop {
            let mut dump = match self.try_dump(process, pausing) {
                Err(ThreadDumpError::Read(error)) if error.may_pass() && tries < TRIES => {
                    tries += 1;
                    continue;
                }
                dump => dump?,
            };
            paused += dump.pause;
            dump.pause = paused;
            if tries == TRIES || dump.threads.iter().all(|thread| thread.stack.complete) {
                return Ok(dump);
            }
            tries += 1;
        }
    }

    fn try_dump(&self, process: &Process, pausing: bool) -> Result<ThreadDump, ThreadDumpError> {
        let running = self.running_threads(process)?;
        let pause = if pausing { Some(self.pause(process)?) } else { None };
        let copied = self.copy_stacks(process);
        let holders = match &pause {
            Some(pause) => Ok(pause.holders.clone()),
            None => self.gil_holders(process),
        };
        let pause = pause.map(PythonPause::resume).unwrap_or_default();

        let ids = ThreadIds::read(process)?;
        let moment = Moment { ids, running, holders: holders?, pause };
        Ok(self.describe_threads(&Cached::new(process), copied?, &moment))
    }

    /// The threads in memory that was captured in a pause of this length. `running` are those that were running
    /// before it ([`running_threads`](Self::running_threads)).
    ///
    /// # Errors
    /// The list of threads cannot be read.
    pub fn captured_threads<M: Memory>(
        &self,
        process: &dyn Target,
        memory: &M,
        running: Vec<i32>,
        pause: Duration,
    ) -> Result<ThreadDump, ThreadDumpError> {
        let (ids, holders) = (process.thread_ids()?, self.gil_holders(memory)?);
        let moment = Moment { ids, running, holders, pause };
        Ok(self.describe_threads(memory, self.copy_stacks(memory)?, &moment))
    }

    fn describe_threads<M: Memory>(
        &self,
        memory: &M,
        copied: Vec<(ThreadState, RawStack)>,
        moment: &Moment,
    ) -> ThreadDump {
        let Moment { ids, running, holders, pause } = moment;
        let names = self.thread_names(memory);
        let mut cache = CodeCache::new();
        let describe = |(thread, raw): (ThreadState, RawStack)| {
            let tid = thread.native_id.and_then(|id| ids.outer(id));
            let holds_gil = holders.contains(&thread.address);
            DumpedThread {
                pthread: thread.pthread,
                tid,
                name: names.get(&thread.pthread).cloned(),
                holds_gil,
                running: holds_gil || tid.is_some_and(|tid| running.contains(&tid)),
                stack: cache.resolve_stack(memory, self, &raw),
            }
        };
        let threads = copied.into_iter().rev().map(describe).collect();
        ThreadDump { pause: *pause, threads }
    }

    /// The Python threads that are running now, by our IDs. Once a thread is paused, it is no longer visible
    /// whether it was running.
    ///
    /// # Errors
    /// The process cannot be observed.
    pub fn running_threads(&self, process: &dyn Target) -> Result<Vec<i32>, ThreadDumpError> {
        let ids = process.thread_ids()?;
        // In a running process the list can be torn; missing threads count as waiting.
        let threads = self.thread_states(&process).unwrap_or_default();
        let tids = threads.iter().filter_map(|thread| ids.outer(thread.native_id?));
        Ok(tids.filter(|&tid| process.is_running(tid)).collect())
    }

    /// Copies the stacks of all threads. A stack that cannot be read is empty and not complete.
    fn copy_stacks<M: Memory>(
        &self,
        memory: &M,
    ) -> Result<Vec<(ThreadState, RawStack)>, ReadError> {
        let copy = |thread: ThreadState| {
            let mut stack = RawStack::default();
            // On an error the stack stays marked as not complete.
            let _ = self.copy_stack(memory, thread.address, &mut stack);
            (thread, stack)
        };
        Ok(self.thread_states(memory)?.into_iter().map(copy).collect())
    }
}
