//! The guardian's work: sampling the allocations of one process.
//!
//! Sets breakpoints where the allocator is called ([`calls`](super::calls)), in bursts that
//! [`bursts`](super::bursts) plans, and copies the Python stack of each thread that one stops. All
//! that needs thought (names, lines, weights) is left to whoever reads the [`Message`]s: this runs
//! while a thread of the target stands still, and must be simple enough to be right about letting it
//! go.
//!
//! It ends when it is asked to or when nobody listens any more; either way every thread is disarmed
//! and let go of first.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::account::{Costs, Open, Stop, Taken, now};
use super::bursts::{Outcome, Plan, Planner, hits_to_pass};
use super::calls::{Asked, Calls};
use super::messages::{End, Look, Message, Request, Sample};
use crate::guardian::outbox::Outbox;
use crate::guardian::traced_threads::TracedPython;
use crate::guardian::trouble::{Trouble, last_word};
use crate::process::Process;
use crate::process::breakpoint::{Breakpoints, Way};
use crate::process::tracees::Event;
use crate::process::waits::Waits;
use crate::python::RawStack;

/// How often it is checked between looks that the target is still there, in nanoseconds.
const CHECK_EVERY: u64 = 100_000_000;
/// How often room for reports is looked for when there is none.
const WHILE_FULL: Duration = Duration::from_millis(10);

/// How long the threads of a target may be unreadable, in nanoseconds, and how often they are tried.
const UNREADABLE: u64 = 1_000_000_000;
const WHILE_UNREADABLE: Duration = Duration::from_millis(5);

/// Serves one request: samples until `control` is closed or readable, and reports to `reports`.
/// An error means that nobody listens any more.
pub fn serve(request: &Request, control: BorrowedFd<'_>, reports: &mut Outbox) -> io::Result<()> {
    let end = match Sampler::attach(request) {
        Ok(mut sampler) => {
            let end = sampler.run(control, reports);
            sampler.let_go();
            end
        }
        Err(end) => Err(Trouble::End(end)),
    };
    let end = last_word(end, request.pid, request.started)?;
    reports.post(&Message::Ended(end))?;
    reports.send_all()
}

struct Sampler {
    target: TracedPython,
    calls: Calls,
    breakpoints: Breakpoints,
    planner: Planner,
    random: fastrand::Rng,
    costs: Costs,
    /// Spots in threads that have not been hit since they were armed for a burst.
    awaited: FxHashSet<(i32, usize)>,
    stack: RawStack,
}

impl Sampler {
    fn attach(request: &Request) -> Result<Sampler, End> {
        let failed = |error: &dyn std::fmt::Display| End::Failed { why: error.to_string() };
        let mut target = TracedPython::open(request.pid, request.started)?;
        let same = Process::open(request.pid).map_err(|_| End::TargetEnded)?;
        let calls = Calls::choose(&target.python, same).map_err(|error| failed(&error))?;
        let first = target.begin()?;
        let spots = calls.spots();
        let breakpoints = Breakpoints::prepare(request.way, &spots, &mut target.tracees, first)
            .map_err(|error| End::NoBreakpoints { why: error.to_string() })?;
        let costs = match breakpoints.way() {
            Way::Perf => Costs::measured().map_err(|error| failed(&error))?,
            Way::Ptrace => Costs::unknown(),
        };
        Ok(Sampler {
            target,
            calls,
            breakpoints,
            planner: Planner::new(request.rate, costs.of_counted_hit()),
            random: fastrand::Rng::new(),
            costs,
            awaited: FxHashSet::default(),
            stack: RawStack::default(),
        })
    }

    fn run(&mut self, control: BorrowedFd<'_>, reports: &mut Outbox) -> Result<End, Trouble> {
        let started = Message::Started { way: self.breakpoints.way() };
        reports.post(&started).map_err(Trouble::NobodyListens)?;
        loop {
            let plan = self.planner.plan(&mut self.random);
            let mut over = self.idle(control, plan.wait)?;
            while reports.is_full() && !over {
                over = self.idle(control, WHILE_FULL)?;
                reports.send().map_err(Trouble::NobodyListens)?;
            }
            if over {
                return Ok(End::Asked);
            }
            self.check_target(control)?;
            self.costs.measure()?;
            let (look, outcome) = self.look(&plan, control)?;
            self.planner.observe(outcome);
            reports.post(&Message::Look(look)).map_err(Trouble::NobodyListens)?;
            if self.wait(control, 0)? {
                return Ok(End::Asked);
            }
        }
    }

    /// Between looks: only passes on what happens in the target. True if we are asked to end.
    fn idle(&mut self, control: BorrowedFd<'_>, duration: Duration) -> Result<bool, Trouble> {
        let until = now().saturating_add(duration.as_nanos() as u64);
        while now() < until {
            if self.wait(control, until.min(now().saturating_add(CHECK_EVERY)))? {
                return Ok(true);
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.between_looks(event)?;
            }
            self.target.check_program()?;
        }
        Ok(false)
    }

    /// Whether the target is still there, and which Python threads it has now. While it ends or
    /// replaces its program there are moments at which little can be read.
    fn check_target(&mut self, control: BorrowedFd<'_>) -> Result<(), Trouble> {
        let until = now().saturating_add(UNREADABLE);
        loop {
            self.target.check_program()?;
            match self.target.check_threads() {
                Err(error) if now() > until => return Err(error.into()),
                Err(_) if !self.idle(control, WHILE_UNREADABLE)? => {}
                _ => return Ok(()),
            }
        }
    }

    /// A hit outside any look was on its way when the last one ended.
    fn between_looks(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } | Event::Began { tid } => Ok(self.target.tracees.resume(tid)?),
            Event::Ended { tid } => {
                self.forget(tid);
                Ok(())
            }
            Event::Replaced => Err(Trouble::End(End::Replaced)),
        }
    }

    fn forget(&mut self, tid: i32) {
        self.breakpoints.forget(tid);
        self.target.forget(tid);
    }

    /// Arms, takes samples, and disarms again.
    fn look(&mut self, plan: &Plan, control: BorrowedFd<'_>) -> Result<(Look, Outcome), Trouble> {
        self.calls.turn(&mut self.random);
        let spots = self.calls.spots();
        self.breakpoints.aim(&spots);
        let mut open = Open::new(plan, self.breakpoints.hits());
        // What the kernel has noted up to here is from before.
        self.breakpoints.interruptions();
        // The first hit tells how long a gap the look began in.
        let in_burst = plan.stands_for.is_some() && plan.chance < 1.0;
        self.awaited.clear();
        let threads = self.target.tracees.threads();
        // What each way does not tell of when threads had no processor.
        let waits = self.breakpoints.way() == Way::Ptrace;
        let waits = waits.then(|| Waits::until_now(&self.target.process, &threads));
        if waits.is_none() && in_burst {
            let is_ready = |tid: &i32| self.target.process.thread_state(*tid) == Some('R');
            open.ready = threads.iter().copied().filter(is_ready).collect();
        }
        let begun = now();
        for &tid in &threads {
            let mut skip =
                || if in_burst { 0 } else { hits_to_pass(&mut self.random, plan.chance) };
            if self.breakpoints.arm(&mut self.target.tracees, tid, &mut skip)? && in_burst {
                self.awaited.extend((0..spots.len()).map(|spot| (tid, spot)));
            }
        }
        open.opened = u64::midpoint(begun, now());
        let result = self.until_over(&mut open, control);
        let closing = now();
        self.breakpoints.disarm(&mut self.target.tracees)?;
        let closed = u64::midpoint(closing, now());
        result?;
        // Hits that came before the end belong to the look.
        while let Some(event) = self.target.tracees.next_event()? {
            self.during_look(event, &mut open)?;
        }
        if let Some(before) = waits {
            open.waited = Waits::until_now(&self.target.process, &threads).since(&before);
        }
        let hits = self.hits_since(&open);
        let interruptions = self.breakpoints.interruptions();
        Ok(open.close(closed, hits, interruptions, &mut self.costs))
    }

    /// Takes samples until there are enough, or it has lasted long enough. The counters are not read
    /// meanwhile: that would interrupt the target.
    fn until_over(&mut self, open: &mut Open, control: BorrowedFd<'_>) -> Result<(), Trouble> {
        let until = open.opened.saturating_add(open.plan.longest.as_nanos() as u64);
        while now() < until && open.taken.len() < open.plan.samples as usize {
            if self.wait(control, until)? || self.target.tracees.threads().is_empty() {
                break;
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.during_look(event, open)?;
            }
        }
        Ok(())
    }

    fn hits_since(&self, open: &Open) -> u64 {
        match (self.breakpoints.hits(), open.hits_before) {
            (Some(hits), Some(before)) => hits.saturating_sub(before),
            _ => open.stops.len() as u64,
        }
    }

    fn during_look(&mut self, event: Event, open: &mut Open) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } => self.sample(tid, open),
            other => self.between_looks(other),
        }
    }

    /// Looks at a thread that stands at one of the spots, and lets it go on.
    fn sample(&mut self, tid: i32, open: &mut Open) -> Result<(), Trouble> {
        let seen = now();
        // Where the kernel cannot let hits pass, it is done here, and each is a stop.
        let passes = !self.breakpoints.can_skip() && self.random.f64() >= open.plan.chance;
        let sample = if passes { None } else { self.look_at(tid, open.plan.chance) };
        let resumed = self.target.tracees.resume(tid);
        let done = now();
        if let Some(before) = open.stops.iter().rev().find(|stop| stop.tid == tid) {
            self.costs.note_round(seen.saturating_sub(before.resumed));
        }
        open.stops.push(Stop { tid, seen, resumed: done });
        if let Some((asked, sample)) = sample {
            let taken = Taken { seen, one_in: asked.one_in, sample };
            // The first hit of each spot in each thread of a burst stops whatever the chance.
            if self.awaited.remove(&(tid, asked.spot)) {
                open.first.get_or_insert(taken);
            } else {
                open.taken.push(taken);
            }
        }
        Ok(resumed?)
    }

    fn look_at(&mut self, tid: i32, chance: f64) -> Option<(Asked, Sample)> {
        let asked =
            self.calls.asked(&self.target.python, &self.target.process, &self.breakpoints, tid)?;
        let pass = hits_to_pass(&mut self.random, chance);
        // A thread whose skip could not be set is stopped by its next hit, which costs a little.
        let _ = self.breakpoints.skip(tid, asked.spot, pass);
        let state = self.target.state(tid)?;
        self.target.python.copy_stack(&self.target.process, state.address, &mut self.stack).ok()?;
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

    /// Sleeps until something happens in the target, `until` is reached, or there is word from whom
    /// we work for: then it is true.
    fn wait(&self, control: BorrowedFd<'_>, until: u64) -> io::Result<bool> {
        self.target.wait(control, Duration::from_nanos(until.saturating_sub(now())))
    }

    fn let_go(&mut self) {
        self.target.let_go(&mut self.breakpoints);
    }
}
