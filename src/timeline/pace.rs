//! How often something that costs is done: seldom enough that all of it costs little.

use std::time::{Duration, Instant};

/// What is done so seldom that it takes no more than this part of the time.
const PART: u32 = 100;

/// Something that is done again and again.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// It is to be done every so often, or more seldom.
    pub fn new(interval: Duration) -> Pace {
        Pace { interval, next: None }
    }

    /// Does it if it is time.
    pub fn when_due<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let began = Instant::now();
        if self.next.is_some_and(|next| began < next) {
            return None;
        }
        let done = work();
        self.next = Some(began + self.interval.max(began.elapsed().saturating_mul(PART)));
        Some(done)
    }

    /// From now on it is to be done more seldom, but at least so often.
    pub fn slow_down(&mut self, most: Duration) {
        self.interval = self.interval.saturating_mul(2).min(most);
    }

    /// It may be done at once.
    pub fn hurry(&mut self, interval: Duration) {
        *self = Pace::new(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_is_done_the_more_seldom() {
        let mut pace = Pace::new(Duration::ZERO);
        assert_eq!(pace.when_due(|| std::thread::sleep(Duration::from_millis(20))), Some(()));
        assert_eq!(pace.when_due(|| ()), None);
        pace.hurry(Duration::from_secs(60));
        assert_eq!(pace.when_due(|| 1), Some(1));
        assert_eq!(pace.when_due(|| 2), None);
    }
}
