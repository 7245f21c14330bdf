//! The moment of a capture: a pause in which the collector's lists can be followed.
//!
//! A pause that falls into a garbage collection is ended at once and tried again. But a collection is over only
//! when the finalizers that it calls have returned, and a finalizer can wait for ever. Since a finalizer is
//! Python code, the lists are whole while it runs: after a second a capture is taken all the same.

use std::thread;
use std::time::{Duration, Instant};

use super::options::{CaptureError, Delay};
use crate::process::Process;
use crate::python::Python;
use crate::python::pause::PythonPause;

/// After how long a capture is taken although a collection is running: if the lists are whole, and if they are
/// not. (Their forward links lead to every object all the same, except those found unreachable.)
const PATIENCE: Duration = Duration::from_secs(1);
const MOST_PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// A pause for a capture.
#[derive(Debug)]
pub struct Moment {
    /// The pause.
    pub pause: PythonPause,
    /// How long the pauses before it took, which were given up.
    pub wasted: Duration,
    /// How long a collection has been waited for, if it is still running.
    pub unfinished: Option<Duration>,
}

impl Moment {
    /// Pauses Python between collections, or during one that does not end.
    pub fn find(
        process: &Process,
        python: &Python,
        on_delay: Option<fn(i32, Delay)>,
    ) -> Result<Moment, CaptureError> {
        let began = Instant::now();
        let mut wasted = Duration::ZERO;
        let mut wait = Duration::from_millis(1);
        let mut tell = on_delay;
        loop {
            let pause = python.pause(process)?;
            let is_collecting = python.gc_is_collecting(process)?;
            let are_whole = match python.gc_lists_are_whole(process) {
                Err(error) if is_collecting && error.may_pass() => false,
                are_whole => are_whole?,
            };
            if are_whole && !is_collecting {
                return Ok(Moment { pause, wasted, unfinished: None });
            }
            let waited = began.elapsed();
            if waited >= if are_whole { PATIENCE } else { MOST_PATIENCE } {
                return Ok(Moment { pause, wasted, unfinished: Some(waited) });
            }
            wasted += pause.resume();
            if waited >= PATIENCE
                && let Some(tell) = tell.take()
            {
                tell(process.pid(), Delay::Waiting);
            }
            thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
