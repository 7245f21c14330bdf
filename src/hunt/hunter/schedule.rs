//! When the heap is captured.
//!
//! Four times within the duration. If it is still undecided then whether something leaks, and the hunt may last
//! longer, the duration doubles, with one more capture at its end: a cache that expires, or a buffer that is
//! flushed once a minute, has shown itself by then.

use std::time::Duration;

/// When the heap is captured, as fractions of the duration.
const CAPTURES_AT: [f64; 4] = [0.0, 0.25, 0.5, 1.0];
/// The captures within the duration.
pub const CAPTURES: usize = CAPTURES_AT.len();
/// The fewest captures that allow a verdict.
pub const FEWEST_CAPTURES: usize = 3;
/// The largest fraction of the duration that is reserved for the work of the last capture.
const MOST_RESERVED: f64 = 0.3;
/// The fraction of the duration for which suspects are watched: at least, even if a large heap makes the hunt
/// late; at most, for those of the last capture.
const WATCHED_SHARE: f64 = 0.25;
/// How often the resident set and the sizes of suspects are read: so many times in a hunt, within these bounds.
const READINGS: u32 = 600;
const SHORTEST_BETWEEN_READINGS: Duration = Duration::from_millis(50);
const LONGEST_BETWEEN_READINGS: Duration = Duration::from_secs(10);

/// The schedule of a hunt.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How long the first four captures take.
    duration: Duration,
    /// How long the hunt lasts at most.
    longest: Duration,
    /// When the capture after those is taken.
    next: Option<Duration>,
}

impl Schedule {
    /// A hunt of this duration, which may be extended up to `longest`.
    pub fn new(duration: Duration, longest: Duration) -> Schedule {
        Schedule { duration, longest, next: None }
    }

    /// A hunt of so many steps, each of which counts as a second.
    pub fn of_steps(steps: u32) -> Schedule {
        let duration = Duration::from_secs(u64::from(steps));
        Schedule { duration, longest: duration, next: None }
    }

    /// When the next capture is due, counted from the start of the hunt, after so many. `effort` is how long the
    /// last capture took, and suspects have been watched since `watched_since`.
    pub fn next(
        &self,
        captures: usize,
        effort: Duration,
        watched_since: Option<Duration>,
    ) -> Duration {
        let Some(&part) = CAPTURES_AT.get(captures) else {
            return self.next.unwrap_or(Duration::MAX);
        };
        let reserved = effort.min(self.duration.mul_f64(MOST_RESERVED));
        let due = self.duration.saturating_sub(reserved).mul_f64(part);
        match watched_since {
            Some(since) => due.max(since + self.watched()),
            None => due,
        }
    }

    /// For how long suspects are watched.
    pub fn watched(&self) -> Duration {
        self.duration.mul_f64(WATCHED_SHARE)
    }

    /// How long to wait between two readings.
    pub fn between_readings(&self) -> Duration {
        (self.duration / READINGS).clamp(SHORTEST_BETWEEN_READINGS, LONGEST_BETWEEN_READINGS)
    }

    /// Doubles the duration of a hunt that has lasted for `now`; false if that would be too long.
    pub fn extend(&mut self, now: Duration) -> bool {
        if now.saturating_add(self.watched()) > self.longest {
            return false;
        }
        let doubled = self.next.unwrap_or(self.duration).saturating_mul(2);
        self.next = Some(doubled.max(now + self.watched()).min(self.longest));
        true
    }

    /// When the hunt ends, as far as is known.
    pub fn end(&self) -> Duration {
        self.next.unwrap_or(self.duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn four_captures_lie_within_the_duration() {
        let schedule = Schedule::new(S(40), S(40));
        let due: Vec<_> = (0..5).map(|done| schedule.next(done, Duration::ZERO, None)).collect();
        assert_eq!(due, [S(0), S(10), S(20), S(40), Duration::MAX]);
        assert_eq!(schedule.next(3, S(60), None), S(28));
        assert_eq!(schedule.next(3, S(60), Some(S(35))), S(45));
    }

    #[test]
    fn an_undecided_hunt_goes_on_as_long_as_it_may() {
        let mut schedule = Schedule::new(S(30), S(180));
        let mut ends = Vec::new();
        let mut now = S(31);
        while schedule.extend(now) {
            now = schedule.next(CAPTURES + ends.len(), Duration::ZERO, None);
            ends.push(now);
        }
        assert_eq!(ends, [S(60), S(120), S(180)]);
        assert!(!Schedule::new(S(30), S(30)).extend(S(30)));
    }
}
