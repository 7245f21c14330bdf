//! The accounts of a window: how much of it was the target's own time.
//!
//! Our clock runs while the target stands still, so what the hits cost is taken off. How long a stop
//! lasted for the target, the kernel knows (see [`perf`](crate::target::breakpoint::perf)); where it
//! does not tell, our own view of it is corrected by the shortest round trip ever seen. What a hit
//! costs that is only counted was measured beforehand.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::messages::{Sample, Window};
use super::windows::{Plan, factors};
use crate::target::breakpoint::Stop;

/// The time of `CLOCK_MONOTONIC` in nanoseconds.
pub fn now() -> u64 {
    // It cannot fail for this clock.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
    Duration::from(time).as_nanos() as u64
}

/// What hits cost, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Costs {
    counted_hit: Option<u64>,
    shortest_round: Option<u64>,
}

impl Costs {
    /// `counted_hit`: the time of a hit that is only counted, where hits are counted.
    pub fn new(counted_hit: Option<Duration>) -> Costs {
        let nanoseconds = |cost: Duration| cost.as_nanos() as u64;
        Costs { counted_hit: counted_hit.map(nanoseconds), shortest_round: None }
    }

    /// The time of a hit that is only counted.
    pub fn counted_hit(&self) -> Option<u64> {
        self.counted_hit
    }

    /// Takes note of the time between letting a thread go on and hearing of its next hit. The
    /// shortest is what waking up costs both sides.
    pub fn note_round(&mut self, round: u64) {
        self.shortest_round = Some(self.shortest_round.map_or(round, |known| known.min(round)));
    }

    fn of_counted(&self, hits: u64) -> u64 {
        self.counted_hit.unwrap_or(0).saturating_mul(hits)
    }

    fn of_round(&self) -> u64 {
        self.shortest_round.unwrap_or(0)
    }
}

/// A sample, and when by our clock its thread was seen and let go.
#[derive(Debug)]
pub struct Taken {
    /// When we learned that it stands still.
    pub seen: u64,
    /// When we let it go on.
    pub resumed: u64,
    /// What was found.
    pub sample: Sample,
}

/// A window that is open.
#[derive(Debug)]
pub struct Open {
    /// As it was planned.
    pub plan: Plan,
    /// When it was opened.
    pub opened: u64,
    /// The counters' sum before; `None` where hits are not counted.
    pub hits_before: Option<u64>,
    /// Hits in it, as of the last time the counters were read.
    pub hits: u64,
    /// The samples so far, in order.
    pub taken: Vec<Taken>,
}

impl Open {
    /// A window that opens now.
    pub fn new(plan: &Plan, hits_before: Option<u64>) -> Open {
        Open { plan: *plan, opened: now(), hits_before, hits: 0, taken: Vec::new() }
    }

    /// The time that was not the target's own, as far as is known while it is open.
    pub fn spent(&self, costs: &Costs) -> u64 {
        let stop = |taken: &Taken| taken.resumed.saturating_sub(taken.seen) + costs.of_round();
        self.taken.iter().map(stop).sum::<u64>() + costs.of_counted(self.hits)
    }

    /// Makes up the accounts. `closed`: when it was closed. `hits`: all in it. `stops`: as the kernel
    /// timed them, if it did.
    pub fn close(
        mut self,
        closed: u64,
        hits: u64,
        stops: Option<Vec<Stop>>,
        costs: &Costs,
    ) -> Window {
        let mut stills: Vec<(u64, u64)> = match stops {
            Some(stops) => stops.iter().map(|stop| (stop.hit, stop.back.min(closed))).collect(),
            None => {
                let still = |t: &Taken| (t.seen, t.resumed.saturating_add(costs.of_round()));
                self.taken.iter().map(still).collect()
            }
        };
        stills.sort_unstable();
        let counted = costs.of_counted(hits);
        let stood = stood_until(&stills, u64::MAX);
        let whole = closed.saturating_sub(self.opened);
        let lasted = whole.saturating_sub(stood).saturating_sub(counted);
        let length = self.plan.length.as_nanos() as u64;
        let cut = hits >= self.plan.most_hits && lasted < length;
        if cut {
            let own = |taken: &Taken| {
                let passed = taken.seen.saturating_sub(self.opened);
                let counted = (counted as f64 * passed as f64 / whole.max(1) as f64) as u64;
                let own = passed.saturating_sub(stood_until(&stills, taken.seen));
                Duration::from_nanos(own.saturating_sub(counted).min(lasted))
            };
            let at: Vec<Duration> = self.taken.iter().map(own).collect();
            let factors = factors(&at, Duration::from_nanos(lasted), self.plan.length);
            for (taken, factor) in self.taken.iter_mut().zip(factors) {
                taken.sample.factor = factor;
            }
        }
        for taken in &mut self.taken {
            let still = stills.iter().rev().find(|still| still.0 <= taken.seen);
            let (from, to) = still.copied().unwrap_or((taken.seen, taken.resumed));
            taken.sample.pause = to.saturating_sub(from);
        }
        Window {
            length: if cut { length } else { lasted },
            lasted,
            still: stood + counted,
            hits,
            chance: self.plan.chance,
            samples: self.taken.into_iter().map(|taken| taken.sample).collect(),
        }
    }
}

/// How long there was a stop before `time`, given all stops from when to when.
fn stood_until(stills: &[(u64, u64)], time: u64) -> u64 {
    let until = |&(from, to): &(u64, u64)| to.min(time).saturating_sub(from);
    stills.iter().filter(|still| still.0 < time).map(until).sum()
}
