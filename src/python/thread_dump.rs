//! The stacks of all threads at one moment.
//!
//! The order of steps keeps the pause short: first the list of threads and which of them run, then the pause,
//! in which memory is only copied, then names and lines.

use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::Python;
use super::code::{CodeCache, Stack};
use super::lines::Columns;
use super::locals::{Local, MOST_LOCALS};
use super::objects::{Disclosure, Reader, TypeTable};
use super::pause::{PythonPause, PythonPauseError};
use super::stack::RawStack;
use super::threads::ThreadState;
use crate::memory::{Cached, Memory, ReadError};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::blocked::{Wait, WaitKind};
use crate::process::{Mapping, Process, ProcessError, Target, ThreadIds};

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
    /// The number of its interpreter: 0 is the main one.
    #[serde(default)]
    pub interpreter: u64,
    /// Whether it is collecting garbage.
    #[serde(default)]
    pub collecting: bool,
    /// What it waits for in the kernel, if that is known.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// Its stack.
    pub stack: Stack,
    /// More about each frame of the stack.
    #[serde(default)]
    pub details: Vec<FrameDetails>,
}

/// More about a frame than where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameDetails {
    /// Which part of its line runs (from 3.11 on).
    pub columns: Option<Columns>,
    /// Its local variables, if they were asked for.
    pub locals: Option<Vec<Local>>,
}

/// What threads do, as the kernel says before a pause.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// The threads that run, by our IDs.
    running: Vec<i32>,
    /// What others wait for.
    waits: FxHashMap<i32, Wait>,
}

/// What is known of the moment besides the memory of the process.
struct Moment {
    ids: ThreadIds,
    activity: Activity,
    /// The states of those that hold a GIL.
    holders: Vec<u64>,
    pause: Duration,
}

/// A thread as it was copied in the pause.
struct Copied {
    state: ThreadState,
    stack: RawStack,
    /// The local variables of its frames, if they were asked for.
    locals: Option<Vec<Vec<Local>>>,
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
    ///
    /// With `locals`, local variables are read too, which makes the pause longer.
    pub fn dump_threads(
        &self,
        process: &Process,
        pausing: bool,
        locals: Option<Disclosure>,
    ) -> Result<ThreadDump, ThreadDumpError> {
        let mut paused = Duration::ZERO;
        let mut tries = 1;
        loop {
            let mut dump = match self.try_dump(process, pausing, locals) {
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

    fn try_dump(
        &self,
        process: &Process,
        pausing: bool,
        locals: Option<Disclosure>,
    ) -> Result<ThreadDump, ThreadDumpError> {
        let activity = self.activity(process)?;
        let extent = if locals.is_some() { extent_of(process)? } else { 0 };
        let pause = if pausing { Some(self.pause(process)?) } else { None };
        let mut copied = self.copy_stacks(process);
        if let (Some(disclosure), Ok(copied)) = (locals, &mut copied) {
            let memory = Cached::new(process);
            self.copy_locals(&memory, extent, copied, disclosure);
        }
        let holders = match &pause {
            Some(pause) => Ok(pause.holders.clone()),
            None => self.gil_holders(process),
        };
        let pause = pause.map(PythonPause::resume).unwrap_or_default();

        let ids = ThreadIds::read(process)?;
        let moment = Moment { ids, activity, holders: holders?, pause };
        Ok(self.describe_threads(&Cached::new(process), copied?, &moment))
    }

    /// The threads in memory that was captured in a pause of this length. `activity` is what they did
    /// [before it](Self::activity). With `locals`, local variables are read too.
    ///
    /// # Errors
    /// The list of threads cannot be read.
    pub fn captured_threads<M: Memory>(
        &self,
        process: &dyn Target,
        memory: &M,
        activity: Activity,
        pause: Duration,
        locals: Option<Disclosure>,
    ) -> Result<ThreadDump, ThreadDumpError> {
        let (ids, holders) = (process.thread_ids()?, self.gil_holders(memory)?);
        let moment = Moment { ids, activity, holders, pause };
        let mut copied = self.copy_stacks(memory)?;
        if let Some(disclosure) = locals {
            self.copy_locals(memory, extent_of(process)?, &mut copied, disclosure);
        }
        Ok(self.describe_threads(memory, copied, &moment))
    }

    fn describe_threads<M: Memory>(
        &self,
        memory: &M,
        copied: Vec<Copied>,
        moment: &Moment,
    ) -> ThreadDump {
        let Moment { ids, activity, holders, pause } = moment;
        let names = self.thread_names(memory);
        let mut cache = CodeCache::new();
        let states: Vec<ThreadState> = copied.iter().map(|copied| copied.state).rev().collect();
        let describe = |copied: Copied| {
            let thread = copied.state;
            let tid = thread.native_id.and_then(|id| ids.outer(id));
            let holds_gil = holders.contains(&thread.address);
            let running = holds_gil || tid.is_some_and(|tid| activity.running.contains(&tid));
            let wait = tid.filter(|_| !running).and_then(|tid| activity.waits.get(&tid).cloned());
            let (stack, details) = self.resolve(memory, &mut cache, copied);
            DumpedThread {
                pthread: thread.pthread,
                tid,
                name: names.get(&thread.pthread).cloned(),
                holds_gil,
                running,
                interpreter: self.interpreter_number(memory, thread.interpreter),
                collecting: false,
                wait: wait.map(|wait| self.refined(memory, thread, wait)),
                stack,
                details,
            }
        };
        let mut threads: Vec<DumpedThread> = copied.into_iter().rev().map(describe).collect();
        self.mark_collecting(memory, &states, &mut threads);
        ThreadDump { pause: *pause, threads }
    }

    /// The stack of a thread with names, and the details of its frames.
    fn resolve<M: Memory>(
        &self,
        memory: &M,
        cache: &mut CodeCache,
        copied: Copied,
    ) -> (Stack, Vec<FrameDetails>) {
        let Copied { stack: raw, locals, .. } = copied;
        let mut stack = Stack { frames: Vec::new(), complete: raw.complete };
        let mut details = Vec::new();
        let mut locals = locals.map(Vec::into_iter);
        for frame in &raw.frames {
            let locals = locals.as_mut().and_then(Iterator::next);
            match cache.resolve(memory, self, frame) {
                Ok(Some(resolved)) => {
                    stack.frames.push(resolved);
                    let columns = cache.columns(self, frame);
                    details.push(FrameDetails { columns, locals });
                }
                Ok(None) => {}
                Err(_) => stack.complete = false,
            }
        }
        (stack, details)
    }

    /// A wait for a futex, as what it really is: that of the GIL has its own name.
    fn refined<M: Memory>(&self, memory: &M, thread: ThreadState, mut wait: Wait) -> Wait {
        if let Some(futex) = wait.futex
            && self.gil_span(memory, thread.interpreter).is_ok_and(|span| span.contains(&futex))
        {
            wait.kind = WaitKind::Gil;
        }
        wait
    }

    /// Which Python threads run now, and what others wait for. Once a thread is paused, that is no longer visible.
    ///
    /// # Errors
    /// The process cannot be observed.
    pub fn activity(&self, process: &dyn Target) -> Result<Activity, ThreadDumpError> {
        let ids = process.thread_ids()?;
        // In a running process the list can be torn; missing threads count as waiting.
        let threads = self.thread_states(&process).unwrap_or_default();
        let mut activity = Activity::default();
        for tid in threads.iter().filter_map(|thread| ids.outer(thread.native_id?)) {
            if process.is_running(tid) {
                activity.running.push(tid);
            } else if let Some(wait) = process.wait_of(tid) {
                activity.waits.insert(tid, wait);
            }
        }
        Ok(activity)
    }

    /// Copies the stacks of all threads. A stack that cannot be read is empty and not complete.
    fn copy_stacks<M: Memory>(&self, memory: &M) -> Result<Vec<Copied>, ReadError> {
        let copy = |state: ThreadState| {
            let mut stack = RawStack::default();
            // On an error the stack stays marked as not complete.
            let _ = self.copy_stack(memory, state.address, &mut stack);
            Copied { state, stack, locals: None }
        };
        Ok(self.thread_states(memory)?.into_iter().map(copy).collect())
    }

    /// Adds the local variables of all threads, those of the oldest first. `extent` is the number of bytes of memory.
    fn copy_locals<M: Memory>(
        &self,
        memory: &M,
        extent: u64,
        threads: &mut [Copied],
        disclosure: Disclosure,
    ) {
        let types = TypeTable::new(memory, self, extent);
        let reader = Reader::new(memory, &types);
        let mut left = MOST_LOCALS;
        for thread in threads.iter_mut().rev() {
            let locals = self.locals_of(reader, thread.state.address, disclosure, &mut left);
            thread.locals = Some(locals);
        }
    }
}

/// The bytes of memory that a process has mapped.
fn extent_of(process: &dyn Target) -> Result<u64, ProcessError> {
    let maps = process.maps()?;
    let length = |map: &Mapping| map.end.saturating_sub(map.start);
    Ok(maps.iter().map(length).fold(0, u64::saturating_add))
}
