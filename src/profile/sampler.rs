//! The guardian's work: sampling the allocations of one process.
//!
//! Sets breakpoints on the entries of the allocator that Python's objects come from, in windows that
//! [`windows`](super::windows) plans, and copies the Python stack of each thread that one stops. All
//! that needs thought (names, lines, weights) is left to whoever reads the [`Message`]s: this runs
//! while a thread of the target stands still, and must be simple enough to be right about letting it
//! go.
//!
//! It ends when it is asked to or when nobody listens any more; either way every thread is disarmed
//! and let go of first.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustc_hash::FxHashMap;

use super::account::{Costs, Open, Taken, now};
use super::messages::{Call, End, Message, Request, Sample, Window};
use super::windows::{Outcome, Plan, Planner, hits_to_pass};
use crate::memory::Memory;
use crate::python::{AllocatorFunctions, Python, RawStack, ThreadState};
use crate::target::breakpoint::{Breakpoints, Kind, MOST_SPOTS, Spot, Way, cost};
use crate::target::tracees::{Event, Tracees};
use crate::target::{Process, ThreadIds, ptrace};

/// How far behind a function's entry its own code may reach, where no symbol says.
const FUNCTION_SPAN: u64 = 1024;

/// Serves one request: samples until `control` is closed or readable, and reports to `reports`.
/// An error means that nobody listens any more.
pub fn serve(
    request: &Request,
    control: BorrowedFd<'_>,
    reports: &mut impl Write,
) -> io::Result<()> {
    let end = match Sampler::attach(request) {
        Ok(mut sampler) => {
            let end = sampler.run(control, reports);
            sampler.let_go();
            match end {
                Ok(end) => end,
                Err(Trouble::NobodyListens(error)) => return Err(error),
                Err(Trouble::End(end)) => end,
            }
        }
        Err(end) => end,
    };
    report(reports, &Message::Ended(end))
}

fn report(reports: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    reports.write_all(&line)?;
    reports.flush()
}

/// Why sampling cannot go on.
enum Trouble {
    /// The reports cannot be delivered.
    NobodyListens(io::Error),
    /// Anything else.
    End(End),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::End(End::Failed { why: error.to_string() })
    }
}

/// One entry of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    address: u64,
    call: Call,
}

struct Sampler {
    process: Process,
    python: Python,
    entries: Vec<Entry>,
    tracees: Tracees,
    breakpoints: Breakpoints,
    states: FxHashMap<i32, ThreadState>,
    last_states: Vec<ThreadState>,
    planner: Planner,
    random: fastrand::Rng,
    costs: Costs,
    stack: RawStack,
}

impl Sampler {
    fn attach(request: &Request) -> Result<Sampler, End> {
        let failed = |error: &dyn std::fmt::Display| End::Failed { why: error.to_string() };
        let process = Process::open(request.pid).map_err(|_| End::TargetEnded)?;
        if process.started() != request.started {
            return Err(End::TargetEnded);
        }
        let python = Python::attach(&process).map_err(|error| failed(&error))?;
        let allocators = python.allocators(&process).map_err(|error| failed(&error))?;
        let entries = entries(&[allocators.object, allocators.mem]);
        let mut tracees = Tracees::new().map_err(|error| failed(&error))?;
        let mut states = FxHashMap::default();
        let last_states = take_up_threads(&process, &python, &mut tracees, &mut states)?;
        let first = *states.keys().next().ok_or(End::TargetEnded)?;
        let spots: Vec<Spot> =
            entries.iter().map(|e| Spot { address: e.address, kind: Kind::Execute }).collect();
        let breakpoints = Breakpoints::prepare(request.way, &spots, &mut tracees, first)
            .map_err(|error| End::NoBreakpoints { why: error.to_string() })?;
        let hit_cost = match breakpoints.way() {
            Way::Perf => Some(cost::of_counted_hit().map_err(|error| failed(&error))?),
            Way::Ptrace => None,
        };
        Ok(Sampler {
            process,
            python,
            entries,
            tracees,
            breakpoints,
            states,
            last_states,
            planner: Planner::new(request.rate, hit_cost),
            random: fastrand::Rng::new(),
            costs: Costs::new(hit_cost),
            stack: RawStack::default(),
        })
    }

    fn run(&mut self, control: BorrowedFd<'_>, reports: &mut impl Write) -> Result<End, Trouble> {
        let started =
            Message::Started { way: self.breakpoints.way(), hit_cost: self.costs.counted_hit() };
        report(reports, &started).map_err(Trouble::NobodyListens)?;
        loop {
            let plan = self.planner.plan(&mut self.random);
            let until = now().saturating_add(plan.wait.as_nanos() as u64);
            while now() < until {
                if self.wait(control, until)? {
                    return Ok(End::Asked);
                }
                while let Some(event) = self.tracees.next_event()? {
                    self.between_windows(event)?;
                }
            }
            self.check_target()?;
            let window = self.watch(&plan, control)?;
            self.planner.observe(Outcome {
                length: plan.length,
                lasted: Duration::from_nanos(window.lasted),
                hits: window.hits,
            });
            if window.hits > 0 || window.lasted > 0 {
                report(reports, &Message::Window(window)).map_err(Trouble::NobodyListens)?;
            }
            if self.wait(control, 0)? {
                return Ok(End::Asked);
            }
        }
    }

    /// Whether the target is still there, and which Python threads it has now.
    fn check_target(&mut self) -> Result<(), Trouble> {
        if !self.process.is_alive() {
            return Err(Trouble::End(End::TargetEnded));
        }
        match self.python.thread_states(&self.process) {
            Ok(states) if states == self.last_states => Ok(()),
            _ => {
                self.last_states = take_up_threads(
                    &self.process,
                    &self.python,
                    &mut self.tracees,
                    &mut self.states,
                )
                .map_err(Trouble::End)?;
                Ok(())
            }
        }
    }

    /// A hit outside any window was on its way when the last one was closed.
    fn between_windows(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } => Ok(self.tracees.resume(tid)?),
            Event::Ended { tid } => {
                self.forget(tid);
                Ok(())
            }
            Event::Replaced => Err(Trouble::End(End::Replaced)),
        }
    }

    fn forget(&mut self, tid: i32) {
        self.breakpoints.forget(tid);
        self.states.remove(&tid);
    }

    /// Opens a window and closes it again.
    fn watch(&mut self, plan: &Plan, control: BorrowedFd<'_>) -> Result<Window, Trouble> {
        let mut open = Open::new(plan, self.breakpoints.hits());
        // What the kernel has noted up to here is from before.
        self.breakpoints.interruptions();
        let begun = now();
        for tid in self.tracees.threads() {
            let mut skip = || hits_to_pass(&mut self.random, plan.chance);
            if !self.breakpoints.arm(&mut self.tracees, tid, &mut skip)? {
                self.forget(tid);
            }
        }
        open.opened = u64::midpoint(begun, now());
        let result = self.until_over(&mut open, control);
        let closing = now();
        self.breakpoints.disarm(&mut self.tracees)?;
        let closed = u64::midpoint(closing, now());
        result?;
        // Hits that came before the end belong to the window.
        while let Some(event) = self.tracees.next_event()? {
            self.during_window(event, &mut open)?;
        }
        let hits = self.hits_since(&open);
        let interruptions = self.breakpoints.interruptions();
        Ok(open.close(closed, hits, interruptions, &self.costs))
    }

    /// Takes samples until the window is over.
    fn until_over(&mut self, open: &mut Open, control: BorrowedFd<'_>) -> Result<(), Trouble> {
        let length = open.plan.length.as_nanos() as u64;
        let enough = (open.plan.most_hits as f64 * open.plan.chance).ceil() as usize;
        loop {
            while let Some(event) = self.tracees.next_event()? {
                self.during_window(event, open)?;
            }
            let over = open.opened + length + open.spent(&self.costs);
            if now() >= over || open.taken.len() >= enough {
                // To read the counters disturbs the target, so it is done only here.
                open.hits = self.hits_since(open);
                let over = open.opened + length + open.spent(&self.costs);
                if now() >= over || open.hits >= open.plan.most_hits {
                    return Ok(());
                }
            }
            if self.wait(control, over)? || self.tracees.threads().is_empty() {
                return Ok(());
            }
        }
    }

    fn hits_since(&self, open: &Open) -> u64 {
        match (self.breakpoints.hits(), open.hits_before) {
            (Some(hits), Some(before)) => hits.saturating_sub(before),
            _ => open.taken.len() as u64,
        }
    }

    fn during_window(&mut self, event: Event, open: &mut Open) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } => self.sample(tid, open),
            other => self.between_windows(other),
        }
    }

    /// Looks at a thread that stands at one of the entries, and lets it go on.
    fn sample(&mut self, tid: i32, open: &mut Open) -> Result<(), Trouble> {
        let seen = now();
        let sample = self.look_at(tid, open.plan.chance);
        let resumed = self.tracees.resume(tid);
        let done = now();
        if let Some(before) = open.taken.iter().rev().find(|taken| taken.sample.tid == tid) {
            self.costs.note_round(seen.saturating_sub(before.resumed));
        }
        if let Some(sample) = sample {
            open.taken.push(Taken { seen, resumed: done, sample });
        }
        Ok(resumed?)
    }

    fn look_at(&mut self, tid: i32, chance: f64) -> Option<Sample> {
        let registers = ptrace::registers(tid).ok()?;
        let number = self.entries.iter().position(|e| e.address == registers.instruction)?;
        let entry = *self.entries.get(number)?;
        let pass = hits_to_pass(&mut self.random, chance);
        // A thread whose skip could not be set is stopped by its next hit, which costs a little.
        let _ = self.breakpoints.skip(tid, number, pass);
        let caller = match registers.link {
            Some(link) => link,
            None => self.process.u64(registers.stack).ok()?,
        };
        let [_, first, second] = registers.arguments;
        let bytes = match entry.call {
            Call::Malloc => first,
            Call::Calloc => first.saturating_mul(second),
            Call::Realloc => second,
        };
        let state = self.states.get(&tid)?;
        self.python.copy_stack(&self.process, state.address, &mut self.stack).ok()?;
        Some(Sample {
            tid,
            pthread: state.pthread,
            call: entry.call,
            bytes,
            caller,
            inner: self.is_inner(caller),
            factor: 1.0,
            pause: 0,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        })
    }

    /// Whether the call comes from inside the allocator: `realloc` calls `malloc` when it has to
    /// move a block (`_PyObject_Realloc`, Objects/obmalloc.c), and is counted itself.
    fn is_inner(&self, caller: u64) -> bool {
        if let Some(name) = self.python.image.function_at(caller) {
            return ["_PyObject_Realloc", "pymalloc_realloc"].iter().any(|it| name.starts_with(it));
        }
        self.entries.iter().any(|entry| {
            entry.call == Call::Realloc
                && (entry.address..entry.address.saturating_add(FUNCTION_SPAN)).contains(&caller)
        })
    }

    /// Sleeps until something happens in the target, `until` is reached, or there is word from whom
    /// we work for: then it is true.
    fn wait(&self, control: BorrowedFd<'_>, until: u64) -> io::Result<bool> {
        let left = Duration::from_nanos(until.saturating_sub(now()));
        let mut news = [
            PollFd::new(control, PollFlags::POLLIN),
            PollFd::new(self.tracees.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut news, Some(TimeSpec::from(left)), None) {
            Ok(_) => Ok(news[0].revents().is_some_and(|events| !events.is_empty())),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Disarms all and lets all go, whatever it takes: what stays armed dies of its next hit.
    fn let_go(&mut self) {
        loop {
            let disarmed = self.breakpoints.disarm(&mut self.tracees);
            if !self.breakpoints.is_armed() || self.tracees.threads().is_empty() {
                break;
            }
            if disarmed.is_err() && !self.process.is_alive() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.tracees.release();
    }
}

/// The distinct entries of these domains; calls that share an address count once.
fn entries(domains: &[AllocatorFunctions]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(MOST_SPOTS);
    for domain in domains {
        let functions = [
            (domain.malloc, Call::Malloc),
            (domain.calloc, Call::Calloc),
            (domain.realloc, Call::Realloc),
        ];
        for (address, call) in functions {
            if entries.iter().all(|entry| entry.address != address) && entries.len() < MOST_SPOTS {
                entries.push(Entry { address, call });
            }
        }
    }
    entries
}

/// Traces the Python threads that are not traced yet, and notes which is which.
fn take_up_threads(
    process: &Process,
    python: &Python,
    tracees: &mut Tracees,
    by_tid: &mut FxHashMap<i32, ThreadState>,
) -> Result<Vec<ThreadState>, End> {
    let states =
        python.thread_states(process).map_err(|error| End::Failed { why: error.to_string() })?;
    let ids = ThreadIds::read(process).map_err(|_| End::TargetEnded)?;
    by_tid.clear();
    for &state in &states {
        let Some(tid) = state.native_id.and_then(|inner| ids.outer(inner)) else { continue };
        if !tracees.contains(tid) {
            match tracees.seize(tid) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    // A thread that is just ending is refused too.
                    if process.thread_state(tid).is_none_or(|state| matches!(state, 'Z' | 'X')) {
                        continue;
                    }
                    return Err(End::Denied { tid });
                }
                Err(error) => return Err(End::Failed { why: error.to_string() }),
            }
        }
        by_tid.insert(tid, state);
    }
    Ok(states)
}
