//! The guardian's work for native memory: calls of the C library's allocator are followed to what they
//! return.
//!
//! All Python threads are armed at the entries of `malloc`, `calloc`, `realloc` and `aligned_alloc`. One
//! that reaches one stands still while the size is read from its registers and its Python stack is
//! copied; then it waits at the return address alone, where its registers have the block's address.
//! Most blocks are freed at once, and the next call may be given the same, where nobody would see that
//! it is another: so for a moment the thread waits at the words that `free` writes. Whether blocks that
//! are left stay is for others to see ([`survivors`](super::survivors)), from outside.
//!
//! Where calls are so many that the target has to be left in peace now and then, they are followed in
//! bursts, one after the other, from random instants on. The first calls of a burst pass: they would
//! favour what follows a long gap.
//!
//! It ends when it is asked to or when nobody listens any more; either way every thread is disarmed
//! and let go of first.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::messages::{Block, FollowRequest, Functions, Message, News};
use crate::heap::malloc::size_in_use;
use crate::memory::Memory;
use crate::profile::messages::End;
use crate::profile::outbox::Outbox;
use crate::profile::trouble::{Trouble, last_word};
use crate::python::RawStack;
use crate::python::traced::TracedPython;
use crate::target::breakpoint::{Breakpoints, Kind, Spot};
use crate::target::ptrace::{self, Registers};
use crate::target::tracees::Event;
use crate::target::waits::ran;

/// How often news are sent, and how often it is checked that the target is still there.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// How long the threads of a target may be unreadable.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How many calls of a burst pass at most before one is followed, and how many are followed at least.
const MOST_PASSED: u64 = 7;
const BURST: u64 = 16;
/// How soon it is looked again whether a thread has run.
const SOON: Duration = Duration::from_millis(1);
/// How long a call may take. What takes longer has lost its processor, or its way.
const LONGEST_CALL: Duration = Duration::from_millis(20);
/// So long it is watched whether a block is freed at once: by the clock, and of that on a processor, if the
/// thread is not asleep. On a busy machine that takes longer.
const WATCHED: Duration = Duration::from_millis(5);
const WATCHED_RUNNING: Duration = Duration::from_millis(2);
const WATCHED_AT_MOST: Duration = Duration::from_millis(100);
/// What is written more often at its beginning is in use, not left: nothing is said of it.
const MOST_WRITES: u64 = 16;
/// The largest chunks that are kept in lists of their size.
const LARGEST_IN_LISTS: u64 = 1040;
/// With so many stops a call is given up: others allocate much meanwhile, or stacks cannot be read.
const MOST_STOPS: u64 = 64;
/// How long a thread stands still at least before we wake up and after we have let it go.
const WAKING: Duration = Duration::from_micros(20);
/// Hits that a thread makes hardly ever: it is not to stop again.
const NEVER: u64 = 1 << 40;

/// Serves one request: follows allocations until `control` is closed or readable, and reports to
/// `reports`. An error means that nobody listens any more.
pub fn serve(
    request: &FollowRequest,
    control: BorrowedFd<'_>,
    reports: &mut Outbox,
) -> io::Result<()> {
    let end = match Follower::attach(request) {
        Ok(mut follower) => {
            let end = follower.run(control, reports);
            follower.target.let_go(&mut follower.breakpoints);
            end
        }
        Err(end) => Err(Trouble::End(end)),
    };
    let end = last_word(end, request.pid, request.started)?;
    reports.post(&Message::Ended(end))?;
    reports.send_all()
}

struct Follower {
    target: TracedPython,
    breakpoints: Breakpoints,
    functions: Functions,
    spots: Vec<Spot>,
    budget: Budget,
    /// How many calls of the burst have been followed.
    calls: u64,
    /// Threads that are made to pass while a call of another is followed.
    passing: Vec<i32>,
    news: News,
    stack: RawStack,
    random: fastrand::Rng,
    checked: Instant,
    readable: Instant,
}

/// How far a call has come.
enum Stage {
    /// So many others are to pass before.
    Passing(u64),
    /// It was made.
    Called {
        tid: i32,
        bytes: u64,
        /// Where it returns to, and what the stack pointer is then.
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
    /// How long its thread had been on a processor.
    ran: Option<Duration>,
}

impl Follower {
    fn attach(request: &FollowRequest) -> Result<Follower, End> {
        let mut target = TracedPython::open(request.pid, request.started)?;
        target.tracees.follow_new_threads();
        let first = target.begin()?;
        let Functions { malloc, calloc, realloc, aligned_alloc } = request.functions;
        let spots: Vec<_> = [malloc, calloc, realloc, aligned_alloc].map(entry).into();
        let breakpoints = Breakpoints::prepare(request.way, &spots, &mut target.tracees, first)
            .map_err(|error| End::NoBreakpoints { why: error.to_string() })?;
        Ok(Follower {
            target,
            breakpoints,
            functions: request.functions,
            spots,
            budget: Budget::new(request.limits),
            calls: 0,
            passing: Vec::new(),
            news: News::default(),
            stack: RawStack::default(),
            random: fastrand::Rng::new(),
            checked: Instant::now(),
            readable: Instant::now(),
        })
    }

    fn run(&mut self, control: BorrowedFd<'_>, reports: &mut Outbox) -> Result<End, Trouble> {
        let started = Message::Started { way: self.breakpoints.way() };
        reports.post(&started).map_err(Trouble::NobodyListens)?;
        loop {
            let debt = self.budget.debt();
            let to_pass = if debt.is_zero() { 0 } else { self.random.u64(0..=MOST_PASSED) };
            let rest = debt.mul_f64(0.5 + self.random.f64());
            let mut over = self.rest(control, reports, rest)?;
            while reports.is_full() && !over {
                over = self.rest(control, reports, CHECK_EVERY)?;
                reports.send().map_err(Trouble::NobodyListens)?;
            }
            if over {
                self.send(reports)?;
                return Ok(End::Asked);
            }
            self.breakpoints.aim(&self.spots);
            let asked_to_end = self.burst(to_pass, control, reports);
            self.disarm()?;
            if asked_to_end? {
                self.send(reports)?;
                return Ok(End::Asked);
            }
        }
    }

    /// Follows calls, after so many others, for as long as the target can bear it. True if we are asked to
    /// end.
    fn burst(
        &mut self,
        to_pass: u64,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
    ) -> Result<bool, Trouble> {
        self.arm(to_pass)?;
        let mut stage = Stage::Passing(if self.breakpoints.can_skip() { 0 } else { to_pass });
        let mut stops = 0;
        self.calls = 0;
        loop {
            let began = Instant::now();
            let asked = self
                .target
                .wait(control, stage.time_left().map_or(CHECK_EVERY, |left| left.max(SOON)))?;
            self.budget.earn(began.elapsed());
            while let Some(event) = self.target.tracees.next_event()? {
                let Event::Hit { tid } = event else {
                    self.take(event)?;
                    continue;
                };
                let seen = Instant::now();
                stops += 1;
                let next = self.next_stage(stage, tid);
                let resumed = self.target.tracees.resume(tid);
                self.note_stop(seen.elapsed());
                resumed?;
                stage = next?;
            }
            let is_late = stage.time_left() == Some(Duration::ZERO) && !self.is_to_run(&stage);
            if is_late || stops > MOST_STOPS {
                stage = self.end_call(stage)?;
                stops = 0;
            }
            if asked || (self.calls >= BURST && !self.budget.debt().is_zero()) {
                return Ok(asked);
            }
            if self.check_sometimes(reports)? && matches!(stage, Stage::Passing(_)) {
                self.arm(to_pass)?;
            }
        }
    }

    /// Takes note of what a call has come to, and goes on to the next.
    fn end_call(&mut self, stage: Stage) -> io::Result<Stage> {
        match stage {
            Stage::Passing(_) => Ok(stage),
            Stage::Called { tid, .. } => self.next_call(tid),
            Stage::Given(given) => {
                self.note_block(&given);
                self.next_call(given.tid)
            }
        }
    }

    /// The thread that was followed waits at the entries again, and so do those that were made to pass.
    fn next_call(&mut self, tid: i32) -> io::Result<Stage> {
        let entries = self.spots.clone();
        self.calls += 1;
        self.redirect(tid, &entries)?;
        for other in std::mem::take(&mut self.passing) {
            self.redirect(other, &entries)?;
        }
        Ok(Stage::Passing(0))
    }

    fn redirect(&mut self, tid: i32, spots: &[Spot]) -> io::Result<()> {
        self.breakpoints.redirect(&mut self.target.tracees, tid, spots)?;
        self.pay_for_halts();
        Ok(())
    }

    /// What follows when a thread has been hit.
    fn next_stage(&mut self, stage: Stage, hit: i32) -> io::Result<Stage> {
        match stage {
            Stage::Passing(0) => Ok(self.begin_call(hit).unwrap_or(Stage::Passing(0))),
            Stage::Passing(others) => Ok(Stage::Passing(others - 1)),
            Stage::Called { tid, bytes, returns_to, stack, .. } if tid == hit => {
                let registers = ptrace::registers(tid)?;
                if registers.instruction != returns_to || registers.stack != stack {
                    return Ok(stage);
                }
                let block = registers.result();
                let Some(chunk) = size_in_use(&self.target.process, block) else {
                    return self.next_call(hit);
                };
                self.redirect(tid, &written_by_free(block, chunk))?;
                let ran = ran(&self.target.process, tid);
                let since = Instant::now();
                Ok(Stage::Given(Given { tid, bytes, block, chunk, writes: 0, since, ran }))
            }
            Stage::Given(given) if given.tid == hit => {
                let is_freed = size_in_use(&self.target.process, given.block) != Some(given.chunk);
                if is_freed || given.writes > MOST_WRITES {
                    return self.next_call(hit);
                }
                Ok(Stage::Given(Given { writes: given.writes + 1, ..given }))
            }
            Stage::Called { .. } | Stage::Given(_) => {
                // Who cannot be made to pass stops again, until that is too much.
                if self.breakpoints.can_skip() {
                    self.passing.push(hit);
                    let mut spots = 0..self.spots.len();
                    spots.try_for_each(|spot| self.breakpoints.skip(hit, spot, NEVER))?;
                }
                Ok(stage)
            }
        }
    }

    /// What a thread asks for that stands at an entry; it waits at the return address from now on.
    fn begin_call(&mut self, tid: i32) -> Option<Stage> {
        let registers = ptrace::registers(tid).ok()?;
        let [first, second, _] = registers.arguments;
        let bytes = match registers.instruction {
            it if it == self.functions.malloc => first,
            it if it == self.functions.calloc => first.saturating_mul(second),
            it if it == self.functions.realloc => second,
            it if it == self.functions.aligned_alloc => second,
            _ => return None,
        };
        let (returns_to, stack) = frame(&registers, &self.target)?;
        self.target.copy_own_stack(tid, &mut self.stack).ok()?;
        let spot = Spot { address: returns_to, kind: Kind::Execute };
        self.redirect(tid, &[spot]).ok()?;
        Some(Stage::Called { tid, bytes, returns_to, stack, since: Instant::now() })
    }

    /// Whether a thread that was given a block has not had the time yet to free it again, because others
    /// have the processors.
    fn is_to_run(&self, stage: &Stage) -> bool {
        let Stage::Given(Given { tid, since, ran: before, .. }) = *stage else { return false };
        let process = &self.target.process;
        let ran = ran(process, tid).zip(before).map(|(now, before)| now.saturating_sub(before));
        ran.is_some_and(|ran| ran < WATCHED_RUNNING)
            && since.elapsed() < WATCHED_AT_MOST
            && process.thread_state(tid) == Some('R')
    }

    /// Takes note of a block that was given and has not been freed yet.
    fn note_block(&mut self, given: &Given) {
        self.news.blocks.push(Block {
            address: given.block,
            bytes: given.bytes,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        });
    }

    /// Leaves the target in peace for so long. True if we are asked to end.
    fn rest(
        &mut self,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
        duration: Duration,
    ) -> Result<bool, Trouble> {
        let began = Instant::now();
        loop {
            let left = duration.saturating_sub(began.elapsed());
            if left.is_zero() {
                self.budget.earn(began.elapsed());
                return Ok(false);
            }
            if self.target.wait(control, left.min(CHECK_EVERY))? {
                return Ok(true);
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.take(event)?;
            }
            self.check_sometimes(reports)?;
        }
    }

    /// What happens beside calls that are followed. A hit was on its way when all were disarmed.
    fn take(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } | Event::Began { tid } => Ok(self.target.tracees.resume(tid)?),
            Event::Ended { tid } => {
                self.breakpoints.forget(tid);
                self.target.forget(tid);
                Ok(())
            }
            Event::Replaced => Err(Trouble::End(End::Replaced)),
        }
    }

    /// Arms the threads that are not armed yet.
    fn arm(&mut self, to_pass: u64) -> Result<(), Trouble> {
        for tid in self.target.tracees.threads() {
            self.breakpoints.arm(&mut self.target.tracees, tid, &mut || to_pass)?;
        }
        self.pay_for_halts();
        Ok(())
    }

    fn disarm(&mut self) -> Result<(), Trouble> {
        loop {
            self.breakpoints.disarm(&mut self.target.tracees)?;
            self.pay_for_halts();
            while let Some(event) = self.target.tracees.next_event()? {
                self.take(event)?;
            }
            if !self.breakpoints.is_armed() {
                return Ok(());
            }
            // A thread that sleeps in the kernel is still armed.
            self.target.check_program()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn pay_for_halts(&mut self) {
        let halts = self.breakpoints.take_halts();
        if halts.number > 0 {
            self.pay(halts.number.into(), halts.held + WAKING * halts.number);
        }
    }

    fn note_stop(&mut self, held: Duration) {
        self.pay(1, held + WAKING);
    }

    fn pay(&mut self, stops: u64, still: Duration) {
        self.budget.spend(stops, still);
        let nanoseconds = still.as_nanos() as u64;
        self.news.stops += stops;
        self.news.still += nanoseconds;
        self.news.longest = self.news.longest.max(nanoseconds / stops.max(1));
    }

    fn send(&mut self, reports: &mut Outbox) -> Result<(), Trouble> {
        if self.news == News::default() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.news);
        reports.post(&Message::News(news)).map_err(Trouble::NobodyListens)
    }

    /// Sends the news and looks after the target, if that was long ago. True if it was.
    fn check_sometimes(&mut self, reports: &mut Outbox) -> Result<bool, Trouble> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(false);
        }
        self.checked = Instant::now();
        self.send(reports)?;
        self.target.check_program()?;
        match self.target.check_threads() {
            Ok(()) => self.readable = Instant::now(),
            Err(error) if self.readable.elapsed() > UNREADABLE => return Err(error.into()),
            // While it ends or replaces its program little can be read.
            Err(_) => self.target.check_program()?,
        }
        Ok(true)
    }
}

impl Stage {
    /// How long is waited for what comes next; `None` where that may take as long as it likes.
    fn time_left(&self) -> Option<Duration> {
        let (since, most) = match self {
            Stage::Passing(_) => return None,
            Stage::Called { since, .. } => (since, LONGEST_CALL),
            Stage::Given(given) => (&given.since, WATCHED),
        };
        Some(most.saturating_sub(since.elapsed()))
    }
}

fn entry(address: u64) -> Spot {
    Spot { address, kind: Kind::Execute }
}

/// The words of which `free` writes at least one: the size of the block's chunk, which becomes another when
/// that is merged with what follows; the flag of what follows, which says that it is free; and of
/// small blocks the two words that link them in lists. Only if it is merged with what is before it *and*
/// behind, none is.
fn written_by_free(block: u64, chunk: u64) -> Vec<Spot> {
    let behind = block.wrapping_add(chunk).wrapping_sub(8);
    let mut words = vec![block.wrapping_sub(8), behind];
    if chunk <= LARGEST_IN_LISTS {
        words.extend([block, block.wrapping_add(8)]);
    }
    let written = |address| Spot { address, kind: Kind::Write { length: 8 } };
    words.into_iter().map(written).collect()
}

/// Where a function returns to that has just been entered, and what the stack pointer is then.
fn frame(registers: &Registers, target: &TracedPython) -> Option<(u64, u64)> {
    match registers.link {
        Some(link) => Some((link, registers.stack)),
        None => {
            let returns_to = target.process.u64(registers.stack).ok()?;
            Some((returns_to, registers.stack.wrapping_add(8)))
        }
    }
}
