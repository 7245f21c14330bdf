//! From samples to totals: what the samples of all windows come to, and how well it is known.
//!
//! Each window is an independent look at the target, so the totals are ratio estimates: what was
//! seen in all windows, over the time that they span, times the time recorded. How much the windows
//! differ gives the error. The number of allocations in them was counted, not sampled, and what was
//! sampled is scaled to it.

use std::time::Duration;

use super::messages::Window;
use super::stacks::{By, Profile, Stack, Weight};

/// The sums of a recording.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    profile: Profile,
    samples: u64,
    /// Allocations that were counted, and those that the samples stand for.
    counted: f64,
    stood_for: f64,
    /// Seconds of windows; of the target standing still.
    seconds: f64,
    still: f64,
    longest_pause: u64,
    bytes: Ratio,
    objects: Ratio,
}

/// The sums from which the error of a ratio to time follows.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    windows: f64,
    values: f64,
    squares: f64,
    seconds: f64,
    seconds_squared: f64,
    products: f64,
}

impl Ratio {
    fn add(&mut self, value: f64, seconds: f64) {
        self.windows += 1.0;
        self.values += value;
        self.squares += value * value;
        self.seconds += seconds;
        self.seconds_squared += seconds * seconds;
        self.products += value * seconds;
    }

    /// The relative standard error; `None` with too little to tell.
    fn error(&self) -> Option<f64> {
        if self.windows < 2.0 || self.values <= 0.0 || self.seconds <= 0.0 {
            return None;
        }
        let ratio = self.values / self.seconds;
        let residue =
            self.squares - 2.0 * ratio * self.products + ratio * ratio * self.seconds_squared;
        let variance = residue.max(0.0) * self.windows / (self.windows - 1.0);
        Some(variance.sqrt() / self.values)
    }
}

impl Tally {
    /// Adds a window. `stack` tells the stack of the sample with that number in it; `None` leaves
    /// the sample out.
    pub fn add(&mut self, window: &Window, mut stack: impl FnMut(usize) -> Option<Stack>) {
        let seconds = window.length as f64 * 1e-9;
        self.seconds += seconds;
        self.still += window.still as f64 * 1e-9;
        self.counted += window.hits as f64;
        let mut sum = Weight::default();
        for (number, sample) in window.samples.iter().enumerate() {
            let each = 1.0 / window.chance.max(f64::MIN_POSITIVE);
            self.samples += 1;
            self.stood_for += each;
            self.longest_pause = self.longest_pause.max(sample.pause);
            if sample.inner {
                continue;
            }
            let Some(stack) = stack(number) else { continue };
            let objects = each * sample.factor;
            let weight = Weight { objects, bytes: objects * sample.bytes as f64 };
            self.profile.add(stack, weight);
            sum += weight;
        }
        self.bytes.add(sum.bytes, seconds);
        self.objects.add(sum.objects, seconds);
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How long the target stood still so far, for stops and for counted hits.
    pub fn still(&self) -> Duration {
        Duration::try_from_secs_f64(self.still).unwrap_or_default()
    }

    /// How long it stood still for one sample on average, what was only counted on its way included.
    pub fn mean_pause(&self) -> Duration {
        self.still()
            .checked_div(u32::try_from(self.samples).unwrap_or(u32::MAX))
            .unwrap_or_default()
    }

    /// The longest time that a thread stood still for one sample.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_nanos(self.longest_pause)
    }

    /// The relative standard error of the estimated totals: 0.03 is 3 %.
    pub fn error(&self, by: By) -> Option<f64> {
        match by {
            By::Bytes => self.bytes.error(),
            By::Objects => self.objects.error(),
        }
    }

    /// The stacks with the totals estimated for a recording of this duration.
    pub fn into_profile(self, duration: Duration) -> Profile {
        let mut profile = self.profile;
        let own = (duration.as_secs_f64() - self.still).max(0.0);
        let counted = if self.stood_for > 0.0 { self.counted / self.stood_for } else { 1.0 };
        let times = if self.seconds > 0.0 { own / self.seconds } else { 0.0 };
        profile.scale(counted * times);
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::messages::{Call, Sample};

    fn sample(bytes: u64) -> Sample {
        Sample {
            tid: 1,
            pthread: 1,
            call: Call::Malloc,
            bytes,
            caller: 0,
            inner: false,
            factor: 1.0,
            pause: 50_000,
            frames: Vec::new(),
            complete: true,
        }
    }

    fn window(hits: u64, samples: Vec<Sample>) -> Window {
        let (length, still) = (1_000_000, 500_000);
        Window { length, lasted: length, still, hits, chance: 0.1, samples }
    }

    fn stack(_: usize) -> Option<Stack> {
        Some(Stack::default())
    }

    #[test]
    fn totals_are_what_was_counted_times_the_time_that_was_not_looked_at() {
        let mut tally = Tally::default();
        // Ten samples stand for a hundred; there were 110 in a millisecond.
        tally.add(&window(110, vec![sample(64); 10]), stack);
        let total = tally.into_profile(Duration::from_millis(10_000)).total();
        let own_milliseconds = 10_000.0 - 0.5;
        assert!((total.objects - 110.0 * own_milliseconds).abs() < 1.0, "{total:?}");
        assert!((total.bytes - 64.0 * total.objects).abs() < 1.0, "{total:?}");
    }

    #[test]
    fn what_the_allocator_asked_of_itself_is_not_counted_twice() {
        let mut tally = Tally::default();
        let mut samples = vec![sample(64); 2];
        samples[1].inner = true;
        tally.add(&window(20, samples), stack);
        let total = tally.into_profile(Duration::from_micros(1_500)).total();
        assert!((total.objects - 10.0).abs() < 0.01, "{total:?}");
    }

    #[test]
    fn equal_windows_have_no_error_and_different_ones_have_theirs() {
        let mut even = Tally::default();
        let mut odd = Tally::default();
        for number in 0..100 {
            even.add(&window(10, vec![sample(100)]), stack);
            odd.add(&window(10, vec![sample(100); if number % 2 == 0 { 2 } else { 0 }]), stack);
        }
        assert!(even.error(By::Bytes).is_some_and(|error| error < 1e-6));
        // A deviation of 100 % for each of a hundred windows: 10 % for their sum.
        assert!(odd.error(By::Bytes).is_some_and(|error| (error - 0.1).abs() < 0.001));
        assert_eq!(Tally::default().error(By::Bytes), None);
    }

    #[test]
    fn pauses_are_those_of_the_samples() {
        let mut tally = Tally::default();
        tally.add(&window(110, vec![sample(64); 10]), stack);
        assert_eq!(tally.mean_pause(), Duration::from_micros(50));
        assert_eq!(tally.longest_pause(), Duration::from_micros(50));
        assert_eq!(Tally::default().mean_pause(), Duration::ZERO);
    }
}
