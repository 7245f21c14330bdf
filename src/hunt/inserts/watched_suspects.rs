//! The watched suspects: their growth words, the sizes of their holders over time, and the stacks seen to
//! feed them.
//!
//! Suspects are watched together, from the capture that made them suspects until their stacks repeat. Those
//! that only the last capture shows are watched after it.

use std::time::Duration;

use super::feeders::{WatchOptions, Watched, Watching};
use super::growth_counters::{Meaning, Word, growth_word};
use super::insert_counts::SeenStack;
use crate::guardian::GuardianError;
use crate::heap::Analysis;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::{Feeder, Reason, Unseen};
use crate::hunt::suspects::suspect::{Key, Suspect};
use crate::memory::Memory;
use crate::process::{Pauses, Process};
use crate::python::{Origin, Python};

/// How long to wait for the guardian at a time while it lets the target go.
const PATIENCE: Duration = Duration::from_millis(50);

/// A suspect that is or was watched.
#[derive(Debug)]
pub(crate) struct Trail {
    /// The suspect.
    pub key: Key,
    /// Its words; empty if no word shows its growth.
    pub words: Vec<Word>,
    /// The sum of its holders' sizes, read many times.
    pub sizes: Series,
    /// The stacks seen to feed it, once watching is over.
    pub feeders: Vec<Feeder>,
    /// For how long it was watched.
    pub watched: Duration,
    /// Whether other objects took the place of its holders.
    pub is_gone: bool,
}

impl Trail {
    /// Why nobody was seen to feed it, if nobody was.
    pub fn unseen(&self) -> Option<Unseen> {
        let reason = match () {
            () if !self.feeders.is_empty() => return None,
            () if self.words.is_empty() => Reason::NoCounter,
            () if self.watched.is_zero() => Reason::NotWatched,
            () if self.is_gone => Reason::Replaced,
            () => Reason::TooFew,
        };
        Some(Unseen { reason, watched_s: self.watched.as_secs_f64() })
    }
}

/// All suspects that are or were watched.
#[derive(Debug, Default)]
pub(crate) struct Trails {
    trails: Vec<Trail>,
    watching: Option<Watching>,
    /// The first suspect being watched; all after it are watched too.
    from: usize,
    pauses: Pauses,
}

impl Trails {
    /// Takes up the suspects that are not known yet, to be watched next.
    pub fn take_up<'a>(
        &mut self,
        suspects: impl Iterator<Item = &'a Suspect>,
        heap: &Analysis<'_>,
    ) {
        self.from = self.trails.len();
        let word = |&object: &u64| growth_word(heap.reader()?, object);
        for suspect in suspects {
            if self.of(suspect.key).is_none() {
                let words = suspect.watch.iter().filter_map(word).collect();
                let key = suspect.key;
                self.trails.push(Trail {
                    key,
                    words,
                    sizes: Vec::new(),
                    feeders: Vec::new(),
                    watched: Duration::ZERO,
                    is_gone: false,
                });
            }
        }
    }

    /// Starts watching the suspects taken up last, if they have words.
    pub fn watch(
        &mut self,
        process: &Process,
        python: &Python,
        options: &WatchOptions,
    ) -> Result<(), GuardianError> {
        let next = self.trails.iter().skip(self.from);
        let watched: Vec<_> = next.map(|trail| Watched { words: trail.words.clone() }).collect();
        if watched.iter().any(|watched| !watched.words.is_empty()) {
            self.watching = Some(Watching::start(process, python, &watched, options)?);
        }
        Ok(())
    }

    /// Whether any suspects are being watched.
    pub fn are_watched(&self) -> bool {
        self.watching.is_some()
    }

    /// How many suspects were taken up last.
    pub fn watched(&self) -> usize {
        self.trails.len() - self.from
    }

    /// Waits for hits, but no longer than `timeout`. Stops watching once there is nothing more to learn.
    pub fn step(&mut self, timeout: Duration) -> Result<(), GuardianError> {
        let Some(watching) = &mut self.watching else { return Ok(()) };
        if let Err(error) = watching.step(timeout) {
            self.watching = None;
            return Err(error);
        }
        if watching.is_settled() || watching.has_ended() {
            return self.stop();
        }
        Ok(())
    }

    /// Lets the target go, and keeps the results.
    pub fn stop(&mut self) -> Result<(), GuardianError> {
        let Some(mut watching) = self.watching.take() else { return Ok(()) };
        watching.stop();
        let mut result = Ok(());
        while !watching.has_ended() && result.is_ok() {
            result = watching.step(PATIENCE);
        }
        for (finding, trail) in self.trails.iter_mut().skip(self.from).enumerate() {
            trail.watched = watching.lasted();
            trail.is_gone = watching.is_gone(finding);
        }
        let outcome = watching.finish();
        self.pauses.max = self.pauses.max.max(outcome.pauses.max);
        self.pauses.total += outcome.pauses.total;
        for (trail, fed) in self.trails.iter_mut().skip(self.from).zip(outcome.findings) {
            trail.feeders = fed.stacks.iter().map(feeder).collect();
        }
        result
    }

    /// Reads the sizes of the holders, which costs the target nothing.
    pub fn read_sizes(&mut self, process: &Process, now: Duration) {
        for trail in &mut self.trails {
            let sized: Vec<_> =
                trail.words.iter().filter(|word| word.meaning == Meaning::Size).collect();
            // A word that can no longer be read has gone.
            let sizes = sized.iter().filter_map(|word| process.u64(word.address).ok());
            let sum = sizes.map(|size| size as f64).sum();
            if !sized.is_empty() {
                trail.sizes.push((now, sum));
            }
        }
    }

    /// The trail of a suspect.
    pub fn of(&self, key: Key) -> Option<&Trail> {
        self.trails.iter().find(|trail| trail.key == key)
    }

    /// How long threads stood still for watching.
    pub fn pauses(&self) -> Pauses {
        self.pauses
    }
}

/// A feeder: a stack that was seen, and its frame in the program's own code.
pub(crate) fn feeder(seen: &SeenStack) -> Feeder {
    let is_own = |file: &str| Origin::of(file).0 == Origin::Program;
    Feeder {
        share: seen.share,
        hits: seen.hits,
        own_frame: seen.stack.iter().find(|frame| is_own(&frame.file)).cloned(),
        stack: seen.stack.clone(),
    }
}
