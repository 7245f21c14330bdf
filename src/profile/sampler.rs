//! The guardian's work: sampling the allocations of one process.
//!
//! Sets breakpoints on calls of the allocator ([`calls`](super::calls)), in bursts that
//! [`bursts`](super::bursts) plans, and copies the Python stack of each thread that stops at one. Names,
//! lines and weights are left to the reader of the reports: this code runs while a thread of the target
//! stands still, and must be simple enough to be certain of resuming it.

use std::time::Duration;

use rustc_hash::FxHashSet;

use super::account::{Costs, Open, Stop, Taken, now};
use super::bursts::{Outcome, Plan, Planner, hits_to_pass};
use super::calls::{Asked, Calls};
use super::samples::{Burst, Sample, Sampling, Start, Ticked};
use super::ticking::Ticking;
use crate::guardian::report::End;
use crate::guardian::server::{self, CHECK_EVERY, Duty};
use crate::guardian::traced_threads::TracedPython;
use crate::guardian::trouble::Trouble;
use crate::process::Process;
use crate::process::breakpoint::{Spot, Way};
use crate::process::tracees::Event;
use crate::process::waits::Waits;
use crate::python::RawStack;

/// How often to try the threads of a target that cannot be read.
const WHILE_UNREADABLE: Duration = Duration::from_millis(5);

type Guard<'a> = server::Guard<'a, Burst>;

/// The duty of sampling allocations. It keeps no [budget](crate::guardian::budget): its bursts are planned to
/// cost little.
pub(crate) struct Sampler {
    calls: Calls,
    planner: Planner,
    rate: f64,
    random: fastrand::Rng,
    costs: Costs,
    /// Spots, by thread, that have not been hit since they were armed for a burst.
    awaited: FxHashSet<(i32, usize)>,
    stack: RawStack,
    ticking: Ticking,
    /// Ticks that are not reported yet, and how long they stopped threads, in nanoseconds.
    ticked: Ticked,
    ticks_still: u64,
}

impl Duty for Sampler {
    type Work = Sampling;

    fn prepare(work: Sampling, target: &mut TracedPython) -> Result<(Sampler, Vec<Spot>), End> {
        let same = Process::open(target.process.pid()).map_err(|_| End::TargetEnded)?;
        let calls = Calls::choose(&target.python, same).map_err(End::failed)?;
        let (spots, costs) = (calls.spots(), Costs::unknown());
        let sampler = Sampler {
            calls,
            planner: Planner::new(work.rate, costs.of_counted_hit()),
            rate: work.rate,
            random: fastrand::Rng::new(),
            costs,
            awaited: FxHashSet::default(),
            stack: RawStack::default(),
            ticking: Ticking::new(work.rate),
            ticked: Ticked::default(),
            ticks_still: 0,
        };
        Ok((sampler, spots))
    }

    fn set_out(&mut self, way: Way) -> Result<(), End> {
        if way == Way::Perf {
            self.costs = Costs::measured().map_err(End::failed)?;
            self.planner = Planner::new(self.rate, self.costs.of_counted_hit());
        }
        Ok(())
    }

    fn run(&mut self, guard: &mut Guard<'_>) -> Result<End, Trouble> {
        loop {
            let plan = self.planner.plan(&mut self.random);
            // Chosen before it is known what is allocated: a burst begins at each kind in proportion, and its
            // samples are those of all kinds that are watched.
            self.calls.turn(&mut self.random);
            let ticks = plan.stands_for.is_some()
                && self.calls.knows_allocating()
                && guard.breakpoints.ticks().is_some();
            let allocating = match ticks {
                true => self.wait_for_an_allocation(self.ticking.wait(plan.wait), guard)?,
                false if guard.rest(Some(plan.wait))? => return Ok(End::Asked),
                false => Waited::Over,
            };
            let mut burst = match allocating {
                Waited::Asked => return Ok(End::Asked),
                Waited::Allocating { tid } => {
                    let plan = self.planner.at_an_allocation(self.ticking.samples());
                    self.burst(&plan, &[tid], guard)?.0
                }
                Waited::Over => {
                    while !guard.check()? {
                        if guard.rest(Some(WHILE_UNREADABLE))? {
                            return Ok(End::Asked);
                        }
                    }
                    self.costs.measure()?;
                    let threads = guard.target.tracees.threads();
                    let (burst, outcome) = self.burst(&plan, &threads, guard)?;
                    self.planner.observe(outcome);
                    burst
                }
            };
            burst.ticks = std::mem::take(&mut self.ticked);
            burst.still += std::mem::take(&mut self.ticks_still);
            guard.news = burst;
            guard.send()?;
            if guard.make_room(&mut |_| CHECK_EVERY)? {
                return Ok(End::Asked);
            }
            if guard.wait(Duration::ZERO)? {
                return Ok(End::Asked);
            }
        }
    }
}

/// How a wait ended.
enum Waited {
    /// Its time is over.
    Over,
    /// This thread is allocating, and is stopped.
    Allocating {
        /// The thread.
        tid: i32,
    },
    /// leakspy asks the work to end.
    Asked,
}

impl Sampler {
    /// Lets threads tick until one does so inside the allocator, or the time is over.
    fn wait_for_an_allocation(
        &mut self,
        wait: Duration,
        guard: &mut Guard<'_>,
    ) -> Result<Waited, Trouble> {
        let begun = now();
        let waited = self.tick_until(begun.saturating_add(wait.as_nanos() as u64), guard);
        // Before anything can fail: a thread that ticks must be traced.
        guard.breakpoints.disarm(&mut guard.target.tracees)?;
        let ran = now().saturating_sub(begun);
        self.ticking.ran(Duration::from_nanos(ran));
        self.ticked.ran += ran;
        waited
    }

    fn tick_until(&mut self, until: u64, guard: &mut Guard<'_>) -> Result<Waited, Trouble> {
        loop {
            let threads = guard.target.tracees.threads();
            if let Some(ticks) = guard.breakpoints.ticks() {
                ticks.run(&threads, &mut || self.ticking.period(&mut self.random))?;
            }
            // New threads are looked for now and then.
            loop {
                let left = Duration::from_nanos(until.saturating_sub(now()));
                if left.is_zero() {
                    return Ok(Waited::Over);
                }
                if guard.wait(left.min(CHECK_EVERY))? {
                    return Ok(Waited::Asked);
                }
                while let Some(event) = guard.target.tracees.next_event()? {
                    match event {
                        Event::Hit { tid } if guard.breakpoints.is_tick(tid) => {
                            if self.tick(tid, guard)? {
                                return Ok(Waited::Allocating { tid });
                            }
                        }
                        other => guard.take(other)?,
                    }
                }
                if guard.check_sometimes()? {
                    break;
                }
            }
        }
    }

    /// Handles a tick. True: the thread makes an allocation of those that are watched now, and stays stopped.
    fn tick(&mut self, tid: i32, guard: &mut Guard<'_>) -> Result<bool, Trouble> {
        let seen = now();
        let route = self.calls.allocating(tid);
        let inside = route.is_some();
        self.ticking.observe(inside);
        self.ticked.number += 1;
        if inside {
            self.ticked.inside += 1;
            self.ticked.allocating += self.ticking.mean_period().as_nanos() as u64;
        }
        if let Some(ticks) = guard.breakpoints.ticks() {
            ticks.again(tid, self.ticking.period(&mut self.random))?;
        }
        let is_watched = route.is_some_and(|route| self.calls.watches(route));
        if !is_watched {
            guard.target.tracees.resume(tid)?;
        }
        self.ticks_still += now().saturating_sub(seen);
        Ok(is_watched)
    }

    /// Arms these threads, takes samples, and disarms again. A thread that ticked is still stopped, and is
    /// resumed.
    fn burst(
        &mut self,
        plan: &Plan,
        threads: &[i32],
        guard: &mut Guard<'_>,
    ) -> Result<(Burst, Outcome), Trouble> {
        let spots = self.calls.spots();
        guard.breakpoints.aim(&spots);
        let mut open = Open::new(plan, guard.breakpoints.hits());
        // Discards what the kernel has noted before the burst.
        guard.breakpoints.interruptions();
        // The first hit shows how long a gap the burst began in.
        let in_burst = plan.stands_for.is_some() && plan.chance < 1.0;
        self.awaited.clear();
        // Each way leaves out some of the time in which threads had no processor; this supplies it.
        let waits = guard.breakpoints.way() == Way::Ptrace;
        let waits = waits.then(|| Waits::until_now(&guard.target.process, threads));
        if waits.is_none() && in_burst {
            let is_ready = |tid: &i32| guard.target.process.thread_state(*tid) == Some('R');
            open.ready = threads.iter().copied().filter(is_ready).collect();
        }
        let begun = now();
        for &tid in threads {
            let mut skip =
                || if in_burst { 0 } else { hits_to_pass(&mut self.random, plan.chance) };
            if guard.breakpoints.arm(&mut guard.target.tracees, tid, &mut skip)? && in_burst {
                self.awaited.extend((0..spots.len()).map(|spot| (tid, spot)));
            }
        }
        if plan.start == Start::Allocation {
            threads.iter().try_for_each(|&tid| guard.target.tracees.resume(tid))?;
        }
        open.opened = u64::midpoint(begun, now());
        let result = self.until_over(&mut open, guard);
        let closing = now();
        guard.breakpoints.disarm(&mut guard.target.tracees)?;
        let closed = u64::midpoint(closing, now());
        result?;
        // Spots are disarmed one after the other, and meanwhile the thread runs at its natural speed: hits of the
        // last ones would be far too many.
        open.is_over = true;
        while let Some(event) = guard.target.tracees.next_event()? {
            self.during_look(event, &mut open, guard)?;
        }
        if let Some(before) = waits {
            open.waited = Waits::until_now(&guard.target.process, threads).since(&before);
        }
        let hits = hits_since(&open, guard);
        let interruptions = guard.breakpoints.interruptions();
        Ok(open.close(closed, hits, interruptions, &mut self.costs))
    }

    /// Takes samples until there are enough, or the time is over. The counters are not read meanwhile: that
    /// would interrupt the target.
    fn until_over(&mut self, open: &mut Open, guard: &mut Guard<'_>) -> Result<(), Trouble> {
        let until = open.opened.saturating_add(open.plan.longest.as_nanos() as u64);
        while now() < until && !open.is_complete() {
            if guard.wait(Duration::from_nanos(until.saturating_sub(now())))?
                || guard.target.tracees.threads().is_empty()
            {
                break;
            }
            while let Some(event) = guard.target.tracees.next_event()? {
                self.during_look(event, open, guard)?;
            }
        }
        Ok(())
    }

    fn during_look(
        &mut self,
        event: Event,
        open: &mut Open,
        guard: &mut Guard<'_>,
    ) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } if guard.breakpoints.is_tick(tid) => {
                Ok(guard.target.tracees.resume(tid)?)
            }
            Event::Hit { tid } => self.sample(tid, open, guard),
            other => guard.take(other),
        }
    }

    /// Examines a thread that stands at one of the spots, and resumes it.
    fn sample(&mut self, tid: i32, open: &mut Open, guard: &mut Guard<'_>) -> Result<(), Trouble> {
        let seen = now();
        // Where the kernel cannot let hits pass, leakspy does it here, and each is a stop.
        let passes =
            open.is_over || !guard.breakpoints.can_skip() && self.random.f64() >= open.plan.chance;
        let sample = if passes { None } else { self.look_at(tid, open.plan.chance, guard) };
        let resumed = guard.target.tracees.resume(tid);
        let done = now();
        if let Some(before) = open.stops.iter().rev().find(|stop| stop.tid == tid) {
            self.costs.note_round(seen.saturating_sub(before.resumed));
        }
        open.stops.push(Stop { tid, seen, resumed: done });
        if let Some((asked, sample)) = sample {
            let taken = Taken { seen, one_in: asked.one_in, sample };
            // The first hit of each spot in each thread of a burst stops regardless of the chance.
            if self.awaited.remove(&(tid, asked.spot)) {
                open.first.get_or_insert(taken);
            } else {
                open.taken.push(taken);
            }
        }
        Ok(resumed?)
    }

    fn look_at(&mut self, tid: i32, chance: f64, guard: &mut Guard<'_>) -> Option<(Asked, Sample)> {
        let asked = self.calls.asked(
            &guard.target.python,
            &guard.target.process,
            &guard.breakpoints,
            tid,
        )?;
        let pass = hits_to_pass(&mut self.random, chance);
        // A thread whose skip could not be set stops at its next hit, which costs a little.
        let _ = guard.breakpoints.skip(tid, asked.spot, pass);
        let state = guard.target.state(tid)?;
        guard
            .target
            .python
            .copy_stack(&guard.target.process, state.address, &mut self.stack)
            .ok()?;
        let sample = Sample {
            tid,
            pthread: state.pthread,
            call: asked.call,
            bytes: asked.bytes,
            caller: asked.caller,
            inner: asked.inner,
            stands_for: 0.0,
            pause: 0,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        };
        Some((asked, sample))
    }
}

fn hits_since(open: &Open, guard: &Guard<'_>) -> u64 {
    match (guard.breakpoints.hits(), open.hits_before) {
        (Some(hits), Some(before)) => hits.saturating_sub(before),
        _ => open.stops.len() as u64,
    }
}
