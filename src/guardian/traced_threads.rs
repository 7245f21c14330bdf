//! A Python whose threads are traced: new ones are taken up as they start, and all are released at the end.
//!
//! The [`server`](super::server) relies on this file for what must be right about threads whatever its duty:
//! which of them are Python's, that the program is still the same, and that none is armed when it is released.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustc_hash::FxHashMap;

use crate::memory::ReadError;
use crate::process::breakpoint::Breakpoints;
use crate::process::tracees::Tracees;
use crate::process::{AddressSpace, Process, ThreadIds};
use crate::python::{Python, RawStack, ThreadState};

/// How often threads are looked for that have blocked the signal of a hit: what they do until then is
/// not seen.
const UNBLOCK_EVERY: Duration = Duration::from_secs(1);
/// How often the list of threads is read at once if it leads to nowhere.
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
    /// Of an error that has no case of its own.
    pub fn failed(error: impl std::fmt::Display) -> TraceError {
        TraceError::Failed { why: error.to_string() }
    }
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> TraceError {
        TraceError::failed(error)
    }
}

/// A Python in a process, and those of its threads that are traced.
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
    /// The Python in the process that has this PID and was started then, in clock ticks since boot. No
    /// thread is traced yet.
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
        let python = Python::attach(&process).map_err(TraceError::failed)?;
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

    /// Traces the Python threads that are not traced yet, and lets hits stop them all. Gives the oldest
    /// of them, which is likely to live on.
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

    /// Copies the stack of a thread that stands still and was about to change a Python object.
    ///
    /// It holds the GIL then, and what holds the GIL is its state. Only where interpreters have GILs of
    /// their own its state must be looked for: it may have been made since the threads were taken up.
    pub fn copy_stack(&mut self, tid: i32, stack: &mut RawStack) -> Result<(), ReadError> {
        let holders = self.python.gil_holders(&self.process)?;
        let state = match *holders {
            [holder] => holder,
            _ => {
                if !self.states.contains_key(&tid) {
                    // What is wrong will be found out by those who check the threads.
                    let _ = self.take_up_threads();
                }
                let state = self.states.get(&tid).filter(|state| holders.contains(&state.address));
                state.ok_or(ReadError::Unmapped { address: 0, length: 0 })?.address
            }
        };
        self.python.copy_stack(&self.process, state, stack)
    }

    /// Copies the stack of a thread that stands still, whether or not it holds the GIL: what it is made
    /// of, nobody else changes.
    pub fn copy_own_stack(&mut self, tid: i32, stack: &mut RawStack) -> Result<(), ReadError> {
        if !self.states.contains_key(&tid) {
            // What is wrong will be found out by those who check the threads.
            let _ = self.take_up_threads();
        }
        let state = self.states.get(&tid).ok_or(ReadError::Unmapped { address: 0, length: 0 })?;
        self.python.copy_stack(&self.process, state.address, stack)
    }

    /// Forgets a thread that has ended.
    pub fn forget(&mut self, tid: i32) {
        self.states.remove(&tid);
    }

    /// Whether the target still runs the program that it ran in the beginning. A thread that is not
    /// traced can replace it, and nothing else tells us.
    pub fn check_program(&self) -> Result<(), TraceError> {
        match self.program.is_gone() {
            false => Ok(()),
            true if self.process.is_alive() => Err(TraceError::Replaced),
            true => Err(TraceError::Ended),
        }
    }

    /// Takes up the Python threads that are there now. While the target ends or replaces its program
    /// there are moments at which little can be read.
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

    /// Sleeps until something happens in the target, until so much time has passed, or until there is
    /// word from whom we work for: then it is true.
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

    /// Disarms all and lets all go, whatever it takes: what stays armed dies of its next hit.
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

    /// The threads, which nobody holds still. While they come and go their list can lead to nowhere,
    /// and is read again.
    fn thread_states(&self) -> Result<Vec<ThreadState>, ReadError> {
        let mut tries = 1;
        loop {
            match self.python.thread_states(&self.process) {
                Err(error) if error.may_pass() && tries < TRIES => tries += 1,
                states => return states,
            }
        }
    }

    /// Traces the Python threads that are not traced yet, and notes which is which.
    fn take_up_threads(&mut self) -> Result<(), TraceError> {
        let states = self.thread_states().map_err(TraceError::failed)?;
        let ids = ThreadIds::read(&self.process).map_err(|_| TraceError::Ended)?;
        self.states.clear();
        for &state in &states {
            let Some(tid) = state.native_id.and_then(|inner| ids.outer(inner)) else { continue };
            if !self.tracees.contains(tid) {
                match self.tracees.seize(tid) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                        // A thread that has just begun may be traced by us and yet has to say so.
                        if self.process.tracer_of(tid) == Some(std::process::id() as i32) {
                            continue;
                        }
                        // A thread that is just ending is refused too.
                        let state = self.process.thread_state(tid);
                        if state.is_none_or(|state| matches!(state, 'Z' | 'X')) {
                            continue;
                        }
                        return Err(TraceError::Denied { tid });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.states.insert(tid, state);
        }
        self.last_states = states;
        Ok(())
    }
}

/// Whether a process has ended, or is just ending: then it does not matter what could not be read.
pub fn has_ended(pid: i32, started: u64) -> bool {
    let Ok(process) = Process::open(pid) else { return true };
    let has_memory = process.address_space().is_ok_and(|memory| !memory.is_gone());
    process.started() != started || !has_memory
}
