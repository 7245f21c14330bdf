//! The guardian: a small process of its own that does everything which arms or traces a target.
//!
//! A tracer that is killed while a breakpoint is armed can take its target with it: the next hit is
//! a SIGTRAP that nobody catches. leakspy may be killed at any moment, by Ctrl-C, by a service
//! manager, by the kernel when memory runs out. So whoever arms is another process, in a session of
//! its own, deaf to the signals that end programs, and the last that the kernel would choose to kill.
//! It learns of our end, however it comes, by its end of a pipe, disarms, lets go, and ends.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The hidden subcommand under which this program is a guardian.
pub const SUBCOMMAND: &str = "guardian";

/// Starts this program anew as a guardian, with pipes to its standard input and output. Closing its
/// input ends it.
pub fn spawn() -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg0("leakspy-guardian")
        .arg(OsStr::new(SUBCOMMAND))
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
