//! The time of day, and waiting for the next moment.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::signals::Signals;

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Moments at equal distances. A missed one is left out.
pub struct Clock {
    /// When it was started.
    pub begin: Instant,
    interval: Duration,
    next: Instant,
}

impl Clock {
    /// The first moment is now.
    pub fn start(interval: Duration) -> Clock {
        let begin = Instant::now();
        Clock { begin, interval, next: begin }
    }

    /// Waits for the next moment, for a signal, or until `most` after the beginning.
    pub fn wait(&mut self, signals: &Signals, most: Option<Duration>) {
        let now = Instant::now();
        while self.next <= now {
            // Catches up in one step, however far behind.
            let behind = now.duration_since(self.next).as_nanos() / self.interval.as_nanos().max(1);
            let steps = u32::try_from(behind).unwrap_or(u32::MAX).saturating_add(1);
            self.next += self.interval.saturating_mul(steps);
        }
        let end = most.map_or(self.next, |most| self.next.min(self.begin + most));
        signals.sleep_until(end);
    }
}
