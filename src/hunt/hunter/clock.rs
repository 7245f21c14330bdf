//! What a hunt measures growth by: time, or the steps of a test.

use std::time::{Duration, Instant};

/// A clock that counts seconds, or steps as if each took a second.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// Seconds since then.
    Time(Instant),
    /// Steps so far.
    Steps(u32),
}

impl Clock {
    /// The time since the hunt began; a second for each step.
    pub fn now(&self) -> Duration {
        match self {
            Clock::Time(began) => began.elapsed(),
            Clock::Steps(done) => Duration::from_secs(u64::from(*done)),
        }
    }

    /// The steps so far, if they are counted.
    pub fn steps(&self) -> Option<u32> {
        match self {
            Clock::Time(_) => None,
            Clock::Steps(done) => Some(*done),
        }
    }
}
