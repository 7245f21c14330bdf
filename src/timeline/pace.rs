//! How often a costly read is repeated: rarely enough that its total cost stays small.

use std::time::{Duration, Instant};

/// Work may take at most one part in this many of the time.
const PART: u32 = 300;

/// Repeated work: in one go, or in a round of several pieces.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
    /// The current round: when it began, and the time its work has taken so far.
    round: Option<(Instant, Duration)>,
}

impl Pace {
    /// For work that is due at this interval, or less often if it takes long.
    pub fn new(interval: Duration) -> Pace {
        Pace { interval, next: None, round: None }
    }

    /// Begins a round if it is time.
    pub fn begin(&mut self) {
        let now = Instant::now();
        let is_due = self.next.is_none_or(|next| next <= now);
        self.round = is_due.then_some((now, Duration::ZERO));
    }

    /// Does a piece of work if a round is under way.
    pub fn work<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let (_, took) = self.round.as_mut()?;
        let began = Instant::now();
        let done = work();
        *took += began.elapsed();
        Some(done)
    }

    /// Ends a round: the longer its work took, the later the next one.
    pub fn end(&mut self) {
        if let Some((began, took)) = self.round.take() {
            self.next = Some(began + self.interval.max(took.saturating_mul(PART)));
        }
    }

    /// Does the work if it is due.
    pub fn when_due<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        self.begin();
        let done = self.work(work);
        self.end();
        done
    }

    /// Doubles the interval, up to `most`.
    pub fn slow_down(&mut self, most: Duration) {
        self.interval = self.interval.saturating_mul(2).min(most);
    }

    /// Makes the work due at once, and then at this interval.
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

    #[test]
    fn all_the_work_of_a_round_counts_and_nothing_else() {
        let work = Duration::from_millis(5);
        let mut pace = Pace::new(Duration::ZERO);
        pace.begin();
        for _ in 0..3 {
            assert_eq!(pace.work(|| std::thread::sleep(work)), Some(()));
        }
        std::thread::sleep(10 * work);
        let (began, took) = pace.round.expect("the round goes on");
        assert!(took >= 3 * work && took < began.elapsed() - 9 * work, "{took:?}");
        pace.end();
        assert_eq!(pace.next, Some(began + took * PART));
        assert_eq!(pace.work(|| ()), None);
    }
}
