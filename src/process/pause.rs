//! Holding threads still: a guard that resumes them when it is dropped, on every path.
//!
//! Threads are seized and interrupted with ptrace, which sends no signal: no other thread of the target
//! notices. All are interrupted before the first wait. If leakspy dies, the kernel resumes them; if it is only
//! stopped, the [`watchdog`] sees to it.
//!
//! A thread in uninterruptible sleep (state `D`: a page from a slow disk, a `vfork`) does not stop until the
//! kernel is done with it. But it cannot execute an instruction either, so it counts as stopped; only its
//! release has to wait.

use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::handle::Process;
use super::ptrace;
use super::ptrace::Status;
use super::reaper::Reaper;
use super::watchdog;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};

/// Why threads could not be stopped.
#[derive(Debug, thiserror::Error)]
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
    #[error("cannot stop thread {tid}: {source}")]
    Failed {
        /// The thread.
        tid: i32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Obstructed for PauseError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            &PauseError::Traced { tracer, .. } => Obstacle::Traced { tracer }.of_target(),
            PauseError::Denied { .. } => Obstacle::Denied.of_target(),
            PauseError::Failed { .. } => None,
        }
    }
}

/// Threads that are stopped until this is dropped. It is not `Send`, because only the thread that made it is
/// the tracer.
#[derive(Debug)]
pub struct Pause {
    held: Vec<Held>,
    began: Instant,
    guarded: Option<Guarded>,
    _same_thread: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Held {
    tid: i32,
    state: State,
}

/// How far the stop of a thread has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was told to stop, and has not reported its stop yet.
    Interrupted,
    /// It is stopped. This signal was about to be delivered, and is delivered when the thread resumes (0:
    /// none).
    Stopped(i32),
    /// It has ended, or was resumed.
    Gone,
}

impl Pause {
    /// Stops these threads of `process`. A thread that has ended meanwhile is not an error. On any other
    /// error the threads already stopped are resumed.
    pub fn new(process: &Process, tids: &[i32]) -> Result<Pause, PauseError> {
        let guarded = Some(Guarded::new());
        let mut pause =
            Pause { held: Vec::new(), began: Instant::now(), guarded, _same_thread: PhantomData };
        pause.add(process, tids)?;
        Ok(pause)
    }

    /// Stops more threads; some of them may already be stopped.
    pub fn add(&mut self, process: &Process, tids: &[i32]) -> Result<(), PauseError> {
        // A single thread needs no reaper, and a pause should be short.
        let several = tids.len() + self.held.len() > 1;
        let all = || tids.iter().copied().chain(self.held.iter().map(|held| held.tid)).collect();
        let _reaper = several.then(|| Reaper::start(all()).ok());
        for &tid in tids {
            if self.held.iter().any(|held| held.tid == tid) {
                continue;
            }
            match seize(process, tid, || ptrace::seize(tid)) {
                Ok(()) => self.held.push(Held { tid, state: State::Interrupted }),
                Err(SeizeError::Ended) => continue,
                Err(SeizeError::Traced { tracer }) => {
                    return Err(PauseError::Traced { tid, tracer });
                }
                Err(SeizeError::Denied) => return Err(PauseError::Denied { tid }),
                Err(SeizeError::Failed(source)) => {
                    return Err(PauseError::Failed { tid, source });
                }
            }
            match ptrace::interrupt(tid) {
                Err(source) if !is_gone(&source) => return Err(PauseError::Failed { tid, source }),
                _ => {}
            }
        }
        for held in self.held.iter_mut().filter(|held| held.state == State::Interrupted) {
            held.wait_until_still(process)
                .map_err(|source| PauseError::Failed { tid: held.tid, source })?;
        }
        Ok(())
    }

    /// Whether this thread was stopped.
    pub fn contains(&self, tid: i32) -> bool {
        self.held.iter().any(|held| held.tid == tid)
    }

    /// The stopped threads.
    pub fn tids(&self) -> impl Iterator<Item = i32> + '_ {
        self.held.iter().filter(|held| held.state != State::Gone).map(|held| held.tid)
    }

    /// How long the first of them has been stopped.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Resumes the threads, and returns how long they were stopped.
    pub fn resume(mut self) -> Duration {
        self.let_go();
        self.began.elapsed()
    }

    /// Releases the stopped threads first; the others cannot be released before they stop.
    fn let_go(&mut self) {
        self.held.iter_mut().for_each(Held::detach);
        // What is left does not run anyway, however long we wait for it.
        self.guarded = None;
        for held in self.held.iter_mut().filter(|held| held.state == State::Interrupted) {
            // This fails only if the thread is gone, and then there is nothing to release.
            let _ = held.wait();
            held.detach();
        }
    }
}

/// The [`watchdog`] watches until this is dropped.
#[derive(Debug)]
struct Guarded;

impl Guarded {
    fn new() -> Guarded {
        watchdog::begin();
        Guarded
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        watchdog::end();
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Held {
    /// Waits for the stop, except in uninterruptible sleep.
    fn wait_until_still(&mut self, process: &Process) -> io::Result<()> {
        self.note(ptrace::wait(Some(self.tid), false))?;
        if self.state == State::Interrupted && process.thread_state(self.tid) != Some('D') {
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        while self.state == State::Interrupted {
            self.note(ptrace::wait(Some(self.tid), true))?;
        }
        Ok(())
    }

    fn note(&mut self, found: io::Result<Option<(i32, Status)>>) -> io::Result<()> {
        self.state = match found {
            Ok(None) => State::Interrupted,
            Ok(Some((_, Status::Ended))) => State::Gone,
            // A signal came first: it is held back while the thread is stopped, and delivered afterwards.
            Ok(Some((_, Status::Stopped { signal, event: 0 }))) => State::Stopped(signal),
            Ok(Some((_, Status::Stopped { .. }))) => State::Stopped(0),
            Err(error) if is_gone(&error) => State::Gone,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn detach(&mut self) {
        if let State::Stopped(signal) = self.state {
            self.state = State::Gone;
            if ptrace::detach(self.tid, signal).is_err() {
                // It was killed while it was stopped. Its end is reported to us, its tracer, and the parent
                // sees it only after we have waited for it.
                let _ = ptrace::wait(Some(self.tid), false);
            }
        }
    }
}

/// Why a thread cannot be traced.
pub(crate) enum SeizeError {
    /// It has ended.
    Ended,
    /// Another process traces it.
    Traced { tracer: i32 },
    /// It is not permitted.
    Denied,
    /// The kernel refused in another way.
    Failed(io::Error),
}

/// Seizes a thread and finds out why that is refused.
///
/// The kernel gives the same error for a thread that is traced already and for one that we may not trace, and the
/// tracer may have let go before we ask for it. Only a thread that has no tracer each time is denied.
pub(crate) fn seize(
    process: &Process,
    tid: i32,
    attempt: impl Fn() -> io::Result<()>,
) -> Result<(), SeizeError> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if is_gone(&error) => return Err(SeizeError::Ended),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(SeizeError::Failed(error)),
        }
        if matches!(process.thread_state(tid), None | Some('Z' | 'X' | 'x')) {
            return Err(SeizeError::Ended);
        }
        if let Some(tracer) = process.tracer_of(tid) {
            return Err(SeizeError::Traced { tracer });
        }
        std::thread::yield_now();
    }
    Err(SeizeError::Denied)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ECHILD))
}
