//! The watched suspects: their growth words, the sizes of their holders over time, and the stacks seen to
//! feed them.
//!
//! Suspects are watched together, from the capture that made them suspects until their stacks repeat. Those
//! that only the last capture shows are watched after it.

use std::time::Duration;

use super::feeders::{WatchOptions, Watched, Watching};
use super::growth_counters::{Meaning, Word, growth_word, item_counter};
use super::insert_counts::{Fed, SeenStack};
use crate::guardian::GuardianError;
use crate::heap::Analysis;
use crate::heap::graph::search::Flow;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::{Feeder, Reason, Traffic, Unseen};
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
    /// What was put in and taken out while it was watched, if its size was.
    pub traffic: Option<Traffic>,
    /// For how long it was watched.
    pub watched: Duration,
    /// Whether other objects took the place of its holders.
    pub is_gone: bool,
}

impl Trail {
    /// Adds what was seen while it was watched.
    fn take(&mut self, fed: &Fed) {
        self.feeders = fed.stacks.iter().map(feeder).collect();
        let counts_items = self.words.iter().all(|word| word.meaning == Meaning::Size);
        if counts_items && fed.put_in + fed.taken_out > 0 {
            self.traffic = Some(Traffic { put_in: fed.put_in, taken_out: fed.taken_out });
        }
    }

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
    /// Those being watched, or watched last.
    current: Vec<usize>,
    pauses: Pauses,
}

impl Trails {
    /// Takes up the suspects that are not known yet, to be watched next.
    pub fn take_up<'a>(
        &mut self,
        suspects: impl Iterator<Item = &'a Suspect>,
        heap: &Analysis<'_>,
    ) {
        let known = self.trails.len();
        let word = |&object: &u64| {
            let reader = heap.reader()?;
            growth_word(reader, object).or_else(|| {
                let node = heap.graph.node(object).filter(|it| *it < heap.graph.first_leaf())?;
                let references = heap.graph.successors(node).len() as u64;
                item_counter(reader, object, references)
            })
        };
        for suspect in suspects {
            if self.of(suspect.key).is_none() {
                let words = suspect.watch.iter().filter_map(word).collect();
                let key = suspect.key;
                self.trails.push(Trail {
                    key,
                    words,
                    sizes: Vec::new(),
                    feeders: Vec::new(),
                    traffic: None,
                    watched: Duration::ZERO,
                    is_gone: false,
                });
            }
        }
        self.current = (known..self.trails.len()).collect();
    }

    /// Takes up those again that nobody was seen to feed.
    pub fn take_up_unseen(&mut self) {
        let unseen = self.trails.iter().enumerate().filter(|(_, trail)| trail.feeders.is_empty());
        self.current = unseen.map(|(number, _)| number).collect();
    }

    /// Starts watching the suspects taken up last, if they have words.
    pub fn watch(
        &mut self,
        process: &Process,
        python: &Python,
        options: &WatchOptions,
    ) -> Result<(), GuardianError> {
        let next = self.current.iter().filter_map(|&number| self.trails.get(number));
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
        self.current.len()
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
        let (lasted, count) = (watching.lasted(), self.current.len());
        let gone: Vec<bool> = (0..count).map(|finding| watching.is_gone(finding)).collect();
        let outcome = watching.finish();
        self.pauses.max = self.pauses.max.max(outcome.pauses.max);
        self.pauses.total += outcome.pauses.total;
        for ((&number, fed), is_gone) in self.current.iter().zip(outcome.findings).zip(gone) {
            if let Some(trail) = self.trails.get_mut(number) {
                trail.watched += lasted;
                trail.is_gone = is_gone;
                trail.take(&fed);
            }
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
