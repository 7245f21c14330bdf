//! The guardian's work for native memory: calls of the C library's allocator are followed to the blocks they
//! return.
//!
//! All Python threads are armed at the entries of `malloc`, `calloc`, `realloc` and `aligned_alloc`. A thread
//! that reaches one stands still while the size is read from its registers and its Python stack is copied; it
//! then has a breakpoint only at the return address, where its registers hold the block's address. Most
//! blocks are freed at once, and the next call may return the same address, which looks like the same block:
//! so for a moment the thread has breakpoints on the words that `free` writes. Whether the remaining blocks
//! stay is checked later from outside ([`survivors`](super::survivors)).
//!
//! Where calls are so frequent that the target needs rests, they are followed in bursts, one after the other,
//! starting at random instants. The first calls of a burst pass: following them would favour calls after a
//! long gap.

use std::io;
use std::time::{Duration, Instant};

use super::blocks::{Block, Follow, Functions};
use crate::guardian::report::End;
use crate::guardian::server::{self, CHECK_EVERY, Duty};
use crate::guardian::spawn::go_first;
use crate::guardian::traced_threads::TracedPython;
use crate::guardian::trouble::Trouble;
use crate::heap::rss::malloc::size_in_use;
use crate::memory::Memory;
use crate::process::breakpoint::{Kind, Spot};
use crate::process::glibc::words_written_by_free;
use crate::process::ptrace;
use crate::process::ptrace::Registers;
use crate::process::tracees::Event;
use crate::process::waits::ran;
use crate::python::RawStack;

/// The most calls of a burst that pass before one is followed, and the fewest that are followed.
const MOST_PASSED: u64 = 7;
const BURST: u64 = 16;
/// How soon to check again whether a thread has run.
const SOON: Duration = Duration::from_millis(1);
/// How long a call may take. A call that takes longer has lost its processor or did not return here.
const LONGEST_CALL: Duration = Duration::from_millis(20);
/// How long a block is watched for being freed at once: by the clock, and as time on a processor if the
/// thread is not asleep. On a busy machine that takes longer.
const WATCHED: Duration = Duration::from_millis(5);
const WATCHED_RUNNING: Duration = Duration::from_millis(2);
const WATCHED_AT_MOST: Duration = Duration::from_millis(100);
/// A block whose beginning is written more often than this is in use, not abandoned: it is not reported.
const MOST_WRITES: u64 = 16;
/// A call is given up after this many stops: other threads allocate a lot meanwhile, or stacks cannot be
/// read.
const MOST_STOPS: u64 = 64;
/// A number of hits that a thread never reaches: it is not to stop again.
const NEVER: u64 = 1 << 40;

type Guard<'a> = server::Guard<'a, Vec<Block>>;

/// The duty of following allocations.
pub(crate) struct Follower {
    functions: Functions,
    entries: [Spot; 4],
    /// How many calls of the burst have been followed.
    calls: u64,
    /// How many stops the present call has taken.
    stops: u64,
    /// Threads whose calls pass while a call of another is followed.
    passing: Vec<i32>,
    stack: RawStack,
    random: fastrand::Rng,
}

/// How far a call has come.
enum Stage {
    /// This many other calls pass first.
    Passing(u64),
    /// The call was made.
    Called {
        tid: i32,
        bytes: u64,
        /// Where it returns to, and the stack pointer at that point.
        returns_to: u64,
        stack: u64,
        since: Instant,
    },
    /// It has returned a block.
    Given(Given),
}

/// A block that was returned.
#[derive(Clone, Copy)]
struct Given {
    tid: i32,
    bytes: u64,
    block: u64,
    chunk: u64,
    writes: u64,
    since: Instant,
    /// How long its thread had been on a processor then.
    ran: Option<Duration>,
}

impl Duty for Follower {
    type Work = Follow;

    fn prepare(work: Follow, target: &mut TracedPython) -> Result<(Follower, Vec<Spot>), End> {
        go_first();
        target.tracees.follow_new_threads();
        let functions = work.functions;
        let Functions { malloc, calloc, realloc, aligned_alloc } = functions;
        let entry = |address| Spot { address, kind: Kind::Execute };
        let entries = [malloc, calloc, realloc, aligned_alloc].map(entry);
        let follower = Follower {
            functions,
            entries,
            calls: 0,
            stops: 0,
            passing: Vec::new(),
            stack: RawStack::default(),
            random: fastrand::Rng::new(),
        };
        Ok((follower, entries.to_vec()))
    }

    fn run(&mut self, guard: &mut Guard<'_>) -> Result<End, Trouble> {
        loop {
            let debt = guard.budget.debt();
            let to_pass = if debt.is_zero() { 0 } else { self.random.u64(0..=MOST_PASSED) };
            let rest = debt.mul_f64(0.5 + self.random.f64());
            let mut over = guard.make_room(&mut |_| CHECK_EVERY)? || guard.rest(Some(rest))?;
            if !over {
                guard.breakpoints.aim(&self.entries);
                let asked_to_end = self.burst(to_pass, guard);
                disarm(guard)?;
                over = asked_to_end?;
            }
            if over {
                return Ok(End::Asked);
            }
        }
    }
}

impl Follower {
    /// Follows calls, after `to_pass` others, for as long as the target can bear it. True if the guardian was
    /// asked to end.
    fn burst(&mut self, to_pass: u64, guard: &mut Guard<'_>) -> Result<bool, Trouble> {
        guard.arm(to_pass)?;
        let mut stage = Stage::Passing(if guard.breakpoints.can_skip() { 0 } else { to_pass });
        self.calls = 0;
        self.stops = 0;
        loop {
            let mut asked = false;
            match guard.target.tracees.next_event()? {
                Some(Event::Hit { tid }) => {
                    let seen = Instant::now();
                    self.stops += 1;
                    let next = self.next_stage(stage, tid, guard);
                    let resumed = guard.target.tracees.resume(tid);
                    guard.budget.spend(1, seen.elapsed() + guard.waking);
                    resumed?;
                    stage = next?;
                }
                Some(event) => guard.take_while_armed(event)?,
                None => {
                    let within = stage.time_left().map_or(CHECK_EVERY, |left| left.max(SOON));
                    let began = Instant::now();
                    asked = guard.wait(within)?;
                    guard.budget.earn(began.elapsed());
                }
            }
            let is_late = stage.time_left() == Some(Duration::ZERO) && !is_to_run(&stage, guard);
            let is_much = self.stops > MOST_STOPS;
            if let Stage::Given(given) = &stage
                && is_late
            {
                self.note_block(given, guard);
            }
            if is_late || is_much {
                stage = self.give_up(stage, guard)?;
            }
            let is_enough = self.calls >= BURST || is_much;
            if asked || (is_enough && !guard.budget.debt().is_zero()) {
                return Ok(asked);
            }
            if guard.check_sometimes()? && matches!(stage, Stage::Passing(_)) {
                guard.arm(to_pass)?;
            }
        }
    }

    /// Moves on to the next call, whatever has become of this one.
    fn give_up(&mut self, stage: Stage, guard: &mut Guard<'_>) -> io::Result<Stage> {
        self.stops = 0;
        match stage {
            Stage::Passing(_) => Ok(stage),
            Stage::Called { tid, .. } | Stage::Given(Given { tid, .. }) => {
                self.next_call(tid, guard)
            }
        }
    }

    /// Sets the followed thread's breakpoints back to the entries, and those of the threads that passed.
    fn next_call(&mut self, tid: i32, guard: &mut Guard<'_>) -> io::Result<Stage> {
        self.calls += 1;
        self.stops = 0;
        guard.redirect(tid, &self.entries)?;
        for other in self.passing.drain(..) {
            guard.redirect(other, &self.entries)?;
        }
        Ok(Stage::Passing(0))
    }

    /// The stage after a thread was hit.
    fn next_stage(&mut self, stage: Stage, hit: i32, guard: &mut Guard<'_>) -> io::Result<Stage> {
        match stage {
            Stage::Passing(0) => Ok(self.begin_call(hit, guard).unwrap_or(Stage::Passing(0))),
            Stage::Passing(others) => Ok(Stage::Passing(others - 1)),
            Stage::Called { tid, bytes, returns_to, stack, .. } if tid == hit => {
                let registers = ptrace::registers(tid)?;
                if registers.instruction != returns_to || registers.stack != stack {
                    return Ok(stage);
                }
                let block = registers.result();
                let Some(chunk) = size_in_use(&guard.target.process, block) else {
                    return self.next_call(hit, guard);
                };
                guard.redirect(tid, &written_by_free(block, chunk))?;
                let ran = ran(&guard.target.process, tid);
                let since = Instant::now();
                Ok(Stage::Given(Given { tid, bytes, block, chunk, writes: 0, since, ran }))
            }
            Stage::Given(given) if given.tid == hit => {
                let is_freed = size_in_use(&guard.target.process, given.block) != Some(given.chunk);
                if is_freed || given.writes > MOST_WRITES {
                    return self.next_call(hit, guard);
                }
                Ok(Stage::Given(Given { writes: given.writes + 1, ..given }))
            }
            Stage::Called { .. } | Stage::Given(_) => {
                // A thread that cannot be made to pass stops again, until there are too many stops.
                if guard.breakpoints.can_skip() {
                    self.passing.push(hit);
                    let mut spots = 0..self.entries.len();
                    spots.try_for_each(|spot| guard.breakpoints.skip(hit, spot, NEVER))?;
                }
                Ok(stage)
            }
        }
    }

    /// Reads the request of a thread at an entry; from now on it waits at the return address.
    fn begin_call(&mut self, tid: i32, guard: &mut Guard<'_>) -> Option<Stage> {
        let registers = ptrace::registers(tid).ok()?;
        let [first, second, _] = registers.arguments;
        let bytes = match registers.instruction {
            it if it == self.functions.malloc => first,
            it if it == self.functions.calloc => first.saturating_mul(second),
            it if it == self.functions.realloc => second,
            it if it == self.functions.aligned_alloc => second,
            _ => return None,
        };
        let (returns_to, stack) = frame(&registers, &guard.target)?;
        guard.target.copy_own_stack(tid, &mut self.stack).ok()?;
        let spot = Spot { address: returns_to, kind: Kind::Execute };
        guard.redirect(tid, &[spot]).ok()?;
        Some(Stage::Called { tid, bytes, returns_to, stack, since: Instant::now() })
    }

    /// Reports a block that was returned and has not been freed yet.
    fn note_block(&mut self, given: &Given, guard: &mut Guard<'_>) {
        guard.news.push(Block {
            address: given.block,
            bytes: given.bytes,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        });
    }
}

impl Stage {
    /// How long to wait for the next event; `None` where it may take any time.
    fn time_left(&self) -> Option<Duration> {
        let (since, most) = match self {
            Stage::Passing(_) => return None,
            Stage::Called { since, .. } => (since, LONGEST_CALL),
            Stage::Given(given) => (&given.since, WATCHED),
        };
        Some(most.saturating_sub(since.elapsed()))
    }
}

/// Whether a thread that was given a block has had no time to free it yet, because others have the
/// processors.
fn is_to_run(stage: &Stage, guard: &Guard<'_>) -> bool {
    let Stage::Given(Given { tid, since, ran: before, .. }) = *stage else { return false };
    let process = &guard.target.process;
    let ran = ran(process, tid).zip(before).map(|(now, before)| now.saturating_sub(before));
    ran.is_some_and(|ran| ran < WATCHED_RUNNING)
        && since.elapsed() < WATCHED_AT_MOST
        && process.thread_state(tid) == Some('R')
}

fn disarm(guard: &mut Guard<'_>) -> Result<(), Trouble> {
    loop {
        guard.disarm()?;
        while let Some(event) = guard.target.tracees.next_event()? {
            guard.take(event)?;
        }
        if guard.is_disarmed()? {
            return Ok(());
        }
    }
}

/// The words that `free` writes.
fn written_by_free(block: u64, chunk: u64) -> Vec<Spot> {
    let written = |address| Spot { address, kind: Kind::Write { length: 8 } };
    words_written_by_free(block, chunk).into_iter().map(written).collect()
}

/// Where a function that has just been entered returns to, and the stack pointer at that point.
fn frame(registers: &Registers, target: &TracedPython) -> Option<(u64, u64)> {
    match registers.link {
        Some(link) => Some((link, registers.stack)),
        None => {
            let returns_to = target.process.u64(registers.stack).ok()?;
            Some((returns_to, registers.stack.wrapping_add(8)))
        }
    }
}
