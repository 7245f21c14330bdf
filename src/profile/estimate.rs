//! From samples to totals: the estimate over all bursts, and its error.
//!
//! Bursts are independent, so the totals are ratio estimates: the sum over all bursts, divided by the time
//! that they stand for, times the time recorded. Their scatter gives one part of the error; the other is the
//! uncertainty of the target's own time, an error common to all bursts.

use std::time::Duration;

use super::samples::Burst;
use super::stacks::{By, Profile, Stack, Weight};

/// The sums of a recording.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    profile: Profile,
    samples: u64,
    /// Seconds that the bursts stand for, and that the target stood still.
    seconds: f64,
    still: f64,
    /// Nanoseconds that threads stood still for samples: in total, and the longest for one.
    pauses: u64,
    longest_pause: u64,
    bytes: Ratio,
    objects: Ratio,
}

/// The sums that give the error of a ratio to time.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    bursts: f64,
    values: f64,
    squares: f64,
    seconds: f64,
    seconds_squared: f64,
    products: f64,
    /// The sum of each value times its relative uncertainty.
    unsure: f64,
}

impl Ratio {
    fn add(&mut self, value: f64, seconds: f64, unsure: f64) {
        self.bursts += 1.0;
        self.values += value;
        self.squares += value * value;
        self.seconds += seconds;
        self.seconds_squared += seconds * seconds;
        self.products += value * seconds;
        self.unsure += value * unsure;
    }

    /// The relative standard error; `None` with too few bursts.
    fn error(&self) -> Option<f64> {
        if self.bursts < 2.0 || self.values <= 0.0 || self.seconds <= 0.0 {
            return None;
        }
        let ratio = self.values / self.seconds;
        let residue =
            self.squares - 2.0 * ratio * self.products + ratio * ratio * self.seconds_squared;
        let variance = residue.max(0.0) * self.bursts / (self.bursts - 1.0);
        Some((variance.sqrt() / self.values).hypot(self.unsure / self.values))
    }
}

impl Tally {
    /// Adds a burst. `stack` returns the stack of its sample with that index; `None` leaves the sample out.
    pub fn add(&mut self, burst: &Burst, mut stack: impl FnMut(usize) -> Option<Stack>) {
        let seconds = burst.stands_for as f64 * 1e-9;
        self.seconds += seconds;
        self.still += burst.still as f64 * 1e-9;
        let mut sum = Weight::default();
        let mut of_unknown_size = 0.0;
        for (number, sample) in burst.samples.iter().enumerate() {
            self.samples += 1;
            self.pauses = self.pauses.saturating_add(sample.pause);
            self.longest_pause = self.longest_pause.max(sample.pause);
            if sample.inner {
                continue;
            }
            let Some(stack) = stack(number) else { continue };
            let objects = sample.stands_for;
            if sample.bytes.is_none() {
                of_unknown_size += objects;
            }
            let weight = Weight { objects, bytes: objects * sample.bytes.unwrap_or(0) as f64 };
            self.profile.add(stack, weight);
            sum += weight;
        }
        // The bytes lack the samples of unknown size.
        let missing = of_unknown_size / sum.objects.max(f64::MIN_POSITIVE);
        self.bytes.add(sum.bytes, seconds, burst.unsure + missing);
        self.objects.add(sum.objects, seconds, burst.unsure);
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How long the target has stood still so far, for stops and for counted hits.
    pub fn still(&self) -> Duration {
        Duration::try_from_secs_f64(self.still).unwrap_or_default()
    }

    /// How long threads stood still for samples, one after the other.
    pub fn pauses(&self) -> Duration {
        Duration::from_nanos(self.pauses)
    }

    /// The longest time for which a thread stood still for one sample.
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
        profile.scale(if self.seconds > 0.0 { own / self.seconds } else { 0.0 });
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Call, Sample};
    use super::*;

    fn sample(bytes: u64) -> Sample {
        Sample {
            tid: 1,
            pthread: 1,
            call: Call::Malloc,
            bytes: Some(bytes),
            caller: 0,
            inner: false,
            stands_for: 11.0,
            pause: 50_000,
            frames: Vec::new(),
            complete: true,
        }
    }

    /// A burst of a millisecond, in which the target was stopped for another half.
    fn burst(samples: Vec<Sample>) -> Burst {
        let hits = 11 * samples.len() as u64;
        Burst { stands_for: 1_000_000, still: 500_000, unsure: 0.0, hits, samples }
    }

    fn stack(_: usize) -> Option<Stack> {
        Some(Stack::default())
    }

    #[test]
    fn totals_are_what_was_seen_times_the_time_that_was_not_looked_at() {
        let mut tally = Tally::default();
        // Ten samples that stand for 110 allocations in a millisecond.
        tally.add(&burst(vec![sample(64); 10]), stack);
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
        tally.add(&burst(samples), stack);
        let total = tally.into_profile(Duration::from_micros(1_500)).total();
        assert!((total.objects - 11.0).abs() < 0.01, "{total:?}");
    }

    #[test]
    fn equal_looks_have_no_error_and_different_ones_have_theirs() {
        let mut even = Tally::default();
        let mut odd = Tally::default();
        for number in 0..100 {
            even.add(&burst(vec![sample(100)]), stack);
            odd.add(&burst(vec![sample(100); if number % 2 == 0 { 2 } else { 0 }]), stack);
        }
        assert!(even.error(By::Bytes).is_some_and(|error| error < 1e-6));
        // A deviation of 100 % for each of a hundred bursts: 10 % for their sum.
        assert!(odd.error(By::Bytes).is_some_and(|error| (error - 0.1).abs() < 0.001));
        assert_eq!(Tally::default().error(By::Bytes), None);
        let mut unsure = Tally::default();
        for _ in 0..100 {
            unsure.add(&Burst { unsure: 0.2, ..burst(vec![sample(100)]) }, stack);
        }
        // An error common to all bursts is as large in their sum.
        assert!(unsure.error(By::Bytes).is_some_and(|error| (error - 0.2).abs() < 0.001));
        let mut unknown = Tally::default();
        for _ in 0..100 {
            let mut samples = vec![sample(100); 4];
            samples[0].bytes = None;
            unknown.add(&burst(samples), stack);
        }
        assert!(unknown.error(By::Bytes).is_some_and(|error| (error - 0.25).abs() < 0.001));
        assert!(unknown.error(By::Objects).is_some_and(|error| error < 1e-6));
    }

    #[test]
    fn pauses_are_those_of_the_samples() {
        let mut tally = Tally::default();
        let mut samples = vec![sample(64); 3];
        samples[1].pause = 80_000;
        tally.add(&burst(samples), stack);
        assert_eq!(tally.pauses(), Duration::from_micros(180));
        assert_eq!(tally.longest_pause(), Duration::from_micros(80));
        assert_eq!(tally.still(), Duration::from_micros(500), "counting takes its time too");
    }
}
