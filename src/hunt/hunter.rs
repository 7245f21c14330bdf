//! A hunt from its start to its verdict: when the heap is looked at, and what happens in between.
//!
//! The heap is looked at four times: at the start, after a quarter and a half of the time, and at the end.
//! After the third look there are suspects; from then on what they hold is read many times a second,
//! which costs the target nothing, and who feeds them is watched.

use std::time::{Duration, Instant};

use super::feeders::{Outcome, WatchOptions, Watched, Watching};
use super::finding::{Feeder, Finding, LeakKind};
use super::guarded::WatchError;
use super::native::Outside;
use super::native_feeders::Following;
use super::snapshot::Snapshot;
use super::suspects::{Key, Suspect, suspects};
use super::trend::{Series, confidence};
use super::verdict::{Standstill, Verdict};
use super::words::{Meaning, Word, growth_word};
use crate::heap::{Analysis, Capture, CaptureOptions, HeapError, NativeBlocks};
use crate::memory::Memory;
use crate::profile::recording::Pauses;
use crate::python::{Origin, Python};
use crate::target::breakpoint::Way;
use crate::target::{Process, ProcessError};

/// When the heap is looked at, as parts of the time.
const LOOKS: [f64; 4] = [0.0, 0.25, 0.5, 1.0];
/// With fewer looks than this nothing can be said.
const FEWEST_LOOKS: usize = 3;
/// How often the resident set and the sizes of suspects are read.
const READ_EVERY: Duration = Duration::from_millis(50);
/// Of the time, so much at most is kept for what remains to be done after the last look.
const MOST_RESERVED: f64 = 0.3;
/// So much of the time suspects are watched at least, even if the heap is so large that it gets late.
const LEAST_WATCHED: f64 = 0.25;
/// What of the growth of the resident set strings and numbers must be that only native code holds.
const CREDIBLE_SHARE: f64 = 0.2;
/// No more suspects than this are watched, and findings told.
const MOST: usize = 10;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its heap cannot be looked at.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// It was too short.
    #[error("the hunt ended before the heap had been looked at three times")]
    TooShort,
}

/// How a process is hunted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// For how long.
    pub duration: Duration,
    /// How its heap is captured.
    pub capture: CaptureOptions,
    /// How breakpoints are set; `None`: the first way that works.
    pub way: Option<Way>,
}

/// How far a hunt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The heap has been looked at so many times.
    Comparing(usize),
    /// So many suspects are being watched.
    Watching(usize),
    /// There is a verdict.
    Over,
}

/// A suspect being watched.
#[derive(Debug)]
struct Trail {
    key: Key,
    words: Vec<Word>,
    /// The sum of the sizes of what holds it, read many times.
    sizes: Series,
}

/// A hunt that goes on.
#[derive(Debug)]
pub struct Hunter {
    process: Process,
    python: Python,
    options: Options,
    command: String,
    began: Instant,
    snapshots: Vec<Snapshot>,
    suspects: Vec<Suspect>,
    /// What is watched, in the order of the findings of the watch.
    watched: Vec<Trail>,
    watching: Option<Watching>,
    watched_since: Option<Duration>,
    outcome: Option<Outcome>,
    /// When the turn of native memory comes, if it grows.
    follow_from: Option<Duration>,
    following: Option<Following>,
    /// The bytes of malloc's blocks that are none of Python's, if they may grow.
    native_blocks: Series,
    native_feeders: Vec<Feeder>,
    follow_pauses: Pauses,
    trouble: Option<WatchError>,
    resident: Series,
    last_read: Option<Instant>,
    /// How long it took to look at the heap.
    effort: Duration,
    is_over: bool,
    complete: bool,
}

impl Hunter {
    /// Begins to hunt.
    pub fn start(
        process: Process,
        python: Python,
        options: Options,
    ) -> Result<Hunter, ProcessError> {
        let command = process.command()?;
        Ok(Hunter {
            process,
            python,
            options,
            command,
            began: Instant::now(),
            snapshots: Vec::new(),
            suspects: Vec::new(),
            watched: Vec::new(),
            watching: None,
            watched_since: None,
            outcome: None,
            follow_from: None,
            following: None,
            native_blocks: Vec::new(),
            native_feeders: Vec::new(),
            follow_pauses: Pauses::default(),
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

    /// How far it is.
    pub fn phase(&self) -> Phase {
        match (self.is_over, self.snapshots.len()) {
            (true, _) => Phase::Over,
            (false, looks) if looks < FEWEST_LOOKS => Phase::Comparing(looks),
            (false, _) => Phase::Watching(self.suspects.len()),
        }
    }

    /// For how long it has gone on.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is suspect so far, the fastest first.
    pub fn suspects(&self) -> impl Iterator<Item = &Finding> {
        self.suspects.iter().map(|suspect| &suspect.finding)
    }

    /// Does what is due, or waits for as long as `tick` at most.
    pub fn step(&mut self, tick: Duration) -> Result<(), HuntError> {
        if self.is_over {
            return Ok(());
        }
        if !self.process.is_alive() {
            return self.end();
        }
        let left = self.next_look().saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return self.look();
        }
        if self.last_read.is_none_or(|last| last.elapsed() >= READ_EVERY) {
            self.last_read = Some(Instant::now());
            self.read();
        }
        let rest = tick.min(left).min(READ_EVERY);
        if self.watching.is_some() {
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

    /// Why nobody could be watched, if so.
    pub fn trouble(&self) -> Option<&WatchError> {
        self.trouble.as_ref()
    }

    /// Comes to an end now, with what is known.
    pub fn hurry(&mut self) -> Result<(), HuntError> {
        if !self.is_over && self.snapshots.len() + 1 >= FEWEST_LOOKS && self.process.is_alive() {
            self.look()?;
        }
        self.end()
    }

    /// What it came to; an error if it was too short to tell.
    pub fn verdict(self) -> Result<Verdict, HuntError> {
        let ([first, ..], [.., last]) = (&*self.snapshots, &*self.snapshots) else {
            return Err(self.too_short());
        };
        if self.snapshots.len() < FEWEST_LOOKS {
            return Err(self.too_short());
        }
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let watch = self.outcome.as_ref().map(|outcome| outcome.pauses).unwrap_or_default();
        let watches = [watch, self.follow_pauses].into_iter();
        let pauses = self.snapshots.iter().map(|it| it.totals.paused);
        let seconds_of = |pause: Duration| pause.as_secs_f64();
        let mut findings: Vec<Finding> =
            self.suspects.iter().filter_map(|it| self.told(it)).collect();
        let has_threads = self.suspects.iter().any(|it| it.key == Key::Threads && it.is_steady);
        if !has_threads {
            let native = self.outside().leak();
            let feeders = self.native_feeders.clone();
            findings.extend(native.map(|finding| Finding { feeders, ..finding }));
        }
        let rss_bytes_per_s = (last.totals.rss as f64 - first.totals.rss as f64) / seconds;
        findings.retain(|finding| is_credible(finding, rss_bytes_per_s));
        findings.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        findings.truncate(MOST);
        Ok(Verdict {
            pid: self.process.pid(),
            command: self.command.clone(),
            python: self.python.version.to_string(),
            duration_s: last.at.as_secs_f64(),
            captures: self.snapshots.len() as u32,
            complete: self.complete,
            pause_s: Standstill {
                max: pauses
                    .clone()
                    .chain(watches.clone().map(|it| it.max))
                    .max()
                    .map_or(0.0, seconds_of),
                total: pauses.chain(watches.map(|it| it.total)).map(seconds_of).sum(),
            },
            objects: last.totals.heap.objects.into(),
            bytes: last.totals.heap.bytes,
            rss_bytes: last.totals.rss,
            rss_bytes_per_s,
            findings,
        })
    }

    fn too_short(&self) -> HuntError {
        match self.process.is_alive() {
            true => HuntError::TooShort,
            false => ProcessError::Ended { pid: self.process.pid() }.into(),
        }
    }

    /// A suspect that has proved to leak.
    fn told(&self, suspect: &Suspect) -> Option<Finding> {
        let mut finding = suspect.finding.clone();
        if !suspect.is_steady {
            return None;
        }
        let trail = self.watched.iter().position(|trail| trail.key == suspect.key);
        // Where threads are started they are only for a moment.
        if let Some(trail) = trail.and_then(|index| self.watched.get(index))
            && suspect.key != Key::Threads
            && trail.sizes.len() > 1
        {
            finding.confidence = confidence(&trail.sizes)?.max(finding.confidence);
        }
        let outcome = self.outcome.as_ref();
        if let Some(fed) = trail.zip(outcome).and_then(|(index, it)| it.findings.get(index)) {
            finding.feeders = fed.feeders.iter().map(feeder).collect();
        }
        Some(finding)
    }

    /// When the heap is to be looked at next, since the hunt began.
    fn next_look(&self) -> Duration {
        let Some(&part) = LOOKS.get(self.snapshots.len()) else { return Duration::MAX };
        let duration = self.options.duration;
        let reserved = self.effort.min(duration.mul_f64(MOST_RESERVED));
        let due = duration.saturating_sub(reserved).mul_f64(part);
        match self.watched_since {
            Some(since) => due.max(since + duration.mul_f64(LEAST_WATCHED)),
            None => due,
        }
    }

    /// Looks at the heap.
    fn look(&mut self) -> Result<(), HuntError> {
        self.stop_watching();
        self.stop_following();
        let begun = Instant::now();
        let at = self.began.elapsed();
        let heap = match Analysis::of(&self.process, &self.python, &self.options.capture) {
            Ok(heap) => heap,
            Err(_) if !self.process.is_alive() => return self.end(),
            Err(error) => return Err(error.into()),
        };
        self.snapshots.push(Snapshot::of(&heap, at));
        if let Some(blocks) = self.look_outside(&heap.capture) {
            self.native_blocks.push((at, blocks.bytes as f64));
            if let Some(mut following) = self.following.take() {
                self.native_feeders = following.feeders(&blocks).iter().map(feeder).collect();
            }
        }
        if self.snapshots.len() >= FEWEST_LOOKS {
            self.suspects = suspects(&heap, &self.python, &self.snapshots);
            self.suspects.truncate(MOST);
        }
        self.effort = begun.elapsed();
        if self.snapshots.len() == LOOKS.len() {
            self.complete = true;
            return self.end();
        }
        if self.snapshots.len() == FEWEST_LOOKS {
            self.watched = self.suspects.iter().map(|it| self.trail(it, &heap)).collect();
            drop(heap);
            let since = self.began.elapsed();
            self.watched_since = Some(since);
            self.watch();
            if self.outside().may_leak() {
                // Who feeds the others may be known before.
                let left = self.next_look().saturating_sub(since);
                self.follow_from = Some(since + left / 2);
            }
        }
        Ok(())
    }

    /// What malloc has given to others, if that may grow and can be told.
    fn look_outside(&self, capture: &Capture<'_>) -> Option<NativeBlocks> {
        if self.native_blocks.is_empty() && !self.outside().is_suspicious() {
            return None;
        }
        NativeBlocks::of(&self.process, &self.python, capture).ok()?
    }

    fn outside(&self) -> Outside<'_> {
        Outside {
            snapshots: &self.snapshots,
            resident: &self.resident,
            blocks: &self.native_blocks,
        }
    }

    /// What to watch of a suspect.
    fn trail(&self, suspect: &Suspect, heap: &Analysis<'_>) -> Trail {
        let mut decoder = heap.graph.decoder().clone();
        let mut word =
            |&object: &u64| growth_word(&heap.capture, &self.python, &mut decoder, object);
        let words = suspect.watch.iter().filter_map(&mut word).collect();
        Trail { key: suspect.key, words, sizes: Vec::new() }
    }

    /// Begins to watch.
    fn watch(&mut self) {
        let watched: Vec<Watched> =
            self.watched.iter().map(|trail| Watched { words: trail.words.clone() }).collect();
        if watched.iter().all(|watched| watched.words.is_empty()) {
            return;
        }
        let options = WatchOptions { way: self.options.way, ..WatchOptions::default() };
        match Watching::start(&self.process, &self.python, &watched, &options) {
            Ok(watching) => self.watching = Some(watching),
            Err(error) => self.trouble = Some(error),
        }
    }

    fn go_on_watching(&mut self, rest: Duration) {
        let Some(watching) = &mut self.watching else { return };
        if let Err(error) = watching.step(rest) {
            self.trouble = Some(error);
            self.watching = None;
            return;
        }
        let is_for_others = self.follow_from.is_some_and(|from| self.began.elapsed() >= from);
        if watching.is_settled() || watching.has_ended() || is_for_others {
            self.stop_watching();
        }
    }

    /// Begins to follow the calls of the C library's allocator.
    fn follow(&mut self) {
        let options = WatchOptions { way: self.options.way, ..WatchOptions::default() };
        match Following::start(&self.process, &self.python, &options) {
            Ok(following) => self.following = following,
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

    /// Lets the target go; the blocks are still to be looked at.
    fn stop_following(&mut self) {
        let Some(following) = &mut self.following else { return };
        following.stop();
        while !following.has_ended() {
            if let Err(error) = following.step(READ_EVERY) {
                self.trouble = Some(error);
                break;
            }
        }
        self.follow_pauses = following.pauses();
    }

    /// Lets the target go, and keeps what was seen.
    fn stop_watching(&mut self) {
        let Some(mut watching) = self.watching.take() else { return };
        watching.stop();
        while !watching.has_ended() && self.trouble.is_none() {
            if let Err(error) = watching.step(READ_EVERY) {
                self.trouble = Some(error);
            }
        }
        self.outcome = Some(watching.finish());
    }

    /// Reads what costs the target nothing.
    fn read(&mut self) {
        let now = self.began.elapsed();
        if let Ok(bytes) = self.process.resident_bytes() {
            self.resident.push((now, bytes as f64));
        }
        for trail in &mut self.watched {
            let mut sum = 0.0;
            for word in trail.words.iter().filter(|word| word.meaning == Meaning::Size) {
                match self.process.u64(word.address) {
                    Ok(size) => sum += size as f64,
                    // What cannot be read any more has gone.
                    Err(_) => continue,
                }
            }
            if trail.words.iter().any(|word| word.meaning == Meaning::Size) {
                trail.sizes.push((now, sum));
            }
        }
    }

    fn end(&mut self) -> Result<(), HuntError> {
        self.stop_watching();
        self.stop_following();
        self.is_over = true;
        Ok(())
    }
}

/// Whether a finding can be believed. References inside objects of unknown types are guessed from their
/// words, and those behind pointers of their own are not seen: so a few strings or numbers that only native
/// code seems to hold are no proof that it leaks, unless they are a good part of what grows.
fn is_credible(finding: &Finding, rss_bytes_per_s: f64) -> bool {
    let is_builtin = !finding.grown.contains('.');
    let share = finding.bytes_per_s / rss_bytes_per_s.max(1.0);
    finding.kind != LeakKind::Refcount || !is_builtin || share >= CREDIBLE_SHARE
}

/// A stack that was seen, and the frame in it that belongs to the program's own code.
fn feeder(seen: &super::feeders::Feeder) -> Feeder {
    let is_own = |file: &str| Origin::of(file).0 == Origin::Program;
    Feeder {
        share: seen.share,
        hits: seen.hits,
        own_frame: seen.stack.iter().find(|frame| is_own(&frame.file)).cloned(),
        stack: seen.stack.clone(),
    }
}
