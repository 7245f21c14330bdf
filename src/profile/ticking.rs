//! Random instants at which the target allocates: where bursts begin that stand for equally many allocations.
//!
//! A burst that begins at a random *instant* falls into a phase of the program as often as the phase takes
//! time, and can be weighed only by the pace of its allocations, which traps distort: where a hit costs a
//! hundred times the gap between two allocations, nothing can be subtracted. So leakspy stops a thread at
//! random instants of its own time, and begins a burst only where the thread happens to be inside the
//! allocator. That takes about as long for every block, so such an instant is a random *allocation*, chosen
//! at the program's natural speed, with nothing armed.
//!
//! It works where allocating takes a noticeable share of the time; elsewhere gaps are long enough to be
//! measured.

use std::time::Duration;

/// Ticks for each sample that is asked for, while they pay.
const TICKS_PER_SAMPLE: f64 = 1.0;
/// The same while they do not.
const WHILE_SELDOM: f64 = 0.15;
/// The shortest mean period.
const SHORTEST: f64 = 500e-6;
/// How many ticks show whether they pay.
const TRIAL: u64 = 120;
/// The share of ticks inside the allocator from which they pay.
const PAYS: f64 = 0.004;
/// How many of the samples asked for come from bursts that begin at an allocation, where ticks pay. With those of
/// the other bursts they are less than all, because ticks cost something too.
const SHARE: f64 = 0.6;
/// The fewest and most samples in such a burst.
const SAMPLES: (f64, f64) = (3.0, 60.0);
/// How seldom bursts begin at an instant where ticks pay, and while that is not known, relative to where they do
/// not.
const SELDOM: u32 = 6;
const AT_FIRST: u32 = 3;

/// What ticks have shown.
#[derive(Debug, Clone, Copy)]
pub struct Ticking {
    rate: f64,
    ticks: u64,
    inside: u64,
    /// For how many seconds threads could tick.
    seconds: f64,
}

impl Ticking {
    /// Ticks for `rate` samples a second.
    pub fn new(rate: f64) -> Ticking {
        Ticking { rate, ticks: 0, inside: 0, seconds: 0.0 }
    }

    /// Whether bursts that begin at an allocation are frequent enough.
    pub fn pays(&self) -> bool {
        self.ticks >= TRIAL && self.inside as f64 >= PAYS * self.ticks as f64
    }

    /// The mean time between two ticks of a thread, of its own time.
    pub fn mean_period(&self) -> Duration {
        let seldom = self.ticks >= TRIAL && !self.pays();
        let each = if seldom { WHILE_SELDOM } else { TICKS_PER_SAMPLE };
        Duration::from_secs_f64((each * self.rate).recip().max(SHORTEST))
    }

    /// A random time with that mean: a fixed one could keep step with the program.
    pub fn period(&self, random: &mut fastrand::Rng) -> Duration {
        self.mean_period().mul_f64(0.5 + random.f64())
    }

    /// How long to wait for the next burst that begins at an instant, if it would be `wait` without ticks.
    pub fn wait(&self, wait: Duration) -> Duration {
        match self.pays() {
            true => wait * SELDOM,
            false if self.ticks < TRIAL => wait * AT_FIRST,
            false => wait,
        }
    }

    /// How many samples to take in a burst that begins at an allocation.
    pub fn samples(&self) -> u32 {
        let bursts_per_second = (self.inside as f64 / self.seconds.max(0.1)).max(1e-3);
        (SHARE * self.rate / bursts_per_second).clamp(SAMPLES.0, SAMPLES.1) as u32
    }

    /// Records a tick.
    pub fn observe(&mut self, inside: bool) {
        self.ticks += 1;
        self.inside += u64::from(inside);
    }

    /// Records for how long threads could tick.
    pub fn ran(&mut self, time: Duration) {
        self.seconds += time.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(ticks: u64, inside: u64, seconds: u64) -> Ticking {
        let mut ticking = Ticking::new(100.0);
        (0..ticks).for_each(|number| ticking.observe(number < inside));
        ticking.ran(Duration::from_secs(seconds));
        ticking
    }

    #[test]
    fn ticks_pay_where_allocating_takes_time() {
        assert!(!observed(10, 10, 1).pays(), "too few to tell");
        let often = observed(1_000, 70, 7);
        assert!(often.pays());
        assert_eq!(often.samples(), 6, "ten bursts a second");
        assert_eq!(often.wait(Duration::from_secs(1)), Duration::from_secs(6));
        let seldom = observed(1_000, 2, 7);
        assert!(!seldom.pays());
        assert_eq!(seldom.samples(), 60);
        assert_eq!(seldom.wait(Duration::from_secs(1)), Duration::from_secs(1));
        assert!(seldom.mean_period() > often.mean_period() * 6);
    }

    #[test]
    fn periods_differ_and_have_their_mean() {
        let ticking = observed(1_000, 70, 7);
        let mut random = fastrand::Rng::with_seed(3);
        let periods: Vec<Duration> = (0..1_000).map(|_| ticking.period(&mut random)).collect();
        let mean = periods.iter().sum::<Duration>() / 1_000;
        let off = mean.as_secs_f64() / ticking.mean_period().as_secs_f64() - 1.0;
        assert!(off.abs() < 0.05, "{mean:?}");
        assert!(
            periods
                .iter()
                .any(|period| *period > periods[0] * 5 / 4 || *period < periods[0] * 4 / 5)
        );
    }
}
