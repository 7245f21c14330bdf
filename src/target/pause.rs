//! Holding threads still: a guard that resumes them when it is dropped, on every path.
//!
//! Threads are seized and interrupted with ptrace, which needs no signal and leaves no trace in the
//! target: no other thread of it notices. All are interrupted before the first is waited for. Should
//! we die, the kernel lets them go.
//!
//! A thread in uninterruptible sleep (state `D`: a page from a slow disk, a `vfork`) does not stop
//! before the kernel is done with it, but it cannot run a single instruction of its own either, so it
//! counts as still; only letting it go has to wait.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::process::Process;

/// Why threads could not be stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    /// Another process traces this thread; only one can.
    #[error("thread {tid} is already traced by process {tracer}")]
    Traced {
        /// The thread.
        tid: i32,
        /// Its tracer.
        tracer: i32,
    },
    /// The kernel does not let us trace this thread.
    #[error("stopping thread {tid} is not permitted")]
    Denied {
        /// The thread.
        tid: i32,
    },
    /// The kernel refused in another way.
    #[error("cannot stop thread {tid}: {error}")]
    Failed {
        /// The thread.
        tid: i32,
        /// What the kernel said.
        error: Errno,
    },
}

/// Threads that stand still until this is dropped. It stays in the thread that made it, as only that
/// is the tracer.
#[derive(Debug)]
pub struct Pause {
    held: Vec<Held>,
    began: Instant,
    _same_thread: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Held {
    tid: Pid,
    state: State,
}

/// How far the stop of a thread has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was told to stop and has not said so yet.
    Interrupted,
    /// It stands still; a signal that was on its way to it is given when it goes on.
    Stopped(Option<Signal>),
    /// It ended.
    Gone,
}

impl Pause {
    /// Stops these threads of `process`. Threads that have ended meanwhile are not an error: they do
    /// stand still. On any other error those already stopped go on.
    pub fn new(process: &Process, tids: &[i32]) -> Result<Pause, PauseError> {
        let mut pause = Pause {
            held: Vec::with_capacity(tids.len()),
            began: Instant::now(),
            _same_thread: PhantomData,
        };
        for &tid in tids {
            let tid = Pid::from_raw(tid);
            match seize(tid) {
                Ok(()) => pause.held.push(Held { tid, state: State::Interrupted }),
                Err(Errno::ESRCH) => {}
                Err(error) => refused(process, tid.as_raw(), error)?,
            }
        }
        for held in &mut pause.held {
            held.wait_until_still(process)?;
        }
        Ok(pause)
    }

    /// The threads that stand still.
    pub fn tids(&self) -> impl Iterator<Item = i32> + '_ {
        self.held.iter().filter(|held| held.state != State::Gone).map(|held| held.tid.as_raw())
    }

    /// How long the first of them has been standing still.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets the threads go on, and says how long they stood still.
    pub fn resume(mut self) -> Duration {
        self.let_go();
        self.began.elapsed()
    }

    fn let_go(&mut self) {
        for held in &mut self.held {
            if let State::Stopped(signal) = held.state {
                // It fails only where the thread is gone: killed while it stood still.
                let _ = ptrace::detach(held.tid, signal);
                held.state = State::Gone;
            }
        }
        for held in &mut self.held {
            if held.state == State::Interrupted && held.wait().is_ok() {
                if let State::Stopped(signal) = held.state {
                    let _ = ptrace::detach(held.tid, signal);
                }
            }
        }
        self.held.clear();
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Held {
    /// Waits for the stop, except in uninterruptible sleep.
    fn wait_until_still(&mut self, process: &Process) -> Result<(), PauseError> {
        let tid = self.tid.as_raw();
        let failed = |error| PauseError::Failed { tid, error };
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        self.note(waitpid(self.tid, Some(flags))).map_err(failed)?;
        if self.state == State::Interrupted && process.thread_state(tid) != Some('D') {
            self.wait().map_err(failed)?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Errno> {
        while self.state == State::Interrupted {
            self.note(waitpid(self.tid, Some(WaitPidFlag::__WALL)))?;
        }
        Ok(())
    }

    fn note(&mut self, status: Result<WaitStatus, Errno>) -> Result<(), Errno> {
        self.state = match status {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => self.state,
            // A signal came first. It is held back with the thread and delivered when that goes on.
            Ok(WaitStatus::Stopped(_, signal)) => State::Stopped(Some(signal)),
            Ok(WaitStatus::PtraceEvent(..)) => State::Stopped(None),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => State::Gone,
            Ok(_) => State::Stopped(None),
            Err(Errno::ECHILD | Errno::ESRCH) => State::Gone,
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

fn seize(tid: Pid) -> Result<(), Errno> {
    ptrace::seize(tid, ptrace::Options::empty())?;
    ptrace::interrupt(tid)
}

/// What a refusal means; nothing where the thread has just ended.
fn refused(process: &Process, tid: i32, error: Errno) -> Result<(), PauseError> {
    if !matches!(error, Errno::EPERM | Errno::EACCES) {
        return Err(PauseError::Failed { tid, error });
    }
    if matches!(process.thread_state(tid), None | Some('Z' | 'X' | 'x')) {
        return Ok(());
    }
    match process.tracer_of(tid) {
        Some(tracer) => Err(PauseError::Traced { tid, tracer }),
        None => Err(PauseError::Denied { tid }),
    }
}
