//! The guardian: a small process of its own that does everything which arms or traces a target.
//!
//! A tracer that is killed while a breakpoint is armed can take its target with it: the next hit is
//! a SIGTRAP that nobody catches. leakspy may be killed at any moment, by Ctrl-C, by a service
//! manager, by the kernel when memory runs out. So whoever arms is another process, in a session of
//! its own, deaf to the signals that end programs, and the last that the kernel would choose to kill.
//! It learns of our end, however it comes, by its end of a pipe, disarms, lets go, and ends.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The hidden subcommand under which this program is a guardian.
pub const SUBCOMMAND: &str = "guardian";

/// What a guardian does: the argument of the subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Samples allocations.
    Sample,
    /// Watches words being written.
    Watch,
    /// Follows calls of the C library's allocator to their results.
    Follow,
}

impl Work {
    /// All there is.
    pub const ALL: [Work; 3] = [Work::Sample, Work::Watch, Work::Follow];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Work::Sample => "sample",
            Work::Watch => "watch",
            Work::Follow => "follow",
        }
    }
}

/// The program that runs now.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Starts `program`, which is leakspy, anew as a guardian, with pipes to its standard input and
/// output. Closing its input ends it.
pub fn spawn(program: &Path, work: Work) -> io::Result<Child> {
    Command::new(program)
        .arg0("leakspy-guardian")
        .args([SUBCOMMAND, work.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Makes the calling process a guardian. To be called first thing, with no other thread.
pub fn become_guardian() {
    const TO_IGNORE: [Signal; 8] = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGPIPE,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ];
    for number in TO_IGNORE {
        // SAFETY: to ignore a signal installs no handler. It cannot fail for these.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    // It fails only for the leader of a process group, which a child just started is not.
    let _ = nix::unistd::setsid();
    // Needs privilege below what we inherited; without it we are no worse off than any process.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    // Windows are shorter than the kernel's usual slack of 50 µs for timers.
    // SAFETY: prctl with integer arguments.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1u64) };
}

/// Lets the calling process, a guardian, have a processor before others: while it waits for one, a
/// thread of the target may stand still for it. Needs privilege; without it nothing changes.
pub fn go_first() {
    const BEFORE_MOST: libc::c_int = -15;
    // SAFETY: a system call with integer arguments.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BEFORE_MOST) };
}
