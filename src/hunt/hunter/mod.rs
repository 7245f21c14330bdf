//! A hunt from start to verdict: the captures, and what happens in between.
//!
//! The heap is captured four times: at the start, after a quarter and a half of the time, and at the end. The
//! third capture yields suspects; from then on their sizes are read many times a second, which costs the
//! target nothing, and their insertions are watched. Suspects that only the fourth capture shows, because they
//! grow slowly, are watched for a while after it. A hunt that is undecided then [goes on](schedule).

mod clock;
mod collector_watch;
mod conclusion;
mod keep;
mod schedule;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use self::clock::Clock;
use self::collector_watch::CollectorWatch;
pub(crate) use self::conclusion::Growth;
pub use self::keep::Keep;
pub(crate) use self::schedule::FEWEST_CAPTURES;
use self::schedule::{CAPTURES, Schedule};
use crate::guardian::{GuardianError, Limits, Program};
use crate::heap::{Analysis, Capture, CaptureOptions, HeapError, NativeBlocks, RawResidency};
use crate::hunt::accounts::{Account, Outside, SUSPICIOUS, Sizes, growing_sizes};
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::{Feeder, Finding};
use crate::hunt::inserts::feeders::WatchOptions;
use crate::hunt::inserts::watched_suspects::{Trails, feeder};
use crate::hunt::mallocs::functions::Growing;
use crate::hunt::mallocs::native_feeders::Following;
use crate::hunt::suspects::find::suspects;
use crate::hunt::suspects::suspect::Suspect;
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::breakpoint::Way;
use crate::process::{Pauses, Process, ProcessError};
use crate::python::Python;
use crate::snapshot::FileError;

/// How long to wait for the guardian at a time while it lets the target go.
const PATIENCE: Duration = Duration::from_millis(50);
/// The most suspects that are watched, and findings that are reported.
pub(crate) const MOST: usize = 10;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its heap cannot be captured.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// A capture cannot be kept.
    #[error("cannot write {}: {error}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// The hunt was too short.
    #[error("the hunt ended before the heap had been captured three times")]
    TooShort,
}

impl Obstructed for HuntError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            HuntError::Process(error) => error.obstacle(),
            HuntError::Heap(error) => error.obstacle(),
            HuntError::Keep { .. } | HuntError::TooShort => None,
        }
    }
}

/// How to hunt a process.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the hunt lasts.
    pub duration: Duration,
    /// How long it lasts at most, while it is undecided whether something leaks.
    pub longest: Duration,
    /// How many [steps](Hunter::count_steps) it lasts instead, if steps are counted.
    pub steps: Option<u32>,
    /// How its heap is captured.
    pub capture: CaptureOptions,
    /// How breakpoints are set; `None`: the first way that works.
    pub way: Option<Way>,
    /// The program to start as guardian.
    pub guardian: Program,
    /// Where the captures are kept, if they are.
    pub keep: Option<Keep>,
}

/// How far a hunt has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The heap has been captured this many times.
    Comparing(usize),
    /// This many suspects are being watched.
    Watching(usize),
    /// This many suspects that only the last capture has shown are being watched.
    WatchingLast(usize),
    /// It is undecided whether something leaks, and the heap will be captured again.
    GoingOn,
    /// There is a verdict.
    Over,
}

/// A running hunt.
#[derive(Debug)]
pub struct Hunter {
    process: Process,
    python: Python,
    options: Options,
    command: String,
    began: Instant,
    clock: Clock,
    schedule: Schedule,
    snapshots: Vec<HeapColumns>,
    /// The pauses of captures that are no longer compared.
    forgotten: Vec<Duration>,
    /// Whether the collector makes progress.
    collector: CollectorWatch,
    suspects: Vec<Suspect>,
    trails: Trails,
    watched_since: Option<Duration>,
    /// Until when the suspects of the last capture are watched.
    watched_until: Option<Duration>,
    /// When to start following native memory, if it grows.
    follow_from: Option<Duration>,
    following: Option<Following>,
    /// The resident set divided up, if something outside the heap may grow.
    accounts: Vec<Account>,
    /// The memory that no other process maps, at each capture.
    private: Series,
    /// How many native blocks of each size there were when the resident set was first divided up, and last.
    sizes: Option<(Sizes, Sizes)>,
    /// What was followed, and who makes it.
    native_feeders: Option<(Growing, Vec<Feeder>)>,
    follow_pauses: Pauses,
    /// For how long native memory was followed.
    followed: Duration,
    /// Whether the allocator is one whose calls can be followed, as far as is known.
    can_follow: bool,
    trouble: Option<GuardianError>,
    resident: Series,
    last_read: Option<Instant>,
    /// How long the last capture and its analysis took.
    effort: Duration,
    is_over: bool,
    complete: bool,
}

impl Hunter {
    /// Starts a hunt.
    pub fn start(
        process: Process,
        python: Python,
        options: Options,
    ) -> Result<Hunter, ProcessError> {
        let command = process.command()?;
        let began = Instant::now();
        let (schedule, clock) = match options.steps {
            Some(steps) => (Schedule::of_steps(steps), Clock::Steps(0)),
            None => (Schedule::new(options.duration, options.longest), Clock::Time(began)),
        };
        Ok(Hunter {
            process,
            python,
            options,
            command,
            began,
            clock,
            schedule,
            snapshots: Vec::new(),
            forgotten: Vec::new(),
            collector: CollectorWatch::default(),
            suspects: Vec::new(),
            trails: Trails::default(),
            watched_since: None,
            watched_until: None,
            follow_from: None,
            following: None,
            accounts: Vec::new(),
            private: Vec::new(),
            sizes: None,
            native_feeders: None,
            follow_pauses: Pauses::default(),
            followed: Duration::ZERO,
            can_follow: true,
            trouble: None,
            resident: Vec::new(),
            last_read: None,
            effort: Duration::ZERO,
            is_over: false,
            complete: false,
        })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// How far the hunt has got.
    pub fn phase(&self) -> Phase {
        match (self.is_over, self.captures()) {
            (true, _) => Phase::Over,
            (false, captures) if captures < FEWEST_CAPTURES => Phase::Comparing(captures),
            (false, captures) if captures < CAPTURES => Phase::Watching(self.suspects.len()),
            (false, _) if self.watched_until.is_some() => {
                Phase::WatchingLast(self.trails.watched())
            }
            (false, _) => Phase::GoingOn,
        }
    }

    /// For how long the hunt has run.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// When it ends, counted from its start, as far as is known.
    pub fn end(&self) -> Duration {
        self.schedule.end()
    }

    /// How often the heap has been captured.
    fn captures(&self) -> usize {
        self.snapshots.len() + self.forgotten.len()
    }

    /// The suspects so far, the fastest first.
    pub fn suspects(&self) -> impl Iterator<Item = &Finding> {
        self.suspects.iter().map(|suspect| &suspect.finding)
    }

    /// Does what is due, or waits for `tick` at most.
    pub fn step(&mut self, tick: Duration) -> Result<(), HuntError> {
        if self.is_over {
            return Ok(());
        }
        if !self.process.is_alive() {
            return self.finish();
        }
        let done = self.do_what_is_due(tick);
        // Whatever came of it: what was compared is gone.
        if self.process.has_replaced_program() {
            return Err(ProcessError::Replaced { pid: self.process.pid() }.into());
        }
        done
    }

    fn do_what_is_due(&mut self, tick: Duration) -> Result<(), HuntError> {
        let now = self.clock.now();
        if let Some(until) = self.watched_until {
            if now >= until || !self.trails.are_watched() {
                return self.end_or_go_on();
            }
            self.go_on_watching(tick.min(until.saturating_sub(now)));
            return Ok(());
        }
        let left = self.next_capture().saturating_sub(now);
        if left.is_zero() {
            return self.capture();
        }
        let pause = self.schedule.between_readings();
        if self.last_read.is_none_or(|last| last.elapsed() >= pause) {
            self.last_read = Some(Instant::now());
            self.read();
        }
        let rest = tick.min(left).min(pause);
        if self.trails.are_watched() {
            self.go_on_watching(rest);
        } else if self.following.as_ref().is_some_and(|following| !following.has_ended()) {
            self.go_on_following(rest);
        } else if self.follow_from.take().is_some() {
            self.follow();
        } else {
            std::thread::sleep(rest);
        }
        Ok(())
    }

    /// So many steps of a test have been done. What grew is then told by the step and not by the second.
    pub fn count_steps(&mut self, done: u32) {
        if self.clock.steps().is_some() {
            self.clock = Clock::Steps(done);
        }
    }

    /// Why watching failed, if it did.
    pub fn trouble(&self) -> Option<&GuardianError> {
        self.trouble.as_ref()
    }

    /// Ends the hunt now, with what is known.
    pub fn hurry(&mut self) -> Result<(), HuntError> {
        let is_due = self.captures() + 1 >= FEWEST_CAPTURES && self.watched_until.is_none();
        if !self.is_over && is_due && self.process.is_alive() {
            self.capture()?;
        }
        self.finish()
    }

    /// When the heap is captured next, counted from the start of the hunt.
    fn next_capture(&self) -> Duration {
        self.schedule.next(self.captures(), self.effort, self.watched_since)
    }

    /// Ends the hunt, or goes on if it is undecided and there is time.
    fn end_or_go_on(&mut self) -> Result<(), HuntError> {
        let result = self.trails.stop();
        self.note(result);
        self.watched_until = None;
        if !self.is_undecided() || !self.schedule.extend(self.clock.now()) {
            return self.finish();
        }
        // The intervals stay about equally long, or the first would be too short for a slow leak to show.
        self.forgotten.extend(self.snapshots.get(1).map(|it| it.totals.paused));
        HeapColumns::forget(&mut self.snapshots, 1);
        self.trails.take_up_unseen();
        self.watch();
        Ok(())
    }

    /// Captures the heap, and finds suspects.
    fn capture(&mut self) -> Result<(), HuntError> {
        let result = self.trails.stop();
        self.note(result);
        self.stop_following();
        let begun = Instant::now();
        let (at, time) = (self.clock.now(), SystemTime::now());
        let (options, has_grown) = (self.options.capture, self.has_grown());
        let mut resident = None;
        let analysis = Analysis::of_while(&self.process, &self.python, &options, &mut || {
            resident = has_grown.then(|| RawResidency::read(&self.process));
        });
        let heap = match analysis {
            Ok(heap) => heap,
            Err(_) if !self.process.is_alive() => return self.finish(),
            Err(error) => return Err(error.into()),
        };
        self.collector.see(&heap, &self.process, &self.python, at);
        let snapshot = HeapColumns::of(&heap, &self.python, at, self.snapshots.last_mut());
        self.snapshots.push(snapshot);
        if let Some(keep) = &self.options.keep {
            keep.write(&self.process, &self.python, &heap, self.captures(), time)?;
        }
        if let Ok(private) = self.process.private_dirty() {
            self.private.push((at, private as f64));
        }
        let account = heap.capture().and_then(|capture| self.account(capture, resident, at));
        if let Some((account, blocks)) = account {
            self.accounts.push(account);
            if let Some(mut following) = self.following.take() {
                let feeders = following.feeders(&blocks).iter().map(feeder).collect();
                self.native_feeders = Some((following.growing().clone(), feeders));
            }
            let first = self.sizes.take().map(|(first, _)| first);
            self.sizes = Some((first.unwrap_or_else(|| blocks.sizes.clone()), blocks.sizes));
        }
        if self.captures() >= FEWEST_CAPTURES {
            let feeders =
                |key| self.trails.of(key).map(|it| it.feeders.clone()).unwrap_or_default();
            self.suspects = suspects(&heap, &self.python, &self.snapshots, feeders);
            self.suspects.truncate(MOST);
        }
        if self.clock.steps().is_none() {
            self.effort = begun.elapsed();
        }
        match self.captures() {
            FEWEST_CAPTURES => {
                self.trails.take_up(self.suspects.iter(), &heap);
                drop(heap);
                let since = self.clock.now();
                self.watched_since = Some(since);
                self.watch();
                if self.outside().may_leak() {
                    // The feeders of the other suspects may be known before that.
                    let left = self.next_capture().saturating_sub(since);
                    self.follow_from = Some(since + left / 2);
                }
            }
            CAPTURES.. => {
                self.complete = true;
                self.follow_from = None;
                if self.clock.steps().is_some() {
                    // Nothing is put in after the last step.
                    return self.finish();
                }
                let proved = self.suspects.iter().filter(|suspect| suspect.is_steady);
                self.trails.take_up(proved, &heap);
                drop(heap);
                self.watch();
                self.watched_until = Some(self.clock.now() + self.schedule.watched());
            }
            _ => {}
        }
        Ok(())
    }

    /// The resident set divided up, if something outside the heap may grow, and which of the blocks that are
    /// followed are native.
    fn account(
        &self,
        capture: &Capture<'_>,
        resident: Option<io::Result<RawResidency>>,
        at: Duration,
    ) -> Option<(Account, NativeBlocks)> {
        if self.accounts.is_empty() && !self.outside().is_suspicious() {
            return None;
        }
        let followed = self.following.iter().flat_map(|following| following.blocks());
        let resident = resident.unwrap_or_else(|| RawResidency::read(&self.process));
        let strict = capture.is_strict(&self.options.capture);
        Account::of(&self.process, &self.python, capture, resident, strict, at, followed).ok()
    }

    /// Whether the resident set, or the private part of it, has grown: then the next capture will be divided up.
    fn has_grown(&self) -> bool {
        let rss = self.snapshots.first().map(|it| it.totals.rss as f64);
        let rss = rss.zip(self.process.resident_bytes().ok().map(|bytes| bytes as f64));
        let private = self.private.first().map(|it| it.1);
        let private = private.zip(self.process.private_dirty().ok().map(|bytes| bytes as f64));
        let has_grown = |(first, now): (f64, f64)| now - first >= SUSPICIOUS;
        !self.accounts.is_empty() || rss.into_iter().chain(private).any(has_grown)
    }

    fn outside(&self) -> Outside<'_> {
        Outside {
            snapshots: &self.snapshots,
            resident: &self.resident,
            private: &self.private,
            accounts: &self.accounts,
        }
    }

    fn watch_options(&self) -> WatchOptions {
        let Options { way, guardian, .. } = &self.options;
        WatchOptions { way: *way, limits: Limits::default(), guardian: guardian.clone() }
    }

    /// Starts watching.
    fn watch(&mut self) {
        let result = self.trails.watch(&self.process, &self.python, &self.watch_options());
        self.note(result);
    }

    /// Records why watching failed, if it did.
    fn note(&mut self, result: Result<(), GuardianError>) {
        self.trouble = result.err().or(self.trouble.take());
    }

    fn go_on_watching(&mut self, rest: Duration) {
        let is_for_others = self.follow_from.is_some_and(|from| self.clock.now() >= from);
        let result = match is_for_others {
            true => self.trails.stop(),
            false => self.trails.step(rest),
        };
        self.note(result);
    }

    /// Starts following the calls of the C library's allocator.
    fn follow(&mut self) {
        let sizes = self.sizes.as_ref();
        let growing = self.outside().growing(sizes.map(|(first, last)| growing_sizes(first, last)));
        match Following::start(&self.process, &self.python, growing, &self.watch_options()) {
            Ok(following) => {
                self.can_follow = following.is_some();
                self.following = following;
            }
            Err(error) => self.trouble = Some(error),
        }
    }

    fn go_on_following(&mut self, rest: Duration) {
        let Some(following) = &mut self.following else { return };
        if let Err(error) = following.step(rest) {
            self.trouble = Some(error);
            self.following = None;
        } else if following.is_settled() {
            self.stop_following();
        }
    }

    /// Lets the target go; the blocks still have to be checked.
    fn stop_following(&mut self) {
        let Some(following) = &mut self.following else { return };
        if !following.has_ended() {
            self.followed = following.lasted();
        }
        following.stop();
        while !following.has_ended() {
            if let Err(error) = following.step(PATIENCE) {
                self.trouble = Some(error);
                break;
            }
        }
        self.follow_pauses = following.pauses();
    }

    /// Takes the readings that cost the target nothing.
    fn read(&mut self) {
        let now = self.clock.now();
        if let Ok(bytes) = self.process.resident_bytes() {
            self.resident.push((now, bytes as f64));
        }
        self.trails.read_sizes(&self.process, now);
    }

    fn finish(&mut self) -> Result<(), HuntError> {
        let result = self.trails.stop();
        self.note(result);
        self.stop_following();
        self.is_over = true;
        Ok(())
    }
}
