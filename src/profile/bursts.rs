//! When to observe allocations, and how many each hit stands for.
//!
//! Not every allocation can be observed: a hit costs the target microseconds. "The next allocation" after a
//! random instant is not a fair sample either: a random instant tends to fall into a long gap, so allocations
//! that follow a long computation would be seen far too often. Nor can single gaps be measured to correct for
//! that: a gap may be a hundredth of the cost of a hit.
//!
//! So leakspy observes *bursts*. A burst begins at a random instant (a Poisson process) and lasts for
//! hundreds of hits, each of which stops the thread with equal probability. The samples in the middle of a
//! burst count most, the first and the last hardly at all (a triangle): a program that repeats itself within
//! a burst is then sampled correctly, wherever the burst began.
//!
//! Phases longer than a burst are weighted by their pace, hits over the target's own time. A gap longer than
//! the whole burst after it says nothing about the pace: of such a burst only the hit that ends the gap
//! counts, if it came soon enough to lie in a window of fixed length.
//!
//! The target's own time is elapsed time less the cost of the hits. That cost is known to a percent or two,
//! so among phases with less than that between allocations the denser ones are underestimated.
//!
//! A target that allocates so rarely that it can bear all its hits is observed all the time.

use std::time::Duration;

use super::samples::Start;

/// How many samples to take in a burst.
const SAMPLES: u32 = 60;
/// The fewest hits to count for each sample.
const HITS_PER_SAMPLE: f64 = 5.0;
/// The share of the target's time that counting hits may take, if that allows more of them.
const BUDGET: f64 = 0.005;
/// The length of one piece of continuous observation. New threads are taken up after each.
const PIECE: Duration = Duration::from_millis(50);
/// A burst is over after this time, even without all its samples. It takes 10 to 20 ms where the target has a
/// processor to itself.
const LONGEST: Duration = Duration::from_millis(250);
/// How well the cost of a hit is known, relative to it: no mean gap is assumed to be shorter.
const KNOWN: f64 = 0.01;
/// The hit that ends a gap counts only if it comes this soon after the beginning of a burst.
const SOON: Duration = Duration::from_micros(200);
/// The chance of each hit to stop, in a burst that begins at an allocation: nothing is counted there, and hits
/// that pass only keep the samples apart.
const PASSING_CHANCE: f64 = 0.4;
/// How much of the past a new burst leaves in the running means.
const MEMORY: f64 = 0.9;

/// The next burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How long to wait before it.
    pub wait: Duration,
    /// How much of the target's time it stands for; `None` for as long as it lasts.
    pub stands_for: Option<Duration>,
    /// The longest it may last.
    pub longest: Duration,
    /// The number of samples that ends it.
    pub samples: u32,
    /// The chance of each hit to stop its thread.
    pub chance: f64,
    /// Where it begins.
    pub start: Start,
}

/// The result of a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// How long it lasted by the clock.
    pub lasted: Duration,
    /// How long it lasted in the target's own time.
    pub own: Duration,
    /// How many hits there were.
    pub hits: u64,
}

/// Decides when the next burst begins, from the bursts so far.
#[derive(Debug, Clone)]
pub struct Planner {
    rate: f64,
    /// Hits a second that the target can bear.
    bearable: f64,
    hits: f64,
    own: f64,
    lasted: f64,
    bursts: f64,
}

impl Planner {
    /// A planner for `rate` samples a second. `cost` is the time of a hit that is only counted; zero where
    /// none is, because each hit stops its thread.
    pub fn new(rate: f64, cost: Duration) -> Planner {
        let cost = cost.as_secs_f64();
        let cheap = if cost > 0.0 { BUDGET / cost.max(1e-7) } else { 0.0 };
        let bearable = cheap.max(HITS_PER_SAMPLE * rate);
        Planner { rate, bearable, hits: 0.0, own: 0.0, lasted: 0.0, bursts: 0.0 }
    }

    /// The next burst.
    pub fn plan(&self, random: &mut fastrand::Rng) -> Plan {
        let samples = (SAMPLES as f64).min(self.rate.ceil()).max(1.0);
        let samples = samples as u32;
        let hits_per_second = if self.bursts > 0.0 { self.hits / self.own.max(1e-9) } else { 1e9 };
        if hits_per_second <= self.bearable {
            // All hits are counted, and as many as wanted become samples.
            let chance = (self.rate / hits_per_second.max(1e-9)).min(1.0);
            return Plan {
                wait: Duration::ZERO,
                stands_for: None,
                longest: PIECE,
                samples,
                chance,
                start: Start::Instant,
            };
        }
        let chance = self.rate / self.bearable;
        let between = f64::from(samples) / self.rate;
        let lasts = self.lasted / self.bursts.max(1.0);
        // The first burst comes soon, because nothing is known before it.
        let mean = if self.bursts > 0.0 { (between - lasts).max(0.0) } else { 0.02 };
        let stands_for = Some(Duration::from_secs_f64(between));
        let wait = exponential(random, mean);
        Plan { wait, stands_for, longest: LONGEST, samples, chance, start: Start::Instant }
    }

    /// A burst of `samples` that begins at an allocation, right now.
    pub fn at_an_allocation(&self, samples: u32) -> Plan {
        Plan {
            wait: Duration::ZERO,
            stands_for: None,
            longest: LONGEST,
            samples,
            chance: PASSING_CHANCE,
            start: Start::Allocation,
        }
    }

    /// Records the result of a burst.
    pub fn observe(&mut self, outcome: Outcome) {
        self.hits = self.hits * MEMORY + outcome.hits as f64;
        self.own = self.own * MEMORY + outcome.own.as_secs_f64();
        self.lasted = self.lasted * MEMORY + outcome.lasted.as_secs_f64();
        self.bursts = self.bursts * MEMORY + 1.0;
    }
}

/// The facts about a burst that decide how much its samples stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The target's own time before the first hit.
    pub gap: Duration,
    /// Its own time in all.
    pub own: Duration,
    /// Hits, including those that only passed.
    pub hits: u64,
    /// Samples.
    pub samples: usize,
    /// Whether time ended the burst before it had all its samples: then all hits in a window of fixed length
    /// were seen, and no gap is favoured.
    pub ended_by_time: bool,
}

/// How many allocations the first hit of a burst and each of its samples, in order, stand for, if the burst
/// stands for `time` of the target's own.
pub fn weights(seen: &Seen, time: Duration) -> (f64, Vec<f64>) {
    let rest = seen.own.saturating_sub(seen.gap);
    if seen.gap > rest && !seen.ended_by_time {
        let first = if seen.gap < SOON { time.as_secs_f64() / SOON.as_secs_f64() } else { 0.0 };
        return (first, vec![0.0; seen.samples]);
    }
    let middle = (seen.samples as f64 - 1.0) / 2.0;
    let shape = |number: usize| {
        let triangle = middle + 1.0 - (number as f64 - middle).abs();
        if seen.ended_by_time { 1.0 } else { triangle }
    };
    let sum: f64 = (0..seen.samples).map(shape).sum();
    let pace = seen.hits as f64 / seen.own.as_secs_f64().max(1e-9);
    let total = pace * time.as_secs_f64();
    (0.0, (0..seen.samples).map(|number| total * shape(number) / sum).collect())
}

/// The target's own time in a `time` without stops: that time less the cost of the hits.
pub fn own_time(time: Duration, hits: u64, cost: Duration) -> Duration {
    let cost = cost.as_secs_f64() * hits as f64;
    let own = time.as_secs_f64() - cost;
    Duration::try_from_secs_f64(own.max(cost * KNOWN)).unwrap_or_default()
}

/// An exponentially distributed time with this mean, in seconds.
fn exponential(random: &mut fastrand::Rng, mean: f64) -> Duration {
    let uniform = 1.0 - random.f64();
    Duration::try_from_secs_f64(-uniform.ln() * mean).unwrap_or_default()
}

/// How many hits pass before the one that stops, if each stops with `chance`.
pub fn hits_to_pass(random: &mut fastrand::Rng, chance: f64) -> u64 {
    if chance >= 1.0 {
        return 0;
    }
    let uniform = 1.0 - random.f64();
    let drawn = uniform.ln() / (1.0 - chance).ln();
    if drawn.is_finite() { drawn as u64 } else { u64::MAX >> 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_micros(15);

    /// Runs a program of (gap before it in microseconds, site) in a loop, and observes it in bursts, with a
    /// delay for each hit; returns the share of each site.
    fn observe(program: &[(f64, usize)], seconds: f64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut planner = Planner::new(100.0, COST);
        let round: f64 = program.iter().map(|(gap, _)| gap * 1e-6).sum();
        let ends: Vec<f64> = program
            .iter()
            .scan(0.0, |time, (gap, _)| {
                *time += gap * 1e-6;
                Some(*time)
            })
            .collect();
        let sites = program.iter().map(|(_, site)| site + 1).max().unwrap_or(0);
        let mut sums = vec![0.0; sites];
        let mut now = 0.0;
        while now < seconds {
            let plan = planner.plan(&mut random);
            now += plan.wait.as_secs_f64();
            let phase = now % round;
            let mut next = ends.partition_point(|&end| end < phase);
            let mut rounds = now - phase;
            let (mut hits, mut time) = (0, now);
            let first = (
                rounds + ends.get(next).copied().unwrap_or(round + ends[0]),
                program[next % program.len()].1,
            );
            let mut samples = Vec::new();
            let lasted = loop {
                if next == program.len() {
                    (next, rounds) = (0, rounds + round);
                }
                let lasted = rounds + ends[next] - now + hits as f64 * COST.as_secs_f64();
                if samples.len() == plan.samples as usize || lasted > plan.longest.as_secs_f64() {
                    break time - now + hits as f64 * COST.as_secs_f64();
                }
                (hits, time) = (hits + 1, rounds + ends[next]);
                if random.f64() < plan.chance {
                    samples.push(program[next].1);
                }
                next += 1;
            };
            let lasted = Duration::from_secs_f64(lasted);
            let own = Duration::from_secs_f64(time - now);
            let seen = Seen {
                gap: Duration::from_secs_f64(first.0 - now),
                own,
                hits,
                samples: samples.len(),
                ended_by_time: samples.len() < plan.samples as usize,
            };
            let (opening, weights) = weights(&seen, plan.stands_for.unwrap_or(own));
            sums[first.1] += opening;
            for (weight, site) in weights.iter().zip(&samples) {
                sums[*site] += weight;
            }
            planner.observe(Outcome { lasted, own, hits });
            now = time;
        }
        let total: f64 = sums.iter().sum();
        sums.into_iter().map(|sum| sum / total).collect()
    }

    #[track_caller]
    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found_one, expected_one) in found.iter().zip(expected) {
            assert!((found_one - expected_one).abs() < 0.03, "{found:?} for {expected:?}");
        }
    }

    #[test]
    fn what_follows_a_long_gap_is_not_favoured() {
        // A loop of ten, a millisecond of computing, then one: its share is a tenth and a bit, not nearly
        // all.
        let mut program = vec![(1.0, 0); 10];
        program.push((1000.0, 1));
        assert_close(&observe(&program, 600.0), &[10.0 / 11.0, 1.0 / 11.0]);
    }

    #[test]
    fn sites_of_different_pace_have_their_shares() {
        let mut program = vec![(0.1, 0); 60];
        program.extend(vec![(4.0, 1); 60]);
        program.push((1000.0, 2));
        program.extend(vec![(1.0, 2); 29]);
        assert_close(&observe(&program, 600.0), &[0.4, 0.4, 0.2]);
    }

    #[test]
    fn phases_longer_than_a_burst_are_weighed_by_their_pace() {
        let mut program = vec![(0.5, 0); 50_000];
        program.extend(vec![(5.0, 1); 50_000]);
        assert_close(&observe(&program, 3000.0), &[0.5, 0.5]);
    }

    #[test]
    fn a_phase_after_a_long_gap_is_not_favoured() {
        let mut program = vec![(0.5, 0); 5_000];
        program.push((5_000.0, 1));
        program.extend(vec![(0.5, 1); 5_000]);
        program.extend(vec![(1.0, 2); 10_000]);
        assert_close(&observe(&program, 3000.0), &[0.25, 0.25, 0.5]);
    }

    #[test]
    fn a_target_that_hardly_allocates_is_looked_at_all_the_time() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut planner = Planner::new(100.0, COST);
        planner.observe(Outcome { lasted: PIECE, own: PIECE, hits: 2 });
        let plan = planner.plan(&mut random);
        assert_eq!((plan.wait, plan.stands_for, plan.chance), (Duration::ZERO, None, 1.0));
        assert_close(&observe(&[(5_000.0, 0), (5_000.0, 1)], 600.0), &[0.5, 0.5]);
    }

    #[test]
    fn samples_come_at_the_rate_that_was_asked_for() {
        let mut random = fastrand::Rng::with_seed(1);
        for hits_per_second in [1e4, 1e5, 1e6, 1e7] {
            let mut planner = Planner::new(100.0, COST);
            let (mut samples, mut time) = (0.0, 0.0);
            for _ in 0..500 {
                let plan = planner.plan(&mut random);
                let hits = f64::from(plan.samples) / plan.chance;
                let own = Duration::from_secs_f64(hits / hits_per_second);
                let lasted = own + COST.mul_f64(hits);
                planner.observe(Outcome { lasted, own, hits: hits as u64 });
                samples += f64::from(plan.samples);
                time += plan.wait.as_secs_f64() + lasted.as_secs_f64();
            }
            let rate = samples / time;
            assert!((85.0..115.0).contains(&rate), "{rate} samples/s at {hits_per_second} hits/s");
        }
    }

    #[test]
    fn the_cost_of_hits_is_taken_off_and_never_all_of_the_time() {
        let (time, cost) = (Duration::from_micros(2_000), Duration::from_micros(10));
        assert_eq!(own_time(time, 100, cost), Duration::from_micros(1_000));
        assert_eq!(own_time(time, 1_000, cost), Duration::from_micros(100));
        assert_eq!(own_time(time, 0, cost), time);
    }

    #[test]
    fn weights_add_up_and_have_their_peak_in_the_middle() {
        let micros = Duration::from_micros;
        let seen =
            Seen { gap: micros(1), own: micros(9), hits: 9, samples: 5, ended_by_time: false };
        assert_eq!(weights(&seen, micros(9)), (0.0, vec![1.0, 2.0, 3.0, 2.0, 1.0]));
        let by_time = Seen { samples: 3, ended_by_time: true, ..seen };
        assert_eq!(weights(&by_time, micros(9)), (0.0, vec![3.0; 3]));
        let after_gap = Seen { gap: micros(5), samples: 2, ..seen };
        assert_eq!(weights(&after_gap, micros(400)), (2.0, vec![0.0; 2]));
        let after_long_gap = Seen { gap: micros(500), own: micros(510), ..after_gap };
        assert_eq!(weights(&after_long_gap, micros(400)), (0.0, vec![0.0; 2]));
        let nothing = Seen { samples: 0, hits: 0, ..seen };
        assert_eq!(weights(&nothing, micros(9)), (0.0, vec![]));
    }

    #[test]
    fn the_mean_number_of_hits_to_pass_is_that_of_the_chance() {
        let mut random = fastrand::Rng::with_seed(1);
        let sum: u64 = (0..100_000).map(|_| hits_to_pass(&mut random, 0.2)).sum();
        let mean = sum as f64 / 100_000.0;
        assert!((mean - 4.0).abs() < 0.1, "{mean}");
        assert_eq!(hits_to_pass(&mut random, 1.0), 0);
        assert!(hits_to_pass(&mut random, 0.0) > 1 << 40);
    }
}
