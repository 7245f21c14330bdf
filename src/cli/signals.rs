//! The signals that end a long-running command.

use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// How often to check for a signal.
pub const TICK: Duration = Duration::from_millis(50);

/// The signals that end a recording. A second one ends leakspy at once.
pub struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
    /// Readable from the first signal on; never read.
    woken: PipeReader,
}

impl Signals {
    /// Starts listening.
    pub fn listen() -> io::Result<Signals> {
        let (woken, wake) = io::pipe()?;
        let flag = |signals: &[i32]| -> io::Result<Arc<AtomicBool>> {
            let came = Arc::new(AtomicBool::new(false));
            for &signal in signals {
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&came))?;
                flag::register(signal, Arc::clone(&came))?;
                // After the flag, so that a woken thread finds it set.
                low_level::pipe::register(signal, wake.try_clone()?)?;
            }
            Ok(came)
        };
        Ok(Signals { interrupt: flag(&[SIGINT])?, terminate: flag(&[SIGTERM, SIGHUP])?, woken })
    }

    /// Sleeps until a moment, or until a signal comes. Nothing wakes it in between, so a long wait costs
    /// nothing.
    pub fn sleep_until(&self, end: Instant) {
        while !self.came() {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            let mut woken = [PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
            // Interrupted or not, the loop checks the state again.
            let _ = ppoll(&mut woken, Some(rest.into()), None);
        }
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) || self.terminate.load(Ordering::Relaxed)
    }

    /// Waits for a command to end. Like leakspy it got a Ctrl-C, but not a signal sent to leakspy alone.
    pub fn wait_for(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.terminate.load(Ordering::Relaxed) && !told {
                told = true;
                // It fails only if the command has ended, and then no signal is needed.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            }
            thread::sleep(TICK);
        }
    }
}
