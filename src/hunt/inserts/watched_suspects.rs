//! The suspects that are watched: their growth words, how large what holds them was all the time, and who
//! was seen to feed them.
//!
//! Suspects are watched together, from the capture at which they became suspect until the stacks repeat.
//! Those that only the last capture shows are watched after it.

use std::time::Duration;

use super::feeders::{WatchOptions, Watched, Watching};
use super::growth_counters::{Meaning, Word, growth_word};
use super::insert_counts::SeenStack;
use crate::guardian::GuardianError;
use crate::heap::Analysis;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::Feeder;
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
    /// Its words; none if nothing is known by which it grows.
    pub words: Vec<Word>,
    /// The sum of the sizes of what holds it, read many times.
    pub sizes: Series,
    /// Who was seen to feed it, after it was watched.
    pub feeders: Vec<Feeder>,
}

/// All that are or were watched.
#[derive(Debug, Default)]
pub(crate) struct Trails {
    trails: Vec<Trail>,
    watching: Option<Watching>,
    /// The first of those that are being watched; the others are those behind it.
    from: usize,
    pauses: Pauses,
}

impl Trails {
    /// Those among suspects that are not known yet are the next to be watched.
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
                self.trails.push(Trail { key, words, sizes: Vec::new(), feeders: Vec::new() });
            }
        }
    }

    /// Begins to watch those that were taken up last, if they have words.
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

    /// Whether some are being watched.
    pub fn are_watched(&self) -> bool {
        self.watching.is_some()
    }

    /// How many were taken up last.
    pub fn watched(&self) -> usize {
        self.trails.len() - self.from
    }

    /// Waits for hits, but no longer than that. Nobody is watched any more when there is nothing more to
    /// know.
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

    /// Lets the target go, and keeps what was seen.
    pub fn stop(&mut self) -> Result<(), GuardianError> {
        let Some(mut watching) = self.watching.take() else { return Ok(()) };
        watching.stop();
        let mut result = Ok(());
        while !watching.has_ended() && result.is_ok() {
            result = watching.step(PATIENCE);
        }
        let outcome = watching.finish();
        self.pauses.max = self.pauses.max.max(outcome.pauses.max);
        self.pauses.total += outcome.pauses.total;
        for (trail, fed) in self.trails.iter_mut().skip(self.from).zip(outcome.findings) {
            trail.feeders = fed.stacks.iter().map(feeder).collect();
        }
        result
    }

    /// Reads how large the holders are, which costs the target nothing.
    pub fn read_sizes(&mut self, process: &Process, now: Duration) {
        for trail in &mut self.trails {
            let sized: Vec<_> =
                trail.words.iter().filter(|word| word.meaning == Meaning::Size).collect();
            // What cannot be read any more has gone.
            let sizes = sized.iter().filter_map(|word| process.u64(word.address).ok());
            let sum = sizes.map(|size| size as f64).sum();
            if !sized.is_empty() {
                trail.sizes.push((now, sum));
            }
        }
    }

    /// That of a suspect.
    pub fn of(&self, key: Key) -> Option<&Trail> {
        self.trails.iter().find(|trail| trail.key == key)
    }

    /// For how long threads stood still when they were watched.
    pub fn pauses(&self) -> Pauses {
        self.pauses
    }
}

/// A stack that was seen, and the frame in it that belongs to the program's own code.
pub(crate) fn feeder(seen: &SeenStack) -> Feeder {
    let is_own = |file: &str| Origin::of(file).0 == Origin::Program;
    Feeder {
        share: seen.share,
        hits: seen.hits,
        own_frame: seen.stack.iter().find(|frame| is_own(&frame.file)).cloned(),
        stack: seen.stack.clone(),
    }
}
