//! A Python whose threads are traced: new threads are added as they start, and all are released at the end.
//!
//! The [`server`](super::server) relies on this file for what every duty needs to know about threads: which
//! of them are Python's, that the program is still the same, and that no thread is armed when it is released.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustc_hash::FxHashMap;

use super::report::End;
use crate::memory::ReadError;
use crate::process::breakpoint::Breakpoints;
use crate::process::pause::SeizeError;
use crate::process::tracees::Tracees;
use crate::process::{AddressSpace, Process, ProcessError, ThreadIds};
use crate::python::{Python, PythonError, RawStack, ThreadState};

/// How often to look for threads that block the signal of a hit. Until they are found, what they do is not
/// seen.
const UNBLOCK_EVERY: Duration = Duration::from_secs(1);
/// How many times in a row the thread list is read if it leads nowhere.
const TRIES: usize = 20;

/// Why a Python cannot be traced, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It has ended.
    #[error("the process has ended")]
    Ended,
    /// It replaced its program (`execve`).
    #[error("the process replaced its program")]
    Replaced,
    /// Another process traces a thread.
    #[error("thread {tid} is already traced by process {tracer}")]
    Traced {
        /// The thread.
        tid: i32,
        /// Its tracer.
        tracer: i32,
    },
    /// A thread may not be traced.
    #[error("tracing thread {tid} is not permitted")]
    Denied {
        /// The thread.
        tid: i32,
    },
    /// Something else went wrong.
    #[error("{why}")]
    Failed {
        /// What.
        why: String,
    },
}

impl TraceError {
    /// An error without a variant of its own.
    pub fn failed(error: impl std::fmt::Display) -> TraceError {
        TraceError::Failed { why: error.to_string() }
    }
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> TraceError {
        TraceError::failed(error)
    }
}

/// A Python in a process, and its traced threads.
pub struct TracedPython {
    /// The process.
    pub process: Process,
    /// The Python in it.
    pub python: Python,
    /// The traced threads.
    pub tracees: Tracees,
    program: AddressSpace,
    states: FxHashMap<i32, ThreadState>,
    last_states: Vec<ThreadState>,
    /// When threads that block our signal were last looked for.
    traps_unblocked: Instant,
}

impl TracedPython {
    /// Opens the Python in the process with this PID and start time, in clock ticks since boot. No thread is
    /// traced yet.
    pub fn open(pid: i32, started: u64) -> Result<TracedPython, TraceError> {
        let attached = TracedPython::attach(pid, started);
        match attached {
            Err(TraceError::Failed { .. }) if has_ended(pid, started) => Err(TraceError::Ended),
            attached => attached,
        }
    }

    fn attach(pid: i32, started: u64) -> Result<TracedPython, TraceError> {
        let process = Process::open(pid).map_err(|_| TraceError::Ended)?;
        if process.started() != started {
            return Err(TraceError::Ended);
        }
        let program = process.address_space()?;
        let python = Python::attach(&process).map_err(|error| match error {
            PythonError::Process(ProcessError::Replaced { .. }) => TraceError::Replaced,
            error => TraceError::failed(error),
        })?;
        Ok(TracedPython {
            process,
            python,
            tracees: Tracees::new()?,
            program,
            states: FxHashMap::default(),
            last_states: Vec::new(),
            traps_unblocked: Instant::now(),
        })
    }

    /// Traces the Python threads that are not traced yet, and makes sure that hits stop all of them. Returns
    /// the oldest thread, which is likely to live on.
    pub fn begin(&mut self) -> Result<i32, TraceError> {
        self.take_up_threads()?;
        self.tracees.unblock_traps(&self.process)?;
        let by_age = |state: &ThreadState| self.last_states.iter().position(|other| other == state);
        let oldest = self.states.iter().max_by_key(|(_, state)| by_age(state));
        oldest.map(|(&tid, _)| tid).ok_or(TraceError::Ended)
    }

    /// The state of a thread, if it is one of Python's.
    pub fn state(&self, tid: i32) -> Option<&ThreadState> {
        self.states.get(&tid)
    }

    /// Copies the stack of a stopped thread that was about to change a Python object.
    ///
    /// Such a thread holds the GIL, so its state is the one that holds the GIL. Only where several
    /// interpreters have GILs of their own must its state be looked up; it may be newer than our list of
    /// threads.
    pub fn copy_stack(&mut self, tid: i32, stack: &mut RawStack) -> Result<(), ReadError> {
        let holders = self.python.gil_holders(&self.process)?;
        let state = match *holders {
            [holder] => holder,
            _ => {
                if !self.states.contains_key(&tid) {
                    // An error here comes up again when the threads are checked.
                    let _ = self.take_up_threads();
                }
                let state = self.states.get(&tid).filter(|state| holders.contains(&state.address));
                state.ok_or(ReadError::Unmapped { address: 0, length: 0 })?.address
            }
        };
        self.python.copy_stack(&self.process, state, stack)
    }

    /// Copies the stack of a stopped thread, whether or not it holds the GIL: no other thread changes its
    /// frames.
    pub fn copy_own_stack(&mut self, tid: i32, stack: &mut RawStack) -> Result<(), ReadError> {
        if !self.states.contains_key(&tid) {
            // An error here comes up again when the threads are checked.
            let _ = self.take_up_threads();
        }
        let state = self.states.get(&tid).ok_or(ReadError::Unmapped { address: 0, length: 0 })?;
        self.python.copy_stack(&self.process, state.address, stack)
    }

    /// Forgets a thread that has ended.
    pub fn forget(&mut self, tid: i32) {
        self.states.remove(&tid);
    }

    /// Checks that the target still runs its original program. A thread that is not traced can replace the
    /// program, and nothing else tells us.
    pub fn check_program(&self) -> Result<(), TraceError> {
        match self.program.is_gone() {
            false => Ok(()),
            true if self.process.is_alive() => Err(TraceError::Replaced),
            true => Err(TraceError::Ended),
        }
    }

    /// What is behind a failure: a program that is replaced fails in any way.
    pub fn behind(&self, end: End) -> End {
        match (&end, self.check_program()) {
            (End::Failed { .. } | End::NoBreakpoints { .. }, Err(error)) => error.into(),
            _ => end,
        }
    }

    /// Brings the list of Python threads up to date. This may fail for a moment while the target ends or
    /// replaces its program.
    pub fn check_threads(&mut self) -> Result<(), TraceError> {
        if self.traps_unblocked.elapsed() > UNBLOCK_EVERY {
            self.traps_unblocked = Instant::now();
            self.tracees.unblock_traps(&self.process)?;
        }
        if self.python.thread_states(&self.process).is_ok_and(|now| now == self.last_states) {
            return Ok(());
        }
        self.take_up_threads()
    }

    /// Sleeps until something happens in the target, `within` has passed, or `control` is readable or closed.
    /// True in the last case.
    pub fn wait(&self, control: BorrowedFd<'_>, within: Duration) -> io::Result<bool> {
        let mut news = [
            PollFd::new(control, PollFlags::POLLIN),
            PollFd::new(self.tracees.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut news, Some(TimeSpec::from(within)), None) {
            Ok(_) => Ok(news[0].revents().is_some_and(|events| !events.is_empty())),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Disarms and releases all threads, however long it takes: a thread left armed is killed by its next
    /// hit.
    pub fn let_go(&mut self, breakpoints: &mut Breakpoints) {
        loop {
            let disarmed = breakpoints.disarm(&mut self.tracees);
            if !breakpoints.is_armed() || self.tracees.threads().is_empty() {
                break;
            }
            if disarmed.is_err() && !self.process.is_alive() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.tracees.release();
    }

    /// The threads, read while they run. While threads come and go, their list can lead nowhere; then it is
    /// read again.
    fn thread_states(&self) -> Result<Vec<ThreadState>, ReadError> {
        let mut tries = 1;
        loop {
            match self.python.thread_states(&self.process) {
                Err(error) if error.may_pass() && tries < TRIES => tries += 1,
                states => return states,
            }
        }
    }

    /// Traces the Python threads that are not traced yet, and notes the state of each.
    fn take_up_threads(&mut self) -> Result<(), TraceError> {
        let states = self.thread_states().map_err(TraceError::failed)?;
        let ids = ThreadIds::read(&self.process).map_err(|_| TraceError::Ended)?;
        self.states.clear();
        for &state in &states {
            let Some(tid) = state.native_id.and_then(|inner| ids.outer(inner)) else { continue };
            if !self.tracees.contains(tid) {
                match self.tracees.seize(&self.process, tid) {
                    Ok(()) => {}
                    Err(SeizeError::Ended) => continue,
                    // A thread that has just begun may already be traced by us, but its first stop is not
                    // reported yet.
                    Err(SeizeError::Traced { tracer }) if tracer == std::process::id() as i32 => {
                        continue;
                    }
                    Err(SeizeError::Traced { tracer }) => {
                        return Err(TraceError::Traced { tid, tracer });
                    }
                    Err(SeizeError::Denied) => return Err(TraceError::Denied { tid }),
                    Err(SeizeError::Failed(error)) => return Err(error.into()),
                }
            }
            self.states.insert(tid, state);
        }
        self.last_states = states;
        Ok(())
    }
}

/// Whether a process has ended or is just ending, in which case a failed read does not matter.
pub fn has_ended(pid: i32, started: u64) -> bool {
    let Ok(process) = Process::open(pid) else { return true };
    let has_memory = process.address_space().is_ok_and(|memory| !memory.is_gone());
    process.started() != started || !has_memory
}
