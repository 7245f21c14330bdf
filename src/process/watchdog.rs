//! The end of a pause while leakspy itself stands still: a process of its own that sees to it.
//!
//! The kernel resumes the threads of a target when their tracer is gone, but not when it is only stopped (SIGSTOP,
//! Ctrl-Z) or gets no processor. So a watchdog is forked before there is a second thread. It has a session of its own,
//! sleeps until a pause begins, and then, until the pause is over,
//!
//! - continues leakspy if it is stopped, and stops it again once the pause is over: the stop only waits;
//! - kills leakspy if the pause has taken far longer than it should, so that the kernel resumes the target.
//!
//! It ends with leakspy, which a broken pipe tells.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, Pid, fork, getppid, setsid};

/// The longest pause, unless more is [allowed](allow).
const LONGEST: Duration = Duration::from_secs(10);
/// How often leakspy is looked at while a target is paused.
const LOOK_EVERY: u8 = 5;
/// What is said in place of leakspy.
const GIVEN_UP: &str = "leakspy: the process was paused for far longer than it should be, because leakspy had no \
                        processor or memory. The pause was ended and nothing is known.\n";

/// The watchdog of this process.
static WATCHDOG: OnceLock<Option<Watchdog>> = OnceLock::new();

#[derive(Debug)]
struct Watchdog {
    shared: &'static Shared,
    wake: io::PipeWriter,
}

/// What both processes see.
#[derive(Debug)]
struct Shared {
    /// How many pauses there are.
    pauses: AtomicU32,
    /// Until when they must be over, on the monotonic clock, in nanoseconds.
    until: AtomicU64,
}

/// Starts the watchdog of this process, if it has none. Call it while there is one thread only. Without it, pauses
/// last for as long as we are stopped.
pub fn start() {
    WATCHDOG.get_or_init(|| spawn().ok());
}

/// A pause begins.
pub(super) fn begin() {
    let Some(Watchdog { shared, wake }) = watchdog() else { return };
    shared.until.fetch_max(after(LONGEST), Ordering::SeqCst);
    if shared.pauses.fetch_add(1, Ordering::SeqCst) == 0 {
        let mut wake = wake;
        // If it is gone, nothing guards the pause, as where it was never started.
        let _ = wake.write(&[1]);
    }
}

/// The pause may last for so long from now.
pub fn allow(longest: Duration) {
    if let Some(Watchdog { shared, .. }) = watchdog() {
        shared.until.fetch_max(after(longest.saturating_add(LONGEST)), Ordering::SeqCst);
    }
}

/// A pause is over.
pub(super) fn end() {
    if let Some(Watchdog { shared, .. }) = watchdog()
        && shared.pauses.fetch_sub(1, Ordering::SeqCst) == 1
    {
        shared.until.store(0, Ordering::SeqCst);
    }
}

fn watchdog() -> Option<&'static Watchdog> {
    WATCHDOG.get().and_then(Option::as_ref)
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| now.as_nanos() as u64)
}

fn after(time: Duration) -> u64 {
    now().saturating_add(time.as_nanos() as u64)
}

fn spawn() -> io::Result<Watchdog> {
    let (asleep, wake) = io::pipe()?;
    let shared = shared_page()?;
    let leakspy = nix::unistd::getpid();
    // SAFETY: there is one thread only, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Watchdog { shared, wake }),
        ForkResult::Child => {
            drop(wake);
            guard(leakspy, asleep, shared);
            // SAFETY: ends the child without what leakspy would do at its end.
            unsafe { libc::_exit(0) }
        }
    }
}

/// A page that both processes have as long as they live.
fn shared_page() -> io::Result<&'static Shared> {
    let (rights, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, which nothing else uses.
    let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Shared>(), rights, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is aligned, long enough and never unmapped; zeroes are a valid value, and all of it is atomic.
    Ok(unsafe { &*page.cast::<Shared>() })
}

/// Guards the pauses of this process until it ends.
fn guard(leakspy: Pid, mut asleep: io::PipeReader, shared: &Shared) {
    const TO_IGNORE: [Signal; 5] =
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];
    // The terminal's signals do not reach another session; this fails only for the leader of a group.
    let _ = setsid();
    for number in TO_IGNORE {
        // SAFETY: ignoring a signal installs no handler. It cannot fail for these.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    // Whoever reads leakspy's output must see its end.
    for descriptor in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        // SAFETY: nothing here uses them.
        unsafe { libc::close(descriptor) };
    }
    while matches!(asleep.read(&mut [0; 16]), Ok(1..)) {
        let mut has_continued = false;
        while shared.pauses.load(Ordering::SeqCst) > 0 {
            if !look(leakspy, &asleep, shared, &mut has_continued) {
                return;
            }
        }
        if has_continued && getppid() == leakspy {
            let _ = kill(leakspy, Signal::SIGSTOP);
        }
    }
}

/// Looks at leakspy in a pause. False: it has ended.
fn look(leakspy: Pid, asleep: &io::PipeReader, shared: &Shared, has_continued: &mut bool) -> bool {
    let mut end = [PollFd::new(asleep.as_fd(), PollFlags::empty())];
    let _ = poll(&mut end, PollTimeout::from(LOOK_EVERY));
    // A process that is its child's parent has that PID, and no other has taken it.
    if end[0].any() == Some(true) || getppid() != leakspy {
        return false;
    }
    if is_stopped(leakspy) {
        *has_continued = true;
        let _ = kill(leakspy, Signal::SIGCONT);
    }
    let until = shared.until.load(Ordering::SeqCst);
    if until != 0 && now() > until {
        let _ = io::stderr().write_all(GIVEN_UP.as_bytes());
        let _ = kill(leakspy, Signal::SIGKILL);
        return false;
    }
    true
}

fn is_stopped(process: Pid) -> bool {
    let stat = fs::read(format!("/proc/{process}/stat")).unwrap_or_default();
    let name_ends = stat.iter().rposition(|&byte| byte == b')').unwrap_or_default();
    stat.get(name_ends..).is_some_and(|rest| rest.starts_with(b") T"))
}
