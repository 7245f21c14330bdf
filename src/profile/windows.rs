//! When to look, and what each hit then stands for.
//!
//! Allocations cannot all be seen: a hit costs the target microseconds. Nor may we take "the next
//! one" at a random instant: a random instant falls into long gaps, so that whatever follows a long
//! computation would be seen far too often. Instead leakspy opens *windows*: at random instants
//! (a Poisson process), all hits within a fixed length of the target's own time are counted, and
//! each stops the thread with the same chance. An allocation is then seen as often as its rate
//! says, whatever the gaps before it (Campbell's theorem), and no assumption is made about the
//! program.
//!
//! The target's own time is what our clock shows less what the hits cost: the stops, as the kernel
//! timed them, and a measured cost for each hit that was only counted. Where hits are so dense that
//! a window would last too long it is cut short, and what was seen in its second half stands for the
//! rest of it.

use std::time::Duration;

/// How many windows to open for each sample, where they are short: a sample has company from its
/// own window, but not much.
const SAMPLES_PER_WINDOW: f64 = 5.0;
/// How many hits to count for each sample at least.
const HITS_PER_SAMPLE: f64 = 5.0;
/// The share of the target's time that counting hits may take, if that allows for more of them.
const BUDGET: f64 = 0.005;
/// No window is shorter: opening it is not exact to a few microseconds.
const SHORTEST: Duration = Duration::from_micros(100);
/// No window is longer, so that new threads are soon part of one.
const LONGEST: Duration = Duration::from_millis(50);
/// The most hits in one window, as a multiple of the mean.
const CUT: f64 = 8.0;
/// How much of the past a new window leaves in the running means: they span some fifty windows, for
/// a length that follows the last few would be wrong for the next whenever a program has phases.
const MEMORY: f64 = 0.98;
/// How many windows must have been seen before the chance is changed.
const ENOUGH: f64 = 10.0;
/// How much longer than the last a window may be.
const GROWTH: f64 = 1.5;

/// The next window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How long to wait before it.
    pub wait: Duration,
    /// How long it lasts, in the target's own time.
    pub length: Duration,
    /// After how many hits it is cut short.
    pub most_hits: u64,
    /// The chance of each hit to stop its thread.
    pub chance: f64,
}

/// What a window came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// How long it was to last.
    pub length: Duration,
    /// How long it lasted, in the target's own time: less if it was cut short.
    pub lasted: Duration,
    /// How many hits there were.
    pub hits: u64,
}

/// Decides when to look, from what was seen so far.
#[derive(Debug, Clone)]
pub struct Planner {
    rate: f64,
    /// Hits a second that the target can bear.
    bearable: f64,
    /// Whether each hit stops its thread anyway.
    all_stop: bool,
    chance: f64,
    length: Duration,
    /// Hits seen, hits that there would have been in whole windows, the length of these in seconds,
    /// and their number, each as a sum in which the past fades.
    seen: f64,
    hits: f64,
    seconds: f64,
    windows: f64,
}

impl Planner {
    /// For `rate` samples a second. `cost` is the time of a hit that is only counted; `None` where
    /// hits cannot be counted, and each stops its thread.
    pub fn new(rate: f64, cost: Option<Duration>) -> Planner {
        let bearable = match cost {
            Some(cost) => (HITS_PER_SAMPLE * rate).max(BUDGET / cost.as_secs_f64().max(1e-7)),
            None => rate,
        };
        Planner {
            rate,
            bearable,
            all_stop: cost.is_none(),
            chance: if cost.is_some() { rate / bearable } else { 1.0 },
            length: SHORTEST,
            seen: 0.0,
            hits: 0.0,
            seconds: 0.0,
            windows: 0.0,
        }
    }

    /// The next window.
    pub fn plan(&mut self, random: &mut fastrand::Rng) -> Plan {
        let hits_per_window = self.bearable * SAMPLES_PER_WINDOW / self.rate;
        let plan = |wait, length, chance: f64| {
            let most_hits = hits_per_window.min(SAMPLES_PER_WINDOW / chance) * CUT;
            Plan { wait, length, most_hits: most_hits.ceil() as u64, chance }
        };
        if self.windows < 1.0 {
            return plan(exponential(random, 0.02), SHORTEST, self.chance);
        }
        let hits_per_second = self.hits / self.seconds.max(1e-9);
        if !self.all_stop && self.windows > ENOUGH {
            self.settle_chance(hits_per_second);
        }
        // The share of the time in which it may be looked at.
        let duty = (self.bearable / hits_per_second.max(1e-9)).min(1.0);
        let windows_per_second = self.rate / SAMPLES_PER_WINDOW;
        let wanted = if duty < 1.0 { duty / windows_per_second } else { LONGEST.as_secs_f64() };
        let longest = self.length.mul_f64(GROWTH).min(LONGEST);
        self.length = Duration::from_secs_f64(wanted).clamp(SHORTEST, longest);
        let length = self.length.as_secs_f64();
        // Windows that have more hits than planned, because none is shorter, come less often.
        let crowded = (self.seen / self.windows / hits_per_window).max(1.0);
        let between = (length / duty).min(crowded / windows_per_second).max(length);
        plan(exponential(random, between - length), self.length, self.chance)
    }

    /// Takes note of what a window came to.
    pub fn observe(&mut self, outcome: Outcome) {
        let (length, lasted) = (outcome.length.as_secs_f64(), outcome.lasted.as_secs_f64());
        let whole = if lasted > 0.0 { (length / lasted).max(1.0) } else { 1.0 };
        self.seen = self.seen * MEMORY + outcome.hits as f64;
        self.hits = self.hits * MEMORY + outcome.hits as f64 * whole;
        self.seconds = self.seconds * MEMORY + length.max(lasted);
        self.windows = self.windows * MEMORY + 1.0;
    }

    /// A target with few hits can have a larger share of them sampled. The chance is changed by
    /// halves and doubles only, since hits to pass that were drawn with another chance are void.
    fn settle_chance(&mut self, hits_per_second: f64) {
        let wanted = self.rate / hits_per_second.clamp(self.rate, self.bearable);
        if wanted > self.chance * 2.0 || wanted < self.chance / 2.0 {
            self.chance = wanted;
        }
    }
}

/// A time that is exponentially distributed about a mean, in seconds.
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

/// What each sample of a window stands for, relative to one of a window that was not cut: 1, or
/// more for those in the second half of a window that was cut after `lasted` of `length`. `at` is
/// when in the window each was taken, in the target's own time and in order.
pub fn factors(at: &[Duration], lasted: Duration, length: Duration) -> Vec<f64> {
    let missing = length.saturating_sub(lasted).as_secs_f64();
    let lasted = lasted.as_secs_f64();
    let middle = at.len() / 2;
    let since = at.get(middle).map_or(0.0, |middle| middle.as_secs_f64().min(lasted));
    // With few samples there is no second half to speak of: the whole window stands for the rest.
    let (first, since) = if at.len() < 4 { (0, 0.0) } else { (middle, since) };
    let factor = 1.0 + missing / (lasted - since).max(1e-7);
    (0..at.len()).map(|number| if number < first { 1.0 } else { factor }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a program of (gap before it in microseconds, site) run in a loop, and looks at it
    /// through windows; gives the share of samples of each site.
    fn observe(program: &[(f64, usize)], rate: f64, cost: Duration, seconds: f64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut planner = Planner::new(rate, Some(cost));
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
            let mut hits = 0;
            let last;
            let mut samples: Vec<(Duration, usize)> = Vec::new();
            let end = now + plan.length.as_secs_f64();
            loop {
                if next == program.len() {
                    (next, rounds) = (0, rounds + round);
                }
                let time = rounds + ends[next];
                if time > end {
                    last = end;
                    break;
                }
                hits += 1;
                if random.f64() < plan.chance {
                    samples.push((Duration::from_secs_f64(time - now), program[next].1));
                }
                if hits == plan.most_hits {
                    last = time;
                    break;
                }
                next += 1;
            }
            let lasted = Duration::from_secs_f64(last - now);
            let at: Vec<Duration> = samples.iter().map(|sample| sample.0).collect();
            let factors = factors(&at, lasted, plan.length);
            for (factor, (_, site)) in factors.iter().zip(&samples) {
                sums[*site] += factor / plan.chance;
            }
            planner.observe(Outcome { length: plan.length, lasted, hits });
            now = last;
        }
        let total: f64 = sums.iter().sum();
        sums.into_iter().map(|sum| sum / total).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        for (found_one, expected_one) in found.iter().zip(expected) {
            assert!((found_one - expected_one).abs() < 0.03, "{found:?} for {expected:?}");
        }
    }

    #[test]
    fn what_follows_a_long_gap_is_not_favoured() {
        // A loop of ten, a millisecond of computing, one: a tenth and a bit, not nearly all.
        let mut program = vec![(1.0, 0); 10];
        program.push((1000.0, 1));
        close(
            &observe(&program, 100.0, Duration::from_micros(10), 600.0),
            &[10.0 / 11.0, 1.0 / 11.0],
        );
    }

    #[test]
    fn sites_of_different_pace_have_their_shares() {
        let mut program = vec![(0.5, 0); 200];
        program.extend(vec![(4.0, 1); 200]);
        program.push((1000.0, 2));
        program.extend(vec![(1.0, 2); 99]);
        close(&observe(&program, 100.0, Duration::from_micros(10), 600.0), &[0.4, 0.4, 0.2]);
    }

    #[test]
    fn windows_cut_short_by_dense_phases_keep_the_shares() {
        let mut program = vec![(0.1, 0); 5000];
        program.extend(vec![(1.0, 1); 5000]);
        program.push((1000.0, 1));
        close(&observe(&program, 100.0, Duration::from_micros(10), 1200.0), &[0.5, 0.5]);
    }

    #[test]
    fn a_target_that_hardly_allocates_is_looked_at_all_the_time() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut planner = Planner::new(100.0, Some(Duration::from_micros(10)));
        for _ in 0..50 {
            planner.observe(Outcome { length: LONGEST, lasted: LONGEST, hits: 2 });
            planner.plan(&mut random);
        }
        let plan = planner.plan(&mut random);
        assert_eq!((plan.wait, plan.length, plan.chance), (Duration::ZERO, LONGEST, 1.0));
    }

    #[test]
    fn hits_are_seen_no_more_often_than_the_target_can_bear() {
        let mut random = fastrand::Rng::with_seed(1);
        for hits_per_second in [1e4, 1e5, 1e6, 1e7] {
            let mut planner = Planner::new(100.0, Some(Duration::from_micros(10)));
            let (mut seen, mut time) = (0.0, 0.0);
            for number in 0..2000 {
                let plan = planner.plan(&mut random);
                let all = plan.length.as_secs_f64() * hits_per_second;
                let hits = all.min(plan.most_hits as f64);
                let lasted = plan.length.mul_f64(hits / all);
                planner.observe(Outcome { length: plan.length, lasted, hits: hits as u64 });
                if number > 20 {
                    seen += hits;
                    time += plan.wait.as_secs_f64() + lasted.as_secs_f64();
                }
            }
            let rate = seen / time;
            assert!((250.0..1000.0).contains(&rate), "{rate} hits/s of {hits_per_second}");
        }
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
