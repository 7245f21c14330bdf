//! The traced threads of one process: attached without stopping them, their signals forwarded, and released
//! with none of our signals left in their queues.
//!
//! Relies on `PTRACE_SEIZE` (Linux 3.4). The caller's thread must be the only one of its process
//! that waits for children: the guardian's is (see [`guardian`](crate::guardian)).
//!
//! The one danger of tracing is a SIGTRAP of ours that reaches the target after we have detached: it would
//! kill it. So [`Tracees::release`] stops each thread, inspects its queue, and removes such a signal before
//! detaching. Breakpoints must be disarmed first.
//!
//! A thread that blocks SIGTRAP is another danger: a hit does not stop it but stays in its queue until the
//! thread unblocks the signal, and then kills it. So [`Tracees::unblock_traps`] unblocks it while the thread
//! is traced.
//!
//! Over 400 lines, because attaching, forwarding and releasing share one invariant: no signal of ours stays
//! behind.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustc_hash::FxHashMap;

use super::handle::Process;
use super::pause::{SeizeError, seize};
use super::ptrace;
use super::ptrace::Status;
use super::reaper::Reaper;

/// `si_code` of a hit that came through a perf event (Linux `siginfo.h`; libc has it for GNU only).
const TRAP_PERF: i32 = 6;
/// `si_code` of a hit of a debug register set by ptrace.
const TRAP_HWBKPT: i32 = 4;
/// Both: no other program sends them.
const OURS: [i32; 2] = [TRAP_PERF, TRAP_HWBKPT];
/// How long a thread may take to stop. One in uninterruptible sleep does not stop at all.
const STOP_WITHIN: Duration = Duration::from_millis(100);

/// What happened to a traced thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It reached a breakpoint and is stopped until [`Tracees::resume`].
    Hit {
        /// The thread.
        tid: i32,
    },
    /// It has just begun, is traced from its first instruction on, and is stopped until [`Tracees::resume`].
    /// Only where [new threads are followed](Tracees::follow_new_threads).
    Began {
        /// The thread.
        tid: i32,
    },
    /// It ended.
    Ended {
        /// The thread.
        tid: i32,
    },
    /// The process replaced its program (`execve`): nothing known about it holds any more.
    Replaced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    /// Stopped by another process (SIGSTOP, Ctrl-Z), until SIGCONT.
    Suspended,
    /// The same, and stopped by us as well: releasing it must not end the other stop.
    StoppedWhileSuspended,
}

/// The traced threads of one process.
#[derive(Debug)]
pub struct Tracees {
    threads: FxHashMap<i32, State>,
    /// The signal masks of threads before we unblocked SIGTRAP.
    masks: FxHashMap<i32, u64>,
    waiting: VecDeque<Event>,
    children: SignalFd,
    follows_new_threads: bool,
}

impl Tracees {
    /// No threads yet. Blocks SIGCHLD for the calling thread, which is notified of stops through a descriptor
    /// instead (see [`AsFd`]).
    pub fn new() -> io::Result<Tracees> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let children = SignalFd::with_flags(&signals, flags)?;
        Ok(Tracees {
            threads: FxHashMap::default(),
            masks: FxHashMap::default(),
            waiting: VecDeque::new(),
            children,
            follows_new_threads: false,
        })
    }

    /// From now on, threads started by a newly seized thread are traced as well.
    pub fn follow_new_threads(&mut self) {
        self.follows_new_threads = true;
    }

    /// Begins to trace a thread of this process without stopping it.
    pub(crate) fn seize(&mut self, process: &Process, tid: i32) -> Result<(), SeizeError> {
        let reaper = Reaper::start(self.threads()).map_err(SeizeError::Failed)?;
        let result = seize(process, tid, || match self.follows_new_threads {
            true => ptrace::seize_with_new_threads(tid),
            false => ptrace::seize(tid),
        });
        for tid in reaper.finish() {
            self.note_end(tid);
        }
        if result.is_ok() {
            self.threads.insert(tid, State::Running);
        }
        result
    }

    /// Whether the thread is traced.
    pub fn contains(&self, tid: i32) -> bool {
        self.threads.contains_key(&tid)
    }

    /// Whether another process stopped the thread (SIGSTOP, Ctrl-Z).
    pub fn is_suspended(&self, tid: i32) -> bool {
        matches!(self.threads.get(&tid), Some(State::Suspended | State::StoppedWhileSuspended))
    }

    /// Whether we have stopped the thread.
    pub fn is_stopped(&self, tid: i32) -> bool {
        matches!(self.threads.get(&tid), Some(State::Stopped | State::StoppedWhileSuspended))
    }

    /// The traced threads.
    pub fn threads(&self) -> Vec<i32> {
        self.threads.keys().copied().collect()
    }

    /// The next event, without waiting for one. Signals that are not ours have already been passed on.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        while let Ok(Some(_)) = self.children.read_signal() {}
        if let Some(event) = self.waiting.pop_front() {
            return Ok(Some(event));
        }
        loop {
            let (tid, status) = match ptrace::wait(None, false) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(error) => return Err(error),
            };
            if let Some(event) = self.take(tid, status) {
                return Ok(Some(event));
            }
        }
    }

    /// Stops a thread. `Ok(false)`: it has ended, or did not stop within a tenth of a second (it sleeps in
    /// the kernel); in that case it is resumed as soon as it does stop.
    ///
    /// A hit that the thread was about to report is dropped: the caller wants the thread stopped, wherever it
    /// is.
    pub fn halt(&mut self, tid: i32) -> io::Result<bool> {
        match self.threads.get(&tid) {
            None => return Ok(false),
            Some(State::Stopped | State::StoppedWhileSuspended) => return Ok(true),
            Some(State::Running | State::Suspended) => {}
        }
        match ptrace::interrupt(tid) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {
                self.note_end(tid);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let deadline = Instant::now() + STOP_WITHIN;
        loop {
            match ptrace::wait(Some(tid), false) {
                Ok(Some((_, Status::Stopped { event: libc::PTRACE_EVENT_STOP, signal }))) => {
                    let suspended = signal != libc::SIGTRAP;
                    let state =
                        if suspended { State::StoppedWhileSuspended } else { State::Stopped };
                    self.threads.insert(tid, state);
                    return Ok(true);
                }
                Ok(Some((_, status))) => {
                    if let Some(event) = self.take(tid, status) {
                        match event {
                            Event::Hit { tid } => self.resume(tid)?,
                            other => self.waiting.push_back(other),
                        }
                    }
                    if !self.contains(tid) {
                        return Ok(false);
                    }
                }
                Ok(None) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(false);
                    }
                    self.wait_for_news(left)?;
                }
                Err(error) if is_gone(&error) => {
                    self.note_end(tid);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Resumes a stopped thread; a signal of ours that was about to be delivered is dropped.
    pub fn resume(&mut self, tid: i32) -> io::Result<()> {
        let (next, result) = match self.threads.get(&tid) {
            Some(State::Stopped) => (State::Running, ptrace::resume(tid, 0)),
            Some(State::StoppedWhileSuspended) => (State::Suspended, ptrace::listen(tid)),
            _ => return Ok(()),
        };
        self.threads.insert(tid, next);
        ignore_gone(result)
    }

    /// Releases all threads and resumes them, with no SIGTRAP of ours in their queues. All breakpoints must
    /// be gone by now. Threads that do not stop are released when our process ends.
    pub fn release(&mut self) {
        for tid in self.threads() {
            // Nothing useful can be done about an error here: the thread is ending.
            let _ = self.release_thread(tid);
        }
        self.threads.clear();
        if self.follows_new_threads {
            self.release_new_threads();
        }
    }

    /// Releases threads that have just begun: they are traced, but their first stop is not reported yet. No
    /// more can follow, because the threads that could start them are no longer traced.
    fn release_new_threads(&mut self) {
        let deadline = Instant::now() + STOP_WITHIN;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match ptrace::wait(None, false) {
                Ok(Some((tid, Status::Stopped { signal, event }))) => {
                    let deliver = if event == 0 && !is_ours(tid, signal) { signal } else { 0 };
                    // This fails only if the thread is being killed.
                    let _ = ptrace::detach(tid, deliver);
                }
                Ok(Some((_, Status::Ended))) => {}
                Ok(None) => {
                    if self.wait_for_news(left).is_err() {
                        return;
                    }
                }
                // Nothing is traced any more.
                Err(_) => return,
            }
        }
    }

    /// Makes sure that hits stop the traced threads of `process` that block SIGTRAP. A thread can block it at
    /// any time, so call this now and then.
    pub fn unblock_traps(&mut self, process: &Process) -> io::Result<()> {
        for tid in self.threads() {
            if process.is_blocked(tid, libc::SIGTRAP) {
                ignore_gone(self.unblock_trap(tid))?;
            }
        }
        Ok(())
    }

    fn unblock_trap(&mut self, tid: i32) -> io::Result<()> {
        if self.threads.get(&tid) != Some(&State::Running) || !self.halt(tid)? {
            return Ok(());
        }
        if self.threads.get(&tid) != Some(&State::Stopped) {
            return self.resume(tid);
        }
        let mask = ptrace::signal_mask(tid)?;
        ptrace::set_signal_mask(tid, mask & !ptrace::signal_bit(libc::SIGTRAP))?;
        self.masks.insert(tid, mask);
        if let Some(deliver) = self.drop_traps(tid)? {
            self.go_on(tid, deliver);
        }
        Ok(())
    }

    fn release_thread(&mut self, tid: i32) -> io::Result<()> {
        if !self.halt(tid)? {
            return Ok(());
        }
        let Some(deliver) = self.drop_traps(tid)? else { return Ok(()) };
        let now = ptrace::signal_mask(tid)?;
        // If the thread has changed its mask since, that is the mask it wants.
        if let Some(before) = self.masks.remove(&tid)
            && now == before & !ptrace::signal_bit(libc::SIGTRAP)
        {
            ptrace::set_signal_mask(tid, before)?;
        }
        ptrace::detach(tid, deliver)
    }

    /// Takes our SIGTRAPs out of the queue of a halted thread, which does not run meanwhile. Returns the
    /// other signal that it must be resumed with (0: none); `None`: it has ended.
    fn drop_traps(&mut self, tid: i32) -> io::Result<Option<i32>> {
        let mut deliver = 0;
        while ptrace::has_pending(tid, libc::SIGTRAP, &OURS)? {
            let mask = ptrace::signal_mask(tid)?;
            let open = mask & !ptrace::signal_bit(libc::SIGTRAP);
            // It is not delivered yet: let it be delivered, and drop it then.
            if mask != open {
                ptrace::set_signal_mask(tid, open)?;
            }
            ptrace::resume(tid, deliver)?;
            let Some((_, Status::Stopped { signal, event })) = ptrace::wait(Some(tid), true)?
            else {
                self.note_end(tid);
                return Ok(None);
            };
            deliver = if event == 0 && !is_ours(tid, signal) { signal } else { 0 };
            if mask != open {
                ptrace::set_signal_mask(tid, mask)?;
            }
        }
        Ok(Some(deliver))
    }

    fn wait_for_news(&self, within: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        // A timeout below a millisecond would round to none and spin.
        let timeout = if timeout == PollTimeout::ZERO { PollTimeout::from(1u8) } else { timeout };
        poll(&mut [PollFd::new(self.children.as_fd(), PollFlags::POLLIN)], timeout)?;
        while let Ok(Some(_)) = self.children.read_signal() {}
        Ok(())
    }

    /// Accounts for a wait's report; passes on what is not ours.
    fn take(&mut self, tid: i32, status: Status) -> Option<Event> {
        let Status::Stopped { signal, event } = status else {
            self.threads.remove(&tid);
            return Some(Event::Ended { tid });
        };
        let is_new = self.threads.insert(tid, State::Stopped).is_none();
        match event {
            libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP && is_new => {
                return Some(Event::Began { tid });
            }
            0 if is_ours(tid, signal) => return Some(Event::Hit { tid }),
            0 => self.go_on(tid, signal),
            libc::PTRACE_EVENT_EXEC => {
                self.threads.retain(|&other, _| other == tid);
                return Some(Event::Replaced);
            }
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => {
                self.threads.insert(tid, State::Suspended);
                // This fails only if the thread is being killed, and then its end is reported.
                let _ = ptrace::listen(tid);
            }
            _ => self.go_on(tid, 0),
        }
        None
    }

    /// Accounts for the end of a thread that no wait reports any more.
    fn note_end(&mut self, tid: i32) {
        self.threads.remove(&tid);
        self.waiting.push_back(Event::Ended { tid });
    }

    fn go_on(&mut self, tid: i32, signal: i32) {
        self.threads.insert(tid, State::Running);
        // This fails only if the thread is being killed, and then its end is reported.
        let _ = ptrace::resume(tid, signal);
    }
}

impl AsFd for Tracees {
    /// Readable when there may be news for [`Tracees::next_event`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.children.as_fd()
    }
}

impl Drop for Tracees {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whether a signal about to be delivered is the hit of one of our breakpoints.
fn is_ours(tid: i32, signal: i32) -> bool {
    signal == libc::SIGTRAP && ptrace::signal_code(tid).is_ok_and(|code| OURS.contains(&code))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ECHILD))
}

fn ignore_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}
