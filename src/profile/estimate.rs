//! From samples to totals and shares, with the intervals in which the truth lies.
//!
//! Bursts that begin at an instant and bursts that begin at an allocation are two estimates of the same
//! thing. The latter are taken wherever there are enough of them; the former, where they are few and the
//! pace of the target is known better. Within each, bursts are independent, so totals and shares are ratio
//! estimates, and the scatter of bursts gives their variance ([`precision`](super::precision)).

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHasher};

use super::precision::{Accuracy, Between, Precision};
use super::samples::{Burst, Start, Ticked};
use super::stacks::{By, Profile, Stack, Weight};
use super::yardstick;

/// Fewer bursts show no scatter.
const FEWEST_BURSTS: f64 = 5.0;
/// With as many bursts that began at an allocation, no others are needed.
const ENOUGH_BURSTS: f64 = 25.0;
/// The pace is known where the weights of bursts are right up to this factor.
const KNOWN_PACE: f64 = 1.5;
/// What no burst has shown yet may still be the greater part if there are only as many.
const UNSEEN: f64 = 5.0;
/// A total that comes from fewer bursts in effect may be of any size.
const TELLING_BURSTS: f64 = 8.0;
/// The share that an allocator's short path takes from a block to the next, against that of another: programs
/// of different kinds were within 1.6 of each other in nine of ten cases.
const UNLIKE_PATHS: f64 = 2.2;
/// How many [steps](yardstick::step) the short path takes: likely, at least and at most. One is the least that is
/// possible, as a block's link is read before the next one is given out; a loop of `object()` takes 1.9 on 3.15.
const STEPS: f64 = 5.5;
const STEPS_BETWEEN: (f64, f64) = (1.5, 11.0);
/// A function with a share between these shows how bursts differ.
const TELLING: std::ops::Range<f64> = 0.03..0.97;

/// The sums of a recording.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    at_instants: Estimate,
    at_allocations: Estimate,
    ticks: Ticked,
    samples: u64,
    /// Seconds that the target stood still.
    still: f64,
    /// Nanoseconds that threads stood still for samples: in total, and the longest for one.
    pauses: u64,
    longest_pause: u64,
}

/// What was estimated for a time.
#[derive(Debug, Clone)]
pub struct Estimated {
    /// The stacks.
    pub profile: Profile,
    /// How far they may be off.
    pub accuracy: Accuracy,
}

/// The sums over bursts of one kind. Arrays are by bytes and by objects.
#[derive(Debug, Clone, Default)]
struct Estimate {
    profile: Profile,
    bursts: f64,
    /// Those of them that showed something. Many begin in a gap that says nothing about the pace.
    telling: f64,
    seconds: f64,
    sums: [Sums; 2],
    functions: FxHashMap<u64, [OfFunction; 2]>,
    /// By which factors what a burst stands for may be too small and too large.
    too_small: f64,
    too_large: f64,
}

/// Sums over bursts.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    total: f64,
    squares: f64,
    /// The total times the share that one sample has in its burst.
    noise: f64,
    /// The same as the total, at least and at most.
    least: f64,
    most: f64,
    seconds_squared: f64,
    products: f64,
    /// The samples of unknown size.
    missing: f64,
}

/// The same for a function and its callees.
#[derive(Debug, Clone, Copy, Default)]
struct OfFunction {
    total: f64,
    squares: f64,
    products: f64,
    /// The squares, each divided by the burst's total.
    shares: f64,
}

impl Sums {
    /// How many bursts of equal weight would be as good.
    fn in_effect(&self) -> f64 {
        self.total * self.total / self.squares.max(f64::MIN_POSITIVE)
    }
}

const BY: [By; 2] = [By::Bytes, By::Objects];

impl Estimate {
    fn add(&mut self, burst: &Burst, samples: &[(Stack, Weight, bool)]) {
        let seconds = burst.stands_for as f64 * 1e-9;
        self.bursts += 1.0;
        self.seconds += seconds;
        let mut of_burst: FxHashMap<u64, Weight> = FxHashMap::default();
        let (mut total, mut squares, mut unknown) = (Weight::default(), Weight::default(), 0.0);
        for (stack, weight, known) in samples {
            total += *weight;
            squares += Weight { bytes: weight.bytes.powi(2), objects: weight.objects.powi(2) };
            unknown += if *known { 0.0 } else { weight.objects };
            for key in functions(stack) {
                *of_burst.entry(key).or_default() += *weight;
            }
            self.profile.add(stack.clone(), *weight);
        }
        let (least, most) = burst.between;
        for (by, sums) in BY.into_iter().zip(&mut self.sums) {
            let all = total.by(by);
            sums.total += all;
            sums.squares += all * all;
            sums.noise += if all > 0.0 { squares.by(by) / all } else { 0.0 };
            sums.least += all * least;
            sums.most += all * most;
            sums.seconds_squared += seconds * seconds;
            sums.products += all * seconds;
            sums.missing += all * unknown / total.objects.max(f64::MIN_POSITIVE);
        }
        for (key, own) in of_burst {
            let sums = self.functions.entry(key).or_default();
            for (by, sums) in BY.into_iter().zip(sums) {
                let (own, all) = (own.by(by), total.by(by));
                sums.total += own;
                sums.squares += own * own;
                sums.products += own * all;
                sums.shares += if all > 0.0 { own * own / all } else { 0.0 };
            }
        }
        if total.objects > 0.0 {
            self.telling += 1.0;
            self.too_small = self.too_small.max(most);
            self.too_large = self.too_large.max(least.recip());
        }
    }

    /// By which factor the weights of two bursts may be wrong against each other.
    fn factor(&self) -> f64 {
        self.too_small * self.too_large
    }

    /// How many bursts of equal weight would be as good.
    fn in_effect(&self) -> f64 {
        let [_, objects] = self.sums;
        objects.in_effect()
    }

    fn precision(&self, number: usize, factor: f64) -> Precision {
        let Some(sums) = self.sums.get(number).filter(|sums| sums.total > 0.0) else {
            return Precision::NONE;
        };
        if self.telling < FEWEST_BURSTS {
            return Precision::NONE;
        }
        let total = sums.total;
        let noise = sums.noise / total;
        let bursts = self.telling;
        let few = bursts / (bursts - 1.0) * (1.0 + 2.0 / bursts).powi(2);
        // At least as if samples were independent.
        let mut variance = noise * sums.squares / (total * total);
        let mut between_bursts = 0.0_f64;
        for of in self.functions.values().filter_map(|of| of.get(number)) {
            let share = of.total / total;
            if !TELLING.contains(&share) {
                continue;
            }
            let whole = share * (1.0 - share);
            let residue = of.squares - 2.0 * share * of.products + share * share * sums.squares;
            variance = variance.max(residue / (total * total) / whole);
            let scatter = of.shares / total - share * share - noise * whole;
            between_bursts = between_bursts.max(scatter / whole);
        }
        let between_bursts = between_bursts.clamp(0.0, 1.0);
        let unseen = between_bursts.max(UNSEEN / bursts).min(1.0) / bursts;
        Precision { variance: (variance * few).max(unseen), between_bursts, factor }
    }

    /// The relative standard error of the total per second.
    fn error_per_second(&self, sums: &Sums) -> f64 {
        if self.bursts < 2.0 || sums.total <= 0.0 || self.seconds <= 0.0 {
            return f64::INFINITY;
        }
        let ratio = sums.total / self.seconds;
        let residue =
            sums.squares - 2.0 * ratio * sums.products + ratio * ratio * sums.seconds_squared;
        let variance = residue.max(0.0) * self.bursts / (self.bursts - 1.0);
        (variance.sqrt() / sums.total).hypot(sums.missing / sums.total)
    }

    /// The relative standard error of the bytes of an allocation, and how much it scatters among bursts.
    fn scatter_of_size(&self) -> (f64, f64) {
        let [bytes, _] = &self.sums;
        let mean = bytes.total / self.bursts;
        let variance = (bytes.squares / self.bursts - mean * mean).max(0.0);
        let scatter = variance.sqrt() / mean.max(f64::MIN_POSITIVE);
        let missing = bytes.missing / bytes.total.max(f64::MIN_POSITIVE);
        ((scatter / self.bursts.sqrt()).hypot(missing), scatter)
    }
}

/// Of how many events there are on average if so many were seen, the lower end, relative to what was seen: that of a
/// Poisson distribution in 39 of 40 cases, as Byar approximates it.
fn fewer_than(seen: f64) -> f64 {
    let seen = seen.max(1.0);
    (1.0 - 1.0 / (9.0 * seen) - 1.96 / (3.0 * seen.sqrt())).max(0.0).powi(3)
}

/// The functions of a stack, each once, and the innermost with its line.
fn functions(stack: &Stack) -> Vec<u64> {
    let hash = |of: &dyn Fn(&mut FxHasher)| {
        let mut hasher = FxHasher::default();
        of(&mut hasher);
        hasher.finish()
    };
    let name =
        |frame: &crate::python::Frame| hash(&|hasher| (&frame.function, &frame.file).hash(hasher));
    let mut keys: Vec<u64> = stack.frames.iter().map(name).collect();
    keys.extend(stack.frames.first().map(|frame| hash(&|hasher| frame.hash(hasher))));
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl Tally {
    /// Adds a burst. `stack` returns the stack of its sample with that index; `None` leaves the sample out.
    pub fn add(&mut self, burst: &Burst, mut stack: impl FnMut(usize) -> Option<Stack>) {
        self.still += burst.still as f64 * 1e-9;
        self.ticks.ran += burst.ticks.ran;
        self.ticks.number += burst.ticks.number;
        self.ticks.inside += burst.ticks.inside;
        self.ticks.allocating += burst.ticks.allocating;
        let mut samples = Vec::with_capacity(burst.samples.len());
        for (number, sample) in burst.samples.iter().enumerate() {
            self.samples += 1;
            self.pauses = self.pauses.saturating_add(sample.pause);
            self.longest_pause = self.longest_pause.max(sample.pause);
            if sample.inner {
                continue;
            }
            let Some(stack) = stack(number) else { continue };
            let objects = sample.stands_for;
            let bytes = objects * sample.bytes.unwrap_or(0) as f64;
            samples.push((stack, Weight { bytes, objects }, sample.bytes.is_some()));
        }
        match burst.start {
            Start::Instant => self.at_instants.add(burst, &samples),
            Start::Allocation if samples.is_empty() => {}
            Start::Allocation => self.at_allocations.add(burst, &samples),
        }
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

    /// What is estimated for a recording of this duration.
    pub fn into_estimate(self, duration: Duration) -> Estimated {
        let own = (duration.as_secs_f64() - self.still).max(0.0);
        if self.ticks.ran > 0 && self.prefers_allocations() {
            return self.estimated_by_allocations(own);
        }
        let factor = self.at_instants.factor();
        let estimate = self.at_instants;
        let scale = if estimate.seconds > 0.0 { own / estimate.seconds } else { 0.0 };
        let shares = [0, 1].map(|number| estimate.precision(number, factor));
        let totals = estimate.sums.map(|sums| {
            let chance = 2.0 * estimate.error_per_second(&sums);
            let least = sums.least / (1.0 + chance);
            match sums.in_effect() {
                in_effect if in_effect > TELLING_BURSTS => {
                    Between::new(least, sums.most * (1.0 + chance))
                }
                in_effect => Between::new(least * fewer_than(in_effect), f64::INFINITY),
            }
            .times(scale)
        });
        let mut profile = estimate.profile;
        profile.scale(scale);
        Estimated { profile, accuracy: Accuracy { totals, shares } }
    }

    /// Whether there are enough bursts that began at an allocation, or the pace is not known well in the others.
    fn prefers_allocations(&self) -> bool {
        let (these, others) = (&self.at_allocations, &self.at_instants);
        let is_known = others.factor() < KNOWN_PACE && others.in_effect() >= ENOUGH_BURSTS;
        these.bursts >= if is_known { ENOUGH_BURSTS } else { FEWEST_BURSTS }
    }

    /// The time in the allocator shows how often it was called.
    fn estimated_by_allocations(self, own: f64) -> Estimated {
        let Tally { at_allocations: estimate, ticks, .. } = self;
        let step = yardstick::step().max(1e-10);
        let allocating = own * ticks.allocating as f64 / ticks.ran.max(1) as f64;
        let likely = allocating / (STEPS * step);
        let chance = 2.0 / (ticks.inside as f64).sqrt();
        let objects = Between::new(
            allocating / (STEPS_BETWEEN.1 * step) / (1.0 + chance),
            allocating / (STEPS_BETWEEN.0 * step) * (1.0 + chance),
        );
        let shares = [0, 1].map(|number| estimate.precision(number, UNLIKE_PATHS));
        let [bytes, counted] = estimate.sums;
        let size = bytes.total / counted.total.max(f64::MIN_POSITIVE);
        let (error, scatter) = estimate.scatter_of_size();
        let spread = (UNLIKE_PATHS - 1.0) / (2.0 * UNLIKE_PATHS.sqrt());
        let off = 2.0 * error + spread * scatter;
        let of_bytes = Between::new(
            objects.least * size / (1.0 + off),
            objects.most.map_or(f64::INFINITY, |most| most * size * (1.0 + off)),
        );
        let mut profile = estimate.profile;
        profile.scale(likely / counted.total.max(f64::MIN_POSITIVE));
        let totals = [of_bytes, objects];
        Estimated { profile, accuracy: Accuracy { totals, shares } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Call, Sample};
    use super::*;
    use crate::python::Frame;

    fn sample(bytes: u64, stands_for: f64) -> Sample {
        Sample {
            tid: 1,
            pthread: 1,
            call: Call::Malloc,
            bytes: Some(bytes),
            caller: 0,
            inner: false,
            stands_for,
            pause: 50_000,
            frames: Vec::new(),
            complete: true,
        }
    }

    /// A burst of a millisecond, in which the target was stopped for another half; ten samples that stand for
    /// 11 allocations each.
    fn at_an_instant() -> Burst {
        Burst {
            stands_for: 1_000_000,
            still: 500_000,
            between: (1.0, 1.0),
            samples: vec![sample(64, 11.0); 10],
            ..Burst::default()
        }
    }

    /// A burst after a tick in the allocator, one of ten ticks in 70 ms.
    fn at_an_allocation(samples: u64) -> Burst {
        let each = 1.0 / samples as f64;
        Burst {
            start: Start::Allocation,
            between: (1.0, 1.0),
            ticks: Ticked { ran: 70_000_000, number: 10, inside: 1, allocating: 7_000_000 },
            samples: (0..samples).map(|_| sample(64, each)).collect(),
            ..Burst::default()
        }
    }

    fn stack(function: &str) -> Stack {
        let frame = Frame::new(function, "app.py", Some(1));
        Stack { frames: vec![frame], ..Stack::default() }
    }

    fn estimate(tally: Tally, seconds: u64) -> (Weight, Accuracy) {
        let estimated = tally.into_estimate(Duration::from_secs(seconds));
        (estimated.profile.total(), estimated.accuracy)
    }

    #[test]
    fn totals_are_what_was_seen_times_the_time_that_was_not_looked_at() {
        let mut tally = Tally::default();
        (0..10).for_each(|_| tally.add(&at_an_instant(), |_| Some(stack("site"))));
        let (total, accuracy) = estimate(tally, 10);
        let own_milliseconds = 10_000.0 - 5.0;
        assert!((total.objects - 110.0 * own_milliseconds).abs() < 1.0, "{total:?}");
        assert!((total.bytes - 64.0 * total.objects).abs() < 1.0, "{total:?}");
        let objects = accuracy.total(By::Objects);
        assert!((objects.least - total.objects).abs() < 1.0, "equal bursts: {objects:?}");
    }

    #[test]
    fn what_the_allocator_asked_of_itself_is_not_counted_twice() {
        let mut tally = Tally::default();
        let mut burst = at_an_instant();
        burst.samples.iter_mut().skip(1).for_each(|sample| sample.inner = true);
        tally.add(&burst, |_| Some(stack("site")));
        let (total, _) = estimate(tally, 1);
        assert!((total.objects - 11.0 * 999.5).abs() < 0.1, "{total:?}");
    }

    #[test]
    fn a_pace_that_is_not_known_has_no_upper_end() {
        let mut tally = Tally::default();
        let dense = Burst { between: (0.5, 90.0), ..at_an_instant() };
        (0..10).for_each(|_| tally.add(&dense, |_| Some(stack("site"))));
        let (total, accuracy) = estimate(tally, 10);
        let objects = accuracy.total(By::Objects);
        assert!((objects.least / total.objects - 0.5).abs() < 0.01, "{objects:?}");
        assert_eq!(objects.most, None);
        let none = Tally::default().into_estimate(Duration::from_secs(1)).accuracy;
        assert_eq!(none.of_share(By::Objects, 0.5), (0.0, 1.0));
    }

    #[test]
    fn bursts_that_begin_at_an_allocation_stand_for_equally_many() {
        let mut tally = Tally::default();
        for number in 0..400 {
            // A quarter of all allocations are in `rare`, however many samples a burst has.
            let (burst, site) = match number % 4 {
                0 => (at_an_allocation(2), "rare"),
                _ => (at_an_allocation(8), "often"),
            };
            tally.add(&burst, |_| Some(stack(site)));
        }
        let estimated = tally.into_estimate(Duration::from_secs(28));
        let total = estimated.profile.total();
        let share = estimated.profile.weight(&stack("rare")).objects / total.objects;
        assert!((share - 0.25).abs() < 1e-6, "{share}");
        // It allocates for a tenth of the time.
        let objects = estimated.accuracy.total(By::Objects);
        let in_allocator = 2.8 / (STEPS * total.objects);
        assert!((0.1e-9..20e-9).contains(&in_allocator), "{in_allocator} s for a step");
        assert!(objects.least < 0.6 * total.objects, "{objects:?}");
        assert!(objects.most.is_some_and(|most| most > 1.8 * total.objects), "{objects:?}");
        // Each burst sees one site, so their weights matter as well as chance.
        let (low, high) = estimated.accuracy.of_share(By::Objects, 0.25);
        assert!(low < 0.15 && high > 0.37, "{low} … {high}");
    }

    #[test]
    fn samples_of_one_burst_are_not_independent() {
        let width = |mixed: bool| {
            let mut tally = Tally::default();
            for burst in 0..100_usize {
                let site = |sample: usize| if mixed { sample % 2 } else { burst % 2 };
                tally
                    .add(&at_an_allocation(8), |number| Some(stack(["odd", "even"][site(number)])));
            }
            let (low, high) = estimate(tally, 10).1.of_share(By::Objects, 0.5);
            high - low
        };
        assert!(width(false) > 2.0 * width(true), "{} and {}", width(false), width(true));
    }

    #[test]
    fn few_bursts_may_be_many_times_too_many() {
        // Exact ends, relative: 0.24 of 2, 1.62 of 5, 3.45 of 8.
        for (seen, exact) in [(2.0, 0.121), (5.0, 0.325), (8.0, 0.432)] {
            assert!((fewer_than(seen) - exact).abs() < 0.01, "{seen}: {}", fewer_than(seen));
        }
        let mut tally = Tally::default();
        let empty = Burst { samples: Vec::new(), ..at_an_instant() };
        (0..50).for_each(|_| tally.add(&empty, |_| None));
        (0..5).for_each(|_| tally.add(&at_an_instant(), |_| Some(stack("site"))));
        let (total, accuracy) = estimate(tally, 10);
        let objects = accuracy.total(By::Objects);
        assert!(objects.least < 0.2 * total.objects && objects.most.is_none(), "{objects:?}");
    }

    #[test]
    fn bursts_without_samples_say_nothing_about_shares() {
        let mut tally = Tally::default();
        (0..FEWEST_BURSTS as u32 - 1)
            .for_each(|_| tally.add(&at_an_instant(), |_| Some(stack("site"))));
        let empty = Burst { samples: Vec::new(), ..at_an_instant() };
        (0..100).for_each(|_| tally.add(&empty, |_| None));
        assert_eq!(estimate(tally, 10).1.of_share(By::Objects, 1.0), (0.0, 1.0));
    }

    #[test]
    fn pauses_are_those_of_the_samples() {
        let mut tally = Tally::default();
        let mut burst = at_an_instant();
        burst.samples.truncate(3);
        burst.samples[1].pause = 80_000;
        tally.add(&burst, |_| Some(stack("site")));
        assert_eq!(tally.pauses(), Duration::from_micros(180));
        assert_eq!(tally.longest_pause(), Duration::from_micros(80));
        assert_eq!(tally.still(), Duration::from_micros(500), "counting takes its time too");
    }
}
