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
use crate::target::breakpoint::{Interruptions, Span};

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

    /// Makes up the accounts. `closed`: when it was closed. `hits`: all in it. `interruptions`: as the
    /// kernel timed them, if it did.
    pub fn close(
        mut self,
        closed: u64,
        hits: u64,
        interruptions: Option<Interruptions>,
        costs: &Costs,
    ) -> Window {
        let Interruptions { mut stops, mut preemptions } =
            interruptions.unwrap_or_else(|| self.as_we_saw_it(costs));
        for span in stops.iter_mut().chain(&mut preemptions) {
            span.to = span.to.min(closed);
        }
        stops.sort_unstable();
        // While one thread was kept from running, another may have had the GIL.
        preemptions
            .retain(|span| !stops.iter().any(|stop| (span.from..span.to).contains(&stop.from)));
        let counted = costs.of_counted(hits);
        let whole = closed.saturating_sub(self.opened);
        let not_own =
            length_until(&stops, u64::MAX) + length_until(&preemptions, u64::MAX) + counted;
        let lasted = whole.saturating_sub(not_own);
        let length = self.plan.length.as_nanos() as u64;
        let cut = hits >= self.plan.most_hits && lasted < length;
        if cut {
            let own = |taken: &Taken| {
                let passed = taken.seen.saturating_sub(self.opened);
                let counted = (counted as f64 * passed as f64 / whole.max(1) as f64) as u64;
                let not_own = length_until(&stops, taken.seen)
                    + length_until(&preemptions, taken.seen)
                    + counted;
                Duration::from_nanos(passed.saturating_sub(not_own).min(lasted))
            };
            let at: Vec<Duration> = self.taken.iter().map(own).collect();
            let factors = factors(&at, Duration::from_nanos(lasted), self.plan.length);
            for (taken, factor) in self.taken.iter_mut().zip(factors) {
                taken.sample.factor = factor;
            }
        }
        for taken in &mut self.taken {
            let stop = stops.iter().rev().find(|stop| stop.from <= taken.seen);
            let stop = stop.copied().unwrap_or(Span { from: taken.seen, to: taken.resumed });
            taken.sample.pause = stop.to.saturating_sub(stop.from);
        }
        Window {
            length: if cut { length } else { lasted },
            lasted,
            still: length_until(&stops, u64::MAX) + counted,
            hits,
            chance: self.plan.chance,
            samples: self.taken.into_iter().map(|taken| taken.sample).collect(),
        }
    }

    fn as_we_saw_it(&self, costs: &Costs) -> Interruptions {
        let stop = |taken: &Taken| Span {
            from: taken.seen,
            to: taken.resumed.saturating_add(costs.of_round()),
        };
        Interruptions { stops: self.taken.iter().map(stop).collect(), preemptions: Vec::new() }
    }
}

/// How long these spans are together, up to a moment.
fn length_until(spans: &[Span], time: u64) -> u64 {
    spans.iter().map(|span| span.to.min(time).saturating_sub(span.from)).sum()
}
