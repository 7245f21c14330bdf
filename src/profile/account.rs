//! The accounts of a burst: how much of it was the target's own time.
//!
//! The clock runs on while the target is stopped, so the cost of the hits is subtracted. The kernel knows how
//! long a stop lasted for the target (see [`perf`](crate::process::breakpoint::perf)); where it does not say,
//! leakspy's own measurement is corrected for the time that waking up takes on both sides. The cost of a hit
//! that is only counted is measured again and again. The account includes the uncertainty of all this.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use rustc_hash::FxHashSet;

use super::bursts::{Outcome, Plan, Seen, own_time, weights};
use super::samples::{Burst, Sample, Start, Ticked};
use crate::process::breakpoint::cost::Probe;
use crate::process::breakpoint::{Interruptions, Span};

/// The time of `CLOCK_MONOTONIC` in nanoseconds.
pub fn now() -> u64 {
    // This clock cannot fail.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
    Duration::from(time).as_nanos() as u64
}

/// How many past bursts are used to judge the cost of a hit.
const LOOKS: usize = 50;
/// The cost of a hit in a program, relative to its cost in a loop that does nothing else: caches are colder
/// (measured: 1.08 to 1.10).
const COLDER: f64 = 1.08;
/// If a hit has less time than this, relative to its expected cost, all of that time is taken to be cost.
const DENSE: f64 = 1.15;
/// How far the cost of a counted hit may be off, relative to it: it was within 4 % of the value that known totals
/// require on a quiet machine, and other load adds to that.
const UNSURE_OF_HITS: f64 = 0.1;
/// No program allocates faster than this, in seconds for each allocation.
const FASTEST: f64 = 15e-9;
/// The same for the round trip of a stop that only leakspy has timed.
const UNSURE_OF_ROUNDS: f64 = 0.5;
/// How many past round trips are remembered.
const ROUNDS: usize = 2000;
/// The quantile of all remembered times that is taken for the cost alone. The target's work between two hits
/// only adds to them.
const LOW: f64 = 0.1;

/// A burst that begins at an allocation ends with this many times its samples, if most are part of others.
const MOST_OTHERS: usize = 4;

/// How many measurements of a counted hit are remembered. The cost changes with the load of the machine.
const MEASUREMENTS: usize = 25;

/// The cost of hits.
#[derive(Debug)]
pub struct Costs {
    /// Measures a hit that is only counted, where hits are counted.
    probe: Option<Probe>,
    /// The cost measured by the probe, the latest last.
    measured: VecDeque<Duration>,
    /// Seconds for each hit in the last bursts: its cost and the target's work between two hits, so never
    /// less than the cost.
    at_most: VecDeque<f64>,
    /// Nanoseconds from resuming a thread to learning of its next hit.
    rounds: VecDeque<u64>,
}

impl Costs {
    /// Costs where hits are counted: measures that of one.
    pub fn measured() -> io::Result<Costs> {
        let mut costs = Costs { probe: Some(Probe::new()?), ..Costs::unknown() };
        (0..MEASUREMENTS).try_for_each(|_| costs.measure())?;
        Ok(costs)
    }

    /// Costs where each hit is a stop.
    pub fn unknown() -> Costs {
        Costs {
            probe: None,
            measured: VecDeque::new(),
            at_most: VecDeque::new(),
            rounds: VecDeque::new(),
        }
    }

    /// Measures once more, for a fraction of a millisecond.
    pub fn measure(&mut self) -> io::Result<()> {
        if let Some(probe) = &self.probe {
            push(&mut self.measured, probe.measure()?, MEASUREMENTS);
        }
        Ok(())
    }

    /// Records the nanoseconds between resuming a thread and learning of its next hit: the cost of waking up
    /// on both sides, and the target's work in between.
    pub fn note_round(&mut self, round: u64) {
        push(&mut self.rounds, round, ROUNDS);
    }

    /// Records `hits` in a `time` during which the target did not stand still.
    fn note(&mut self, time: Duration, hits: u64) {
        push(&mut self.at_most, time.as_secs_f64() / hits as f64, LOOKS);
    }

    /// The time of a hit that is only counted, in the target; zero where none is.
    ///
    /// The bursts with the least time for each hit show it best, because they include the effect of cold
    /// caches after a stop; but only if the target did next to nothing between two hits, and not something
    /// that takes as long as a hit.
    pub fn of_counted_hit(&self) -> Duration {
        let Some(measured) = quantile(self.measured.iter().copied(), 0.5, Duration::cmp) else {
            return Duration::ZERO;
        };
        let expected = measured.as_secs_f64() * COLDER;
        let least = quantile(self.at_most.iter().copied(), LOW, f64::total_cmp);
        let cost = least.filter(|&least| least < expected * DENSE).unwrap_or(expected);
        Duration::try_from_secs_f64(cost).unwrap_or_default()
    }

    fn of_round(&self) -> u64 {
        quantile(self.rounds.iter().copied(), LOW, u64::cmp).unwrap_or(0)
    }
}

/// The value that this share of all values is below.
fn quantile<T: Copy>(
    values: impl Iterator<Item = T>,
    share: f64,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable_by(compare);
    values.get((values.len() as f64 * share) as usize).copied()
}

fn push<T>(latest: &mut VecDeque<T>, value: T, most: usize) {
    if latest.len() == most {
        latest.pop_front();
    }
    latest.push_back(value);
}

/// A stop, timed by leakspy's clock.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// The thread that stopped.
    pub tid: i32,
    /// When leakspy learned that it stands still.
    pub seen: u64,
    /// When leakspy resumed it.
    pub resumed: u64,
}

/// A sample.
#[derive(Debug)]
pub struct Taken {
    /// When leakspy learned, by its clock, that the sample's thread stands still.
    pub seen: u64,
    /// One in how many bursts would have seen it.
    pub one_in: f64,
    /// The sample itself.
    pub sample: Sample,
}

/// A running burst.
#[derive(Debug)]
pub struct Open {
    /// Its plan.
    pub plan: Plan,
    /// When it began.
    pub opened: u64,
    /// The sum of the counters before it; `None` where hits are not counted.
    pub hits_before: Option<u64>,
    /// The threads that were running or ready to run when it began.
    pub ready: FxHashSet<i32>,
    /// How long threads and leakspy waited for a processor, in nanoseconds; zero where the kernel times
    /// interruptions.
    pub waited: u64,
    /// Whether its spots are being disarmed: what is hit from now on is no sample.
    pub is_over: bool,
    /// All stops so far, in order, including those without a sample.
    pub stops: Vec<Stop>,
    /// The first hit, which stopped its thread regardless of the chance.
    pub first: Option<Taken>,
    /// The samples so far, in order.
    pub taken: Vec<Taken>,
}

impl Open {
    /// Opens a burst that begins now.
    pub fn new(plan: &Plan, hits_before: Option<u64>) -> Open {
        Open {
            plan: *plan,
            opened: now(),
            hits_before,
            ready: FxHashSet::default(),
            waited: 0,
            is_over: false,
            stops: Vec::new(),
            first: None,
            taken: Vec::new(),
        }
    }

    /// Settles the account. `closed` is when the burst ended, `hits` are all hits in it, `interruptions` are
    /// the kernel's times if it has them.
    pub fn close(
        mut self,
        closed: u64,
        hits: u64,
        interruptions: Option<Interruptions>,
        costs: &mut Costs,
    ) -> (Burst, Outcome) {
        let timed = interruptions.is_some();
        let round = costs.of_round();
        let Interruptions { mut stops, mut preemptions, returns } =
            interruptions.unwrap_or_else(|| self.as_we_saw_it(round));
        // A thread that was ready at the beginning without a processor was kept from running until it
        // returned.
        let kept = returns.iter().filter(|(tid, _)| self.ready.contains(tid));
        preemptions.extend(kept.map(|&(_, to)| Span { from: self.opened, to }));
        for span in stops.iter_mut().chain(&mut preemptions) {
            span.to = span.to.min(closed);
        }
        stops.sort_unstable();
        // While one thread was kept from running, another may have held the GIL.
        preemptions
            .retain(|span| !stops.iter().any(|stop| (span.from..span.to).contains(&stop.from)));
        let preemptions = merged(preemptions);
        let whole = closed.saturating_sub(self.opened);
        let stood = length(&stops);
        let running = whole.saturating_sub(stood).saturating_sub(length(&preemptions));
        let ended_by_time = self.taken.len() < self.plan.samples as usize;
        if !ended_by_time {
            costs.note(Duration::from_nanos(running), hits);
        }
        let cost = costs.of_counted_hit();
        let unsure = cost.as_secs_f64() * hits as f64 * UNSURE_OF_HITS
            + if timed { 0.0 } else { self.unsure_of_rounds(round) };
        let left = Duration::from_nanos(running).as_secs_f64() - cost.as_secs_f64() * hits as f64;
        let shortest = (left - unsure).max(FASTEST * hits as f64);
        let longest = (left + unsure).max(shortest);
        // Where hits are not counted, each is a stop, and its time is known no better than its round trip.
        let least = Duration::from_nanos(round / 50).saturating_mul(hits as u32);
        let own = own_time(Duration::from_nanos(running), hits, cost).max(least);
        let first_hit = stops.first().map_or(closed, |stop| stop.from);
        let until_hit = preemptions.iter().map(|span| Span { to: span.to.min(first_hit), ..*span });
        let elsewhere = length(&until_hit.collect::<Vec<_>>());
        let gap = first_hit.saturating_sub(self.opened).saturating_sub(elsewhere);
        let seen = Seen {
            gap: Duration::from_nanos(gap),
            own,
            hits,
            samples: self.taken.len(),
            ended_by_time,
        };
        let stands_for = self.plan.stands_for.unwrap_or(own);
        let (first, weights) = weights(&seen, stands_for);
        for (taken, weight) in self.taken.iter_mut().zip(weights) {
            taken.sample.stands_for = weight * taken.one_in;
        }
        if let Some(mut taken) = self.first.take().filter(|_| first > 0.0) {
            taken.sample.stands_for = first * taken.one_in;
            self.taken.insert(0, taken);
        }
        if self.plan.start == Start::Allocation {
            self.stand_for_one();
        }
        for taken in &mut self.taken {
            let stop = stops.iter().rev().find(|stop| stop.from <= taken.seen);
            taken.sample.pause = stop.map_or(0, |stop| stop.to.saturating_sub(stop.from));
        }
        let counted = cost.as_nanos() as u64 * hits;
        let burst = Burst {
            stands_for: stands_for.as_nanos() as u64,
            still: stood + counted,
            start: self.plan.start,
            between: match self.plan.start {
                Start::Instant if hits > 0 => {
                    let own = own.as_secs_f64();
                    (own / longest.max(own), own / shortest.min(own))
                }
                _ => (1.0, 1.0),
            },
            ticks: Ticked::default(),
            hits,
            samples: self.taken.into_iter().map(|taken| taken.sample).collect(),
        };
        (burst, Outcome { lasted: Duration::from_nanos(whole), own, hits })
    }

    /// How many of its samples are no part of others.
    fn counting(&self) -> usize {
        self.taken.iter().filter(|taken| !taken.sample.inner).count()
    }

    /// Divides one among the samples of a burst that began at an allocation. Samples of what is watched in every
    /// second burst only stand for twice their part.
    fn stand_for_one(&mut self) {
        let number = self.counting().max(1) as f64;
        for taken in &mut self.taken {
            taken.sample.stands_for = taken.one_in / number;
        }
    }

    /// Whether it has all its samples.
    pub fn is_complete(&self) -> bool {
        let wanted = self.plan.samples as usize;
        match self.plan.start {
            Start::Instant => self.taken.len() >= wanted,
            Start::Allocation => {
                self.counting() >= wanted || self.taken.len() >= MOST_OTHERS * wanted
            }
        }
    }

    /// How many seconds of the remaining time may not have been the target's own, where only leakspy has
    /// timed the stops. A wait for a processor outside a round trip was not the target's own time, but
    /// subtracting it when weighting bursts would make some appear a hundred times denser than they were.
    fn unsure_of_rounds(&self, round: u64) -> f64 {
        let rounds = round as f64 * self.stops.len() as f64;
        let waited = (self.waited as f64 - rounds).max(0.0);
        (rounds * UNSURE_OF_ROUNDS + waited) * 1e-9
    }

    fn as_we_saw_it(&self, round: u64) -> Interruptions {
        let span = |stop: &Stop| Span { from: stop.seen, to: stop.resumed.saturating_add(round) };
        Interruptions { stops: self.stops.iter().map(span).collect(), ..Interruptions::default() }
    }
}

/// Spans without their overlaps.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut last: Option<Span> = None;
    spans.retain_mut(|span| {
        span.from = span.from.max(last.map_or(0, |last| last.to));
        let is_new = span.from < span.to;
        last = if is_new { Some(*span) } else { last };
        is_new
    });
    spans
}

/// The total length of these spans.
fn length(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.to.saturating_sub(span.from)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::samples::Call;
    use super::*;

    const THREAD: i32 = 7;

    fn taken(seen: u64) -> Taken {
        let sample = Sample {
            tid: THREAD,
            pthread: 1,
            call: Call::Malloc,
            bytes: Some(64),
            caller: 0,
            inner: false,
            stands_for: 0.0,
            pause: 0,
            frames: Vec::new(),
            complete: true,
        };
        Taken { seen, one_in: 1.0, sample }
    }

    const MS: u64 = 1_000_000;
    const OPENED: u64 = 1_000 * MS;

    /// A burst of three samples.
    fn burst() -> Plan {
        Plan {
            wait: Duration::ZERO,
            stands_for: Some(Duration::from_millis(300)),
            longest: Duration::from_secs(1),
            samples: 3,
            chance: 0.2,
            start: Start::Instant,
        }
    }

    /// A burst of three hits in three milliseconds that begins five milliseconds before the thread gets a
    /// processor again; returns how many allocations its samples stand for.
    fn burst_after_a_wait(ready: bool) -> f64 {
        let mut open = Open { opened: OPENED, ..Open::new(&burst(), None) };
        let hits = [6, 7, 8].map(|ms| OPENED + ms * MS);
        open.taken = hits.map(taken).into();
        open.ready = if ready { FxHashSet::from_iter([THREAD]) } else { FxHashSet::default() };
        let stops = hits.map(|from| Span { from, to: from }).into();
        let returns = vec![(THREAD, OPENED + 5 * MS)];
        let interruptions = Interruptions { stops, preemptions: Vec::new(), returns };
        let (burst, _) = open.close(OPENED + 8 * MS, 3, Some(interruptions), &mut Costs::unknown());
        burst.samples.iter().map(|sample| sample.stands_for).sum()
    }

    #[test]
    fn waiting_for_a_processor_is_no_gap_between_allocations() {
        // One a millisecond, in its own time.
        assert!((burst_after_a_wait(true) - 300.0).abs() < 1e-6);
        // A sleep is a gap, and longer than everything seen after it.
        assert!(burst_after_a_wait(false).abs() < 1e-6);
    }

    #[test]
    fn where_nobody_times_stops_a_wait_makes_unsure() {
        let plan = burst();
        let stops = [6, 7, 8].map(|ms| {
            let seen = OPENED + ms * MS;
            Stop { tid: THREAD, seen, resumed: seen }
        });
        let unsure = |waited| {
            let mut open = Open { opened: OPENED, waited, ..Open::new(&plan, None) };
            open.taken = stops.map(|stop| taken(stop.seen)).into();
            open.stops = stops.into();
            open.close(OPENED + 8 * MS, 3, None, &mut Costs::unknown()).0.between
        };
        assert_eq!(unsure(0), (1.0, 1.0));
        let (least, most) = unsure(6 * MS);
        assert!((least - 8.0 / 14.0).abs() < 1e-6 && (most - 4.0).abs() < 1e-6, "{least} {most}");
    }

    #[test]
    fn samples_of_a_burst_at_an_allocation_stand_for_one_together() {
        let plan = Plan { start: Start::Allocation, stands_for: None, ..burst() };
        let mut open = Open { opened: OPENED, ..Open::new(&plan, None) };
        open.taken = [1, 2, 3].map(|ms| taken(OPENED + ms * MS)).into();
        assert!(open.is_complete());
        // One that is part of another, and one that is watched in every second burst.
        open.taken[2].sample.inner = true;
        open.taken[1].one_in = 2.0;
        assert!(!open.is_complete());
        let (burst, _) = open.close(OPENED + 8 * MS, 3, None, &mut Costs::unknown());
        let counting = burst.samples.iter().filter(|sample| !sample.inner);
        let weights: Vec<f64> = counting.map(|sample| sample.stands_for).collect();
        assert_eq!(weights, [0.5, 1.0]);
    }

    #[test]
    fn what_spans_have_in_common_counts_once() {
        let span = |from, to| Span { from, to };
        let spans = vec![span(7, 9), span(1, 4), span(2, 3), span(3, 5), span(9, 9)];
        assert_eq!(merged(spans), [span(1, 4), span(4, 5), span(7, 9)]);
    }
}
