//! The stacks that feed what grows: a guardian watches words, and here its hits become stacks with names,
//! added up for each finding.
//!
//! Hits are raw; functions, files and lines are read from the target as soon as a hit arrives, while its code
//! objects still exist. Some instances live only for a moment, so each is checked again later: only survivors
//! count.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::growth_counters::Word;
use super::hits::{Hit, Hits, Watch};
use super::insert_counts::{Fed, Tally};
use crate::guardian::client::{Guardian, GuardianError, Tagged};
use crate::guardian::report::{Request, Work};
use crate::guardian::{Limits, Program};
use crate::process::breakpoint::Way;
use crate::process::{Pauses, Process};
use crate::python::{CodeCache, Python};

/// When an instance is checked again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A growing thing: the word of its holder, or those of a sample of holders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// The words. One can belong to several findings, and is watched once.
    pub words: Vec<Word>,
}

/// How to watch words.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchOptions {
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// How much the target can bear.
    pub limits: Limits,
    /// The program to start as guardian.
    pub guardian: Program,
}

impl WatchOptions {
    /// The request to a guardian with these options.
    pub(crate) fn request<W: Work>(&self, process: &Process, work: W) -> Request<W> {
        Request { limits: self.limits, ..Request::new(process, self.way, work) }
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
    guardian: Guardian,
    reports: Receiver<Tagged<Hits>>,
    begun: Instant,
    code: CodeCache,
}

/// The result of watching.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For each thing watched, in order, its feeders.
    pub findings: Vec<Fed>,
    /// How breakpoints were set; `None` if none were.
    pub way: Option<Way>,
    /// How often a thread was stopped.
    pub stops: u64,
    /// How long threads stood still.
    pub pauses: Pauses,
}

impl Watching {
    /// Starts watching. Each of the `watched` is a finding, referred to by its index from now on.
    pub fn start(
        process: &Process,
        python: &Python,
        watched: &[Watched],
        options: &WatchOptions,
    ) -> Result<Watching, GuardianError> {
        let (words, findings) = distinct(watched);
        let request = options.request(process, Watch { words: words.clone() });
        let (sender, reports) = channel();
        let guardian = Guardian::start(&options.guardian, &request, sender)?;
        Ok(Watching {
            process: Process::open(process.pid())?,
            python: python.clone(),
            words,
            findings,
            tallies: watched.iter().map(|_| Tally::default()).collect(),
            gone: FxHashSet::default(),
            guardian,
            reports,
            begun: Instant::now(),
            code: CodeCache::new(),
        })
    }

    /// Waits for reports, but no longer than `timeout`, and takes them in. The end of
    /// [all reports](Watching::has_ended) is not an error; a failure of the guardian is.
    pub fn step(&mut self, timeout: Duration) -> Result<(), GuardianError> {
        let until = Instant::now() + timeout;
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(seen) = self.guardian.next(&self.reports, left)? else { break };
            self.gone.extend(seen.gone);
            seen.removed.into_iter().for_each(|(word, items)| self.take_removal(word, items));
            seen.hits.into_iter().for_each(|hit| self.take_hit(hit));
        }
        let before = self.begun.elapsed().saturating_sub(LOOK_AGAIN);
        self.look_again(before);
        Ok(())
    }

    /// Whether watching has begun: until then nothing can be seen.
    pub fn has_begun(&self) -> bool {
        self.guardian.way().is_some()
    }

    /// For how long it has been watched.
    pub fn lasted(&self) -> Duration {
        if self.has_begun() { self.begun.elapsed() } else { Duration::ZERO }
    }

    /// Whether the objects of all words of a finding have gone.
    pub fn is_gone(&self, finding: usize) -> bool {
        let mut words = self.findings.iter().enumerate().filter(|(_, of)| of.contains(&finding));
        words.all(|(word, _)| self.gone.contains(&word))
    }

    /// How many growths of a finding have been seen so far.
    pub fn hits(&self, finding: usize) -> u64 {
        self.tallies.get(finding).map_or(0, Tally::hits)
    }

    /// Whether the stacks repeat for every finding, or no more reports will come: no need to continue.
    pub fn is_settled(&self) -> bool {
        (0..self.tallies.len()).all(|finding| self.has_settled(finding))
    }

    /// Whether the stacks repeat for one finding, or all its words have gone.
    pub fn has_settled(&self, finding: usize) -> bool {
        self.is_gone(finding) || self.tallies.get(finding).is_none_or(Tally::is_settled)
    }

    /// Whether nothing more will come: the guardian was asked to end, or the target has.
    pub fn has_ended(&self) -> bool {
        self.guardian.has_ended()
    }

    /// Asks the guardian to let the process go. Call [`Watching::step`] until it has.
    pub fn stop(&mut self) {
        self.guardian.stop();
    }

    /// The result.
    pub fn finish(mut self) -> Outcome {
        self.stop();
        // Where nothing has lasted long enough, the instances that exist now are the best evidence.
        if self.begun.elapsed() < LOOK_AGAIN * 2 {
            self.look_again(Duration::MAX);
        }
        Outcome {
            way: self.guardian.way(),
            stops: self.guardian.toll().stops,
            pauses: self.guardian.toll().pauses(),
            findings: self.tallies.drain(..).map(Tally::into_fed).collect(),
        }
    }

    fn take_hit(&mut self, hit: Hit) {
        let Hit { word, before, after, instance, frames, complete } = hit;
        let stack = self.code.resolve_frames(&self.process, &self.python, &frames, complete);
        let made = self.begun.elapsed();
        for &finding in self.findings.get(word).into_iter().flatten() {
            if let Some(tally) = self.tallies.get_mut(finding) {
                tally.add(stack.clone(), after.saturating_sub(before), instance, made);
            }
        }
    }

    fn take_removal(&mut self, word: usize, items: u64) {
        for &finding in self.findings.get(word).into_iter().flatten() {
            if let Some(tally) = self.tallies.get_mut(finding) {
                tally.remove(items);
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
                classes.iter().any(|&class| python.is_instance(process, address, class))
            });
        }
    }
}

/// The words of all findings, each once, and the findings that each word belongs to.
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
