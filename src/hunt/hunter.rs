//! A hunt from its start to its verdict: when the heap is looked at, and what happens in between.
//!
//! The heap is looked at four times: at the start, after a quarter and a half of the time, and at the end.
//! After the third look there are suspects; from then on what they hold is read many times a second,
//! which costs the target nothing, and who feeds them is watched.

use std::time::{Duration, Instant};

use super::finding::Finding;
use super::native::native;
use super::snapshot::Snapshot;
use super::suspects::{Key, Suspect, suspects};
use super::trend::{Series, confidence};
use super::verdict::{SCHEMA, Standstill, Verdict};
use crate::heap::{Analysis, CaptureOptions, HeapError};
use crate::python::Python;
use crate::target::{Process, ProcessError};

/// When the heap is looked at, as parts of the time.
const LOOKS: [f64; 4] = [0.0, 0.25, 0.5, 1.0];
/// With fewer looks than this nothing can be said.
const FEWEST_LOOKS: usize = 3;
/// How often the resident set and the sizes of suspects are read.
const READ_EVERY: Duration = Duration::from_millis(50);
/// Of the time, so much at most is kept for what remains to be done after the last look.
const MOST_RESERVED: f64 = 0.3;
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
    sizes: Vec<(Key, Series)>,
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
            sizes: Vec::new(),
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
        std::thread::sleep(tick.min(left).min(READ_EVERY));
        Ok(())
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
            return Err(HuntError::TooShort);
        };
        if self.snapshots.len() < FEWEST_LOOKS {
            return Err(HuntError::TooShort);
        }
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let pauses = self.snapshots.iter().map(|it| it.totals.paused.as_secs_f64());
        let mut findings: Vec<Finding> =
            self.suspects.iter().filter_map(|it| self.told(it)).collect();
        let has_threads = self.suspects.iter().any(|it| it.key == Key::Threads && it.is_steady);
        if !has_threads {
            findings.extend(native(&self.snapshots, &self.resident));
        }
        findings.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        findings.truncate(MOST);
        Ok(Verdict {
            schema: SCHEMA,
            pid: self.process.pid(),
            command: self.command.clone(),
            python: self.python.version.to_string(),
            duration_s: last.at.as_secs_f64(),
            captures: self.snapshots.len() as u32,
            complete: self.complete,
            pause_s: Standstill { max: pauses.clone().fold(0.0, f64::max), total: pauses.sum() },
            objects: last.totals.heap.objects.into(),
            bytes: last.totals.heap.bytes,
            rss_bytes: last.totals.rss,
            rss_bytes_per_s: (last.totals.rss as f64 - first.totals.rss as f64) / seconds,
            findings,
        })
    }

    /// A suspect that has proved to leak.
    fn told(&self, suspect: &Suspect) -> Option<Finding> {
        let mut finding = suspect.finding.clone();
        if !suspect.is_steady {
            return None;
        }
        if let Some((_, sizes)) = self.sizes.iter().find(|(key, _)| *key == suspect.key)
            && sizes.len() > 1
        {
            finding.confidence = confidence(sizes)?.max(finding.confidence);
        }
        Some(finding)
    }

    /// When the heap is to be looked at next, since the hunt began.
    fn next_look(&self) -> Duration {
        let Some(&part) = LOOKS.get(self.snapshots.len()) else { return Duration::MAX };
        let reserved = self.effort.min(self.options.duration.mul_f64(MOST_RESERVED));
        self.options.duration.saturating_sub(reserved).mul_f64(part)
    }

    /// Looks at the heap.
    fn look(&mut self) -> Result<(), HuntError> {
        let begun = Instant::now();
        let at = self.began.elapsed();
        let heap = match Analysis::of(&self.process, &self.python, &self.options.capture) {
            Ok(heap) => heap,
            Err(_) if !self.process.is_alive() => return self.end(),
            Err(error) => return Err(error.into()),
        };
        self.snapshots.push(Snapshot::of(&heap, at));
        if self.snapshots.len() >= FEWEST_LOOKS {
            self.suspects = suspects(&heap, &self.python, &self.snapshots);
            self.suspects.truncate(MOST);
        }
        drop(heap);
        self.effort = begun.elapsed();
        if self.snapshots.len() == LOOKS.len() {
            self.complete = true;
            return self.end();
        }
        Ok(())
    }

    /// Reads what costs the target nothing.
    fn read(&mut self) {
        let now = self.began.elapsed();
        if let Ok(bytes) = self.process.resident_bytes() {
            self.resident.push((now, bytes as f64));
        }
    }

    fn end(&mut self) -> Result<(), HuntError> {
        self.is_over = true;
        Ok(())
    }
}
