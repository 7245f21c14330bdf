//! The signals on which a command that goes on for a while comes to its end.

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

/// How often a signal is looked for.
pub const TICK: Duration = Duration::from_millis(50);

/// The signals on which a recording ends. A second one ends leakspy at once.
pub struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
    /// Can be read from the first signal on, and never is.
    woken: PipeReader,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> io::Result<Signals> {
        let (woken, wake) = io::pipe()?;
        let flag = |signals: &[i32]| -> io::Result<Arc<AtomicBool>> {
            let came = Arc::new(AtomicBool::new(false));
            for &signal in signals {
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&came))?;
                flag::register(signal, Arc::clone(&came))?;
                // After the flag: whoever is woken finds it set.
                low_level::pipe::register(signal, wake.try_clone()?)?;
            }
            Ok(came)
        };
        Ok(Signals { interrupt: flag(&[SIGINT])?, terminate: flag(&[SIGTERM, SIGHUP])?, woken })
    }

    /// Sleeps until a moment, or until a signal comes. Nothing wakes up in between: who waits long costs
    /// nothing.
    pub fn sleep_until(&self, end: Instant) {
        while !self.came() {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            let mut woken = [PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
            // Interrupted or not, the loop looks at what there is.
            let _ = ppoll(&mut woken, Some(rest.into()), None);
        }
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) || self.terminate.load(Ordering::Relaxed)
    }

    /// Waits for a command to end. It got a Ctrl-C as we did, but not a signal that was sent to us.
    pub fn wait_for(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.terminate.load(Ordering::Relaxed) && !told {
                told = true;
                // It fails only if the command has ended, and then there is nobody to tell.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            }
            thread::sleep(TICK);
        }
    }
}
