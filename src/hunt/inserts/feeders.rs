//! The stacks that feed what grows: a guardian watches words, and here its hits become stacks with
//! names, added up for each finding.
//!
//! What a hit says is raw; functions, files and lines are read from the target as soon as it arrives,
//! while its code objects are still there. Instances of a class come and go where they are made for a
//! moment only, so each is looked at again after a while: those that stay count.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::growth_counters::Word;
use super::insert_counts::Tally;
use super::instance_creation::is_instance;
use crate::guardian::client::{Guarded, WatchError};
use crate::guardian::spawn;
use crate::hunt::messages::{Hit, Limits, News, Request};
use crate::process::breakpoint::Way;
use crate::process::{Pauses, Process};
use crate::python::{CodeCache, Frame, Python, RawStack};

/// When an instance is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What grows: the word of its holder, or those of a sample of holders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// The words. One can belong to several findings, and is watched once.
    pub words: Vec<Word>,
}

/// How words are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchOptions {
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// How much the target can bear.
    pub limits: Limits,
    /// The leakspy that is started as guardian.
    pub guardian: PathBuf,
}

impl Default for WatchOptions {
    /// In any way, a thousand stops a second at most, in a hundredth of the time; the guardian is the
    /// program that runs now.
    fn default() -> WatchOptions {
        WatchOptions {
            way: None,
            limits: Limits { stops_per_s: 1000.0, standstill: 0.01 },
            guardian: spawn::THIS_PROGRAM.into(),
        }
    }
}

/// Words being watched.
#[derive(Debug)]
pub struct Watching {
    process: Process,
    python: Python,
    words: Vec<Word>,
    /// For each word, the findings that it belongs to.
    findings: Vec<Vec<usize>>,
    tallies: Vec<Tally>,
    gone: FxHashSet<usize>,
    guarded: Guarded,
    begun: Instant,
    code: CodeCache,
    raw: RawStack,
}

/// What watching came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For each of those watched, in their order, what feeds it.
    pub findings: Vec<Fed>,
    /// The way in which breakpoints were set; `None` if it never came to that.
    pub way: Option<Way>,
    /// How often a thread was stopped.
    pub stops: u64,
    /// For how long threads stood still.
    pub pauses: Pauses,
}

/// What feeds one finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fed {
    /// How many growths were seen.
    pub hits: u64,
    /// The stacks that made them, that with the largest share first.
    pub feeders: Vec<Feeder>,
}

/// A stack that makes something grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Feeder {
    /// The frames, innermost first.
    pub stack: Vec<Frame>,
    /// Whether all frames are there.
    pub complete: bool,
    /// How many growths it made.
    pub hits: u64,
    /// By how much, all together.
    pub grown: u64,
    /// How many of the instances that it made were still there a second later, of those looked at;
    /// `None` where no instances are made.
    pub kept: Option<u64>,
    /// Its part of the growth, from 0 to 1; of the instances that were kept, if any were.
    pub share: f64,
}

impl Watching {
    /// Begins to watch. Each of those watched is a finding, known by its place from now on.
    pub fn start(
        process: &Process,
        python: &Python,
        watched: &[Watched],
        options: &WatchOptions,
    ) -> Result<Watching, WatchError> {
        let (pid, started) = (process.pid(), process.started());
        let process = Process::open(pid)?;
        let (words, findings) = distinct(watched);
        let request = Request {
            pid,
            started,
            way: options.way,
            words: words.clone(),
            limits: options.limits,
        };
        let guarded = Guarded::start(&options.guardian, spawn::Work::Watch, &request)?;
        Ok(Watching {
            process,
            python: python.clone(),
            words,
            findings,
            tallies: watched.iter().map(|_| Tally::default()).collect(),
            gone: FxHashSet::default(),
            guarded,
            begun: Instant::now(),
            code: CodeCache::new(),
            raw: RawStack::default(),
        })
    }

    /// Waits for news, but no longer than `timeout`, and takes them in. That they are
    /// [all](Watching::has_ended) is no error, but that there cannot be any is.
    pub fn step(&mut self, timeout: Duration) -> Result<(), WatchError> {
        let until = Instant::now() + timeout;
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(news) = self.guarded.next(left)? else { break };
            self.take_news(news);
        }
        let before = self.begun.elapsed().saturating_sub(LOOK_AGAIN);
        self.look_again(before);
        Ok(())
    }

    /// Whether watching has begun: until then nothing can be seen.
    pub fn has_begun(&self) -> bool {
        self.guarded.way().is_some()
    }

    /// How many growths of a finding were seen so far.
    pub fn hits(&self, finding: usize) -> u64 {
        self.tallies.get(finding).map_or(0, Tally::hits)
    }

    /// Whether the stacks repeat for every finding, or nothing more is to come: no need to go on.
    pub fn is_settled(&self) -> bool {
        (0..self.tallies.len()).all(|finding| self.has_settled(finding))
    }

    /// Whether the stacks repeat for one finding, or all that it holds has gone.
    pub fn has_settled(&self, finding: usize) -> bool {
        let mut words = self.findings.iter().enumerate().filter(|(_, of)| of.contains(&finding));
        words.all(|(word, _)| self.gone.contains(&word))
            || self.tallies.get(finding).is_none_or(Tally::is_settled)
    }

    /// Whether nothing more will come: the guardian was asked to end, or the target has.
    pub fn has_ended(&self) -> bool {
        self.guarded.has_ended()
    }

    /// Asks the guardian to let the process go. Go on with [`Watching::step`] until it has.
    pub fn stop(&mut self) {
        self.guarded.stop();
    }

    /// What it came to.
    pub fn finish(mut self) -> Outcome {
        self.stop();
        // Where nothing has lasted long enough, what is there now is the best that is known.
        if self.begun.elapsed() < LOOK_AGAIN * 2 {
            self.look_again(Duration::MAX);
        }
        Outcome {
            way: self.guarded.way(),
            stops: self.guarded.stops(),
            pauses: self.guarded.pauses(),
            findings: self.tallies.drain(..).map(Tally::into_fed).collect(),
        }
    }

    fn take_news(&mut self, news: News) {
        self.gone.extend(news.gone);
        for hit in news.hits {
            self.take_hit(hit);
        }
    }

    fn take_hit(&mut self, hit: Hit) {
        let Hit { word, before, after, instance, frames, complete } = hit;
        self.raw.frames = frames;
        self.raw.complete = complete;
        let stack = self.code.resolve_stack(&self.process, &self.python, &self.raw);
        let made = self.begun.elapsed();
        for &finding in self.findings.get(word).into_iter().flatten() {
            if let Some(tally) = self.tallies.get_mut(finding) {
                tally.add(stack.clone(), after.saturating_sub(before), instance, made);
            }
        }
    }

    fn look_again(&mut self, before: Duration) {
        let Watching { process, python, words, findings, tallies, .. } = self;
        for (finding, tally) in tallies.iter_mut().enumerate() {
            let of = |number: &usize| findings.get(*number).is_some_and(|it| it.contains(&finding));
            let classes: Vec<_> = (0..words.len())
                .filter(of)
                .filter_map(|number| words.get(number))
                .map(|word| word.object)
                .collect();
            tally.look_again(before, |address| {
                classes.iter().any(|&class| is_instance(process, &python.layout, address, class))
            });
        }
    }
}

/// The words of all findings, each once, and the findings that each belongs to.
fn distinct(watched: &[Watched]) -> (Vec<Word>, Vec<Vec<usize>>) {
    let mut words: Vec<Word> = Vec::new();
    let mut findings: Vec<Vec<usize>> = Vec::new();
    for (finding, watched) in watched.iter().enumerate() {
        for word in &watched.words {
            let known = words.iter().position(|other| other.address == word.address);
            let number = known.unwrap_or(words.len());
            if known.is_none() {
                words.push(*word);
                findings.push(Vec::new());
            }
            if let Some(of) = findings.get_mut(number)
                && !of.contains(&finding)
            {
                of.push(finding);
            }
        }
    }
    (words, findings)
}
