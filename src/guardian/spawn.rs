//! How a guardian process is started, and what it does first to survive leakspy.
//!
//! A tracer that is killed while a breakpoint is armed can take its target with it: the next hit is a SIGTRAP
//! that nothing catches. leakspy may be killed at any moment: by Ctrl-C, by a service manager, by the kernel
//! when memory runs out. So all arming is done by another process, in a session of its own, which ignores the
//! signals that end programs and is the last one that the kernel would kill when memory runs out. When
//! leakspy ends, for whatever reason, a pipe breaks; the guardian then disarms, detaches and exits.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The argument that makes a program a guardian; the name of the work follows it.
pub(super) const ARGUMENT: &str = "--leakspy-guardian";

/// The program to start as a guardian. Its `main` must begin with
/// [`serve_if_guardian`](crate::serve_if_guardian), as that of the `leakspy` command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// A `leakspy` executable of the same version as this library.
    pub fn at(path: impl Into<PathBuf>) -> Program {
        Program(path.into())
    }

    /// The running program. Only `serve_if_guardian` may call this: any other program would run a second time
    /// instead of becoming a guardian.
    pub(crate) fn this_one() -> Program {
        Program("/proc/self/exe".into())
    }
}

/// Starts a guardian for this work, with pipes to its standard input and output. Closing its input ends it.
pub(super) fn spawn(program: &Program, work: &str) -> io::Result<Child> {
    Command::new(&program.0)
        .arg0("leakspy-guardian")
        .args([ARGUMENT, work])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Makes the calling process a guardian. Call it first, before there is a second thread.
pub(super) fn become_guardian() {
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
        // SAFETY: ignoring a signal installs no handler. It cannot fail for these.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    // This fails only for the leader of a process group, which a new child is not.
    let _ = nix::unistd::setsid();
    // Going below the inherited value needs privilege; without it the guardian is like any other process.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    // Windows are shorter than the kernel's default timer slack of 50 µs. SAFETY: prctl with integer
    // arguments.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1u64) };
}

/// Gives the calling process, a guardian, priority over others: while it waits for a processor, a thread of
/// the target may be stopped. Needs privilege; without it nothing changes.
pub(crate) fn go_first() {
    const PRIORITY: libc::c_int = -15;
    // SAFETY: a system call with integer arguments.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, PRIORITY) };
}
