//! The guardian's work for native memory: calls of the C library's allocator, or of `mmap`, are followed to the
//! blocks they return.
//!
//! All Python threads are armed at the entries of those functions. A thread that reaches one stands still while the
//! size is read from its registers. If blocks of that size become more and more, its Python stack is copied; it then
//! has a breakpoint only at the return address, where its registers hold the block's address. Most blocks are freed
//! at once, and the next call may return the same address, which looks like the same block: so for a moment the
//! thread has breakpoints on the words that `free` writes, or on `munmap`. Whether the remaining blocks stay is
//! checked later from outside ([`survivors`](super::survivors)).
//!
//! Where calls are so frequent that the target needs rests, they are followed in bursts, starting at random
//! instants. A burst passes over some calls first, or it would favour calls after a long gap, and it is long enough
//! to see calls late in a step of the program: a call whose size does not matter is over as soon as its size is
//! read, and [few](super::fates) are followed of those whose blocks are always freed.

use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::blocks::{Block, Call, Follow, Function};
use super::fates::{Fates, Site};
use super::turns::Turns;
use crate::guardian::report::End;
use crate::guardian::server::{self, CHECK_EVERY, Duty};
use crate::guardian::spawn::go_first;
use crate::guardian::traced_threads::TracedPython;
use crate::guardian::trouble::Trouble;
use crate::heap::rss::malloc::size_in_use;
use crate::memory::{Memory, PAGE};
use crate::process::breakpoint::{Kind, MOST_SPOTS, Spot};
use crate::process::glibc::words_written_by_free;
use crate::process::ptrace;
use crate::process::ptrace::Registers;
use crate::process::tracees::Event;
use crate::process::waits::ran;
use crate::python::RawStack;

/// How many calls pass on average before one is followed: in most bursts, and at most.
const PASSED: u64 = 4;
const MOST_PASSED_BITS: u32 = 9;
/// A burst may end after so many calls that were followed, or hits.
const BURST: RangeInclusive<u64> = 16..=48;
const BURST_HITS: u64 = 1024;
/// How long functions wait for their turn: many steps of a program, as a burst that begins between two steps sees
/// the beginning of a step once more than the end.
const TURN: Duration = Duration::from_millis(200);
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
    work: Follow,
    /// The functions at whose entries threads have breakpoints in this burst, and these breakpoints.
    functions: Vec<Function>,
    entries: Vec<Spot>,
    fates: Fates,
    /// Which of the functions that take turns is next.
    turns: Turns,
    /// How many calls of the burst have been followed, and how many hits there were.
    calls: u64,
    hits: u64,
    /// How many calls pass before one is followed, on average.
    passed_on_average: u64,
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
        made: Made,
        /// Where it returns to, and the stack pointer at that point.
        returns_to: u64,
        stack: u64,
        since: Instant,
    },
    /// It has returned a block.
    Given(Given),
}

/// A call that was made.
#[derive(Clone, Copy)]
struct Made {
    call: Call,
    bytes: u64,
    /// Where `posix_memalign` writes the block's address.
    result: u64,
    site: Site,
    stands_for: f64,
}

/// A block that was returned.
#[derive(Clone, Copy)]
struct Given {
    tid: i32,
    made: Made,
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
        let functions = work.always.iter().chain(work.in_turn.first()).copied().collect();
        let mut follower = Follower {
            work,
            functions,
            entries: Vec::new(),
            fates: Fates::default(),
            turns: Turns::default(),
            calls: 0,
            hits: 0,
            passed_on_average: PASSED,
            stops: 0,
            passing: Vec::new(),
            stack: RawStack::default(),
            random: fastrand::Rng::new(),
        };
        follower.aim(false, false);
        // Watching a block takes as many breakpoints as there can be.
        let mut spots = follower.entries.clone();
        spots.extend(spots.first().copied().into_iter().cycle().take(MOST_SPOTS - spots.len()));
        Ok((follower, spots))
    }

    fn run(&mut self, guard: &mut Guard<'_>) -> Result<End, Trouble> {
        loop {
            let debt = guard.budget.debt();
            let rest = debt.mul_f64(0.5 + self.random.f64());
            let mut over = guard.make_room(&mut |_| CHECK_EVERY)? || guard.rest(Some(rest))?;
            if !over {
                self.aim(!debt.is_zero(), guard.breakpoints.can_skip());
                self.check_kept(guard);
                let to_pass = self.number_to_pass();
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
    /// Chooses the functions of the next burst, and how many calls pass in it: none unless there are many, and few if
    /// each of them stops its thread.
    fn aim(&mut self, are_many: bool, can_skip: bool) {
        let in_turn = self.turns.next(&self.work.in_turn);
        self.functions = self.work.always.iter().copied().chain(in_turn).collect();
        let entry = |function: &Function| Spot { address: function.address, kind: Kind::Execute };
        self.entries = self.functions.iter().map(entry).collect();
        self.passed_on_average = match self.random.bool() {
            _ if !are_many => 0,
            _ if !can_skip => PASSED,
            true => PASSED,
            false => 1 << self.random.u32(0..=MOST_PASSED_BITS),
        };
    }

    /// How many calls of a function pass before the next: each is chosen by itself, with the same probability, so
    /// that neither functions that are called more often nor the beginning of a burst are favoured.
    fn number_to_pass(&mut self) -> u64 {
        if self.passed_on_average == 0 {
            return 0;
        }
        let passes = self.passed_on_average as f64 / (self.passed_on_average as f64 + 1.0);
        // Not zero, or it would pass for ever.
        let chance = 1.0 - self.random.f64();
        (chance.ln() / passes.ln()) as u64
    }

    /// Checks blocks that were kept in earlier bursts.
    fn check_kept(&mut self, guard: &Guard<'_>) {
        let process = &guard.target.process;
        let is_map = self.work.always.iter().any(|it| it.call == Call::Map);
        self.fates.check(|block, chunk| is_map || size_in_use(process, block) == Some(chunk));
    }

    /// Follows calls, after `to_pass` others, for as long as the target can bear it. True if the guardian was
    /// asked to end.
    fn burst(&mut self, to_pass: u64, guard: &mut Guard<'_>) -> Result<bool, Trouble> {
        guard.arm(to_pass)?;
        let mut stage = Stage::Passing(if guard.breakpoints.can_skip() { 0 } else { to_pass });
        self.calls = 0;
        self.hits = 0;
        self.stops = 0;
        let turn = TURN.mul_f64(0.5 + self.random.f64());
        let most_calls = self.random.u64(BURST);
        let begun = Instant::now();
        loop {
            let mut asked = false;
            match guard.target.tracees.next_event()? {
                Some(Event::Hit { tid }) => {
                    let seen = Instant::now();
                    self.hits += 1;
                    self.stops += u64::from(!matches!(stage, Stage::Passing(_)));
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
            let is_enough = self.calls >= most_calls || self.hits >= BURST_HITS || is_much;
            let is_others_turn = self.turns.number() > 1
                && matches!(stage, Stage::Passing(_))
                && begun.elapsed() >= turn;
            if asked || is_others_turn || (is_enough && !guard.budget.debt().is_zero()) {
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
        let to_pass = self.number_to_pass();
        if guard.breakpoints.can_skip() {
            let mut spots = 0..self.entries.len();
            spots.try_for_each(|spot| guard.breakpoints.skip(tid, spot, to_pass))?;
            return Ok(Stage::Passing(0));
        }
        Ok(Stage::Passing(to_pass))
    }

    /// The stage after a thread was hit.
    fn next_stage(&mut self, stage: Stage, hit: i32, guard: &mut Guard<'_>) -> io::Result<Stage> {
        match stage {
            Stage::Passing(0) => {
                let called = self.begin_call(hit, guard).ok().flatten();
                Ok(called.unwrap_or(Stage::Passing(0)))
            }
            Stage::Passing(others) => Ok(Stage::Passing(others - 1)),
            Stage::Called { tid, made, returns_to, stack, .. } if tid == hit => {
                let registers = ptrace::registers(tid)?;
                if registers.instruction != returns_to || registers.stack != stack {
                    return Ok(stage);
                }
                match given(tid, made, &registers, guard) {
                    Some(given) if self.fates.stay(made.site) => {
                        self.note_block(&given, guard);
                        self.next_call(hit, guard)
                    }
                    Some(given) => {
                        guard.redirect(tid, &self.written_by_free(&given))?;
                        Ok(Stage::Given(given))
                    }
                    None => self.next_call(hit, guard),
                }
            }
            Stage::Given(given) if given.tid == hit => {
                if is_freed(&given, guard)? {
                    self.fates.freed(given.made.site);
                    return self.next_call(hit, guard);
                }
                if given.writes > MOST_WRITES {
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

    /// Reads the request of a thread at an entry. If it is to be followed, the thread waits at the return address
    /// from now on; if not, some more calls of the function pass.
    fn begin_call(&mut self, tid: i32, guard: &mut Guard<'_>) -> io::Result<Option<Stage>> {
        let registers = ptrace::registers(tid)?;
        let is_here = |it: &Function| it.address == registers.instruction;
        let Some(spot) = self.functions.iter().position(is_here) else { return Ok(None) };
        if spot >= self.work.always.len() {
            self.turns.was_called();
        }
        let Some(made) = self.made(tid, spot, &registers, guard) else {
            if guard.breakpoints.can_skip() {
                let to_pass = self.number_to_pass();
                guard.breakpoints.skip(tid, spot, to_pass)?;
            }
            return Ok(None);
        };
        let Some((returns_to, stack)) = frame(&registers, &guard.target) else { return Ok(None) };
        guard.redirect(tid, &[Spot { address: returns_to, kind: Kind::Execute }])?;
        Ok(Some(Stage::Called { tid, made, returns_to, stack, since: Instant::now() }))
    }

    /// The call that a thread makes at this entry, if it is to be followed. Copies the thread's Python stack.
    fn made(
        &mut self,
        tid: i32,
        spot: usize,
        registers: &Registers,
        guard: &mut Guard<'_>,
    ) -> Option<Made> {
        let call = self.functions.get(spot)?.call;
        let bytes = call.bytes(registers.arguments);
        if !self.work.wants(bytes) {
            return None;
        }
        guard.target.copy_own_stack(tid, &mut self.stack).ok()?;
        let site = Site::of(&self.stack.frames, bytes);
        let stands_for = self.fates.stands_for(site);
        if self.random.u32(0..stands_for) != 0 {
            return None;
        }
        let turns = if spot < self.work.always.len() { 1 } else { self.turns.number() };
        let stands_for = f64::from(stands_for) * turns as f64;
        Some(Made { call, bytes, result: registers.arguments[0], site, stands_for })
    }

    /// Where it shows that a block is freed.
    fn written_by_free(&self, given: &Given) -> Vec<Spot> {
        if given.made.call == Call::Map {
            return vec![Spot { address: self.work.unmap, kind: Kind::Execute }];
        }
        let written = |address| Spot { address, kind: Kind::Write { length: 8 } };
        words_written_by_free(given.block, given.chunk).into_iter().map(written).collect()
    }

    /// Reports a block that was returned and has not been freed yet.
    fn note_block(&mut self, given: &Given, guard: &mut Guard<'_>) {
        self.fates.kept(given.made.site, given.block, given.chunk);
        guard.news.push(Block {
            address: given.block,
            bytes: given.made.bytes,
            stands_for: given.made.stands_for,
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

/// The block that a call has returned just now, if it has.
fn given(tid: i32, made: Made, registers: &Registers, guard: &Guard<'_>) -> Option<Given> {
    let process = &guard.target.process;
    let result = registers.result();
    let (block, chunk) = match made.call {
        Call::Map => {
            let is_mapping = result != 0 && result.is_multiple_of(PAGE);
            is_mapping.then_some((result, made.bytes.checked_next_multiple_of(PAGE)?))?
        }
        // An `int`: the rest of the register means nothing.
        Call::PosixMemalign if result as u32 != 0 => return None,
        Call::PosixMemalign => {
            let block = process.u64(made.result).ok()?;
            (block, size_in_use(process, block)?)
        }
        _ => (result, size_in_use(process, result)?),
    };
    let ran = ran(process, tid);
    Some(Given { tid, made, block, chunk, writes: 0, since: Instant::now(), ran })
}

/// Whether the block is free by now, or about to be, of a thread that has been hit where that shows.
fn is_freed(given: &Given, guard: &Guard<'_>) -> io::Result<bool> {
    if given.made.call != Call::Map {
        return Ok(size_in_use(&guard.target.process, given.block) != Some(given.chunk));
    }
    let [address, bytes, _] = ptrace::registers(given.tid)?.arguments;
    let end = |start: u64, bytes| start.saturating_add(bytes);
    Ok(address < end(given.block, given.chunk) && given.block < end(address, bytes))
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
