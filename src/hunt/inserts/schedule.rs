//! Which words are watched, when, and for how long.
//!
//! There are few debug registers, so words take turns. A turn has a length in the target's own time: pauses
//! that leakspy causes are not counted. It begins at an arbitrary moment, and every growth in it counts, so
//! each feeder is seen as often as it feeds; the first growth after a random instant would favour feeders
//! that follow a long gap. A word that grows slowly is watched nearly all the time; the turns of a fast one
//! are short, and the rest of random length that follows them pays for them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::guardian::budget::Budget;

/// The first turn of a word, whose pace is not known yet.
const FIRST: Duration = Duration::from_millis(5);
/// The longest turn; then it is the turn of other words.
const LONGEST: Duration = Duration::from_millis(250);
/// The shortest turn: arming takes nearly as long.
const SHORTEST: Duration = Duration::from_micros(200);
/// The number of stops to aim for in a turn.
const WANTED: f64 = 32.0;
/// A turn ends early after this many stops: the word grows much faster than expected.
const MOST: u64 = 256;
/// The time for which a turn may hold threads still, even without savings in the budget.
const WANTED_STILL: Duration = Duration::from_millis(4);

/// Plans turns.
#[derive(Debug)]
pub struct Turns {
    queue: VecDeque<Entry>,
    spots: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    word: usize,
    length: Duration,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The words, by their index in the request.
    pub words: Vec<usize>,
    /// How long it lasts, in the target's own time.
    pub length: Duration,
    /// The number of stops that ends it early.
    pub most_stops: u64,
    /// The total time that they may take.
    pub most_still: Duration,
}

/// The result of a turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// How long it lasted, in the target's own time.
    pub lasted: Duration,
    /// How often a thread was stopped.
    pub stops: u64,
    /// How long that took.
    pub still: Duration,
}

impl Turns {
    /// Turns for this many words, with this many spots to watch them at.
    pub fn new(words: usize, spots: usize) -> Turns {
        Turns {
            queue: (0..words).map(|word| Entry { word, length: FIRST }).collect(),
            spots: spots.max(1),
        }
    }

    /// The next turn and its limits; `None` if no words are left.
    pub fn next(&self, budget: &Budget) -> Option<Turn> {
        let first = self.queue.front()?;
        // A word that grows fast would shorten the turns of the others.
        let alike = |entry: &&Entry| {
            entry.length <= first.length.saturating_mul(4)
                && first.length <= entry.length.saturating_mul(4)
        };
        let members: Vec<_> = self.queue.iter().filter(alike).take(self.spots).collect();
        Some(Turn {
            words: members.iter().map(|entry| entry.word).collect(),
            length: members.iter().map(|entry| entry.length).min().unwrap_or(first.length),
            most_stops: MOST,
            most_still: budget.still().max(WANTED_STILL),
        })
    }

    /// Records how a turn went; `stops` counts the stops at each of its words. Its words go to the end of the
    /// queue.
    pub fn observe(&mut self, turn: &Turn, stops: &[u64], outcome: Outcome) {
        let still = outcome.still.as_secs_f64();
        let all = stops.iter().sum::<u64>().max(1) as f64;
        for (&word, &stops) in turn.words.iter().zip(stops) {
            let place = self.queue.iter().position(|entry| entry.word == word);
            let Some(mut entry) = place.and_then(|place| self.queue.remove(place)) else {
                continue;
            };
            // Each word answers for its own stops.
            let own = (still * stops as f64 / all).max(1e-6);
            let bearable = outcome.lasted.mul_f64(WANTED_STILL.as_secs_f64() / own);
            let fitting = bearable.min(outcome.lasted.mul_f64(WANTED / stops.max(1) as f64));
            // A short turn says little about longer ones.
            entry.length = fitting.min(entry.length.saturating_mul(4)).clamp(SHORTEST, LONGEST);
            self.queue.push_back(entry);
        }
    }

    /// Stops watching a word.
    pub fn drop_word(&mut self, word: usize) {
        self.queue.retain(|entry| entry.word != word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guardian::budget::{Limits, SAVINGS};

    const LIMITS: Limits = Limits { stops_per_s: 1000.0, standstill: 0.01 };

    /// Plays turns for words that grow this often a second, where a stop takes 50 µs, and returns for each
    /// the share of the time for which it was watched, and the share for which the target stood still.
    fn play(rates: &[f64], seconds: f64) -> (Vec<f64>, f64) {
        let mut turns = Turns::new(rates.len(), 4);
        let mut budget = Budget::new(LIMITS);
        let (mut time, mut still) = (0.0, 0.0);
        let mut watched = vec![0.0; rates.len()];
        while time < seconds {
            let turn = turns.next(&budget).expect("all words are there");
            let rate: f64 = turn.words.iter().map(|&word| rates[word]).sum();
            let most_stops = turn.most_stops.min(turn.most_still.as_micros() as u64 / 50);
            let lasted = turn.length.as_secs_f64().min(most_stops as f64 / rate);
            let stops: Vec<_> =
                turn.words.iter().map(|&word| (rates[word] * lasted).round() as u64).collect();
            let all: u64 = stops.iter().sum();
            let stopped = all as f64 * 50e-6;
            turn.words.iter().for_each(|&word| watched[word] += lasted);
            let outcome = Outcome {
                lasted: Duration::from_secs_f64(lasted),
                stops: all,
                still: Duration::from_secs_f64(stopped),
            };
            turns.observe(&turn, &stops, outcome);
            budget.spend(outcome.stops, outcome.still);
            budget.earn(Duration::from_secs_f64(lasted + stopped));
            let rest = budget.debt();
            budget.earn(rest);
            time += lasted + stopped + rest.as_secs_f64();
            still += stopped;
        }
        (watched.iter().map(|watched| watched / time).collect(), still / time)
    }

    #[test]
    fn slow_words_are_watched_nearly_all_the_time() {
        let (watched, still) = play(&[20.0, 50.0, 1.0, 0.0], 60.0);
        assert!(watched.iter().all(|&part| part > 0.95), "{watched:?}");
        assert!(still < 0.01, "{still}");
    }

    #[test]
    fn fast_words_keep_to_the_limits() {
        let (watched, still) = play(&[50_000.0, 500_000.0], 60.0);
        // Savings may be spent as well.
        assert!(still < 0.01 * (1.0 + SAVINGS / 60.0) + 0.001, "{still}");
        assert!(watched.iter().all(|&part| part > 0.0001), "{watched:?}");
    }

    #[test]
    fn a_fast_word_does_not_take_the_time_of_slow_ones() {
        let (watched, still) = play(&[50_000.0, 20.0, 20.0, 20.0], 60.0);
        assert!(watched[1..].iter().all(|&part| part > 0.5), "{watched:?}");
        assert!(still < 0.015, "{still}");
    }

    #[test]
    fn more_words_than_spots_take_fair_turns() {
        let (watched, _) = play(&[20.0; 10], 60.0);
        assert!(watched.iter().all(|&part| (part - 0.4).abs() < 0.05), "{watched:?}");
    }

    #[test]
    fn who_is_gone_has_no_turn() {
        let mut turns = Turns::new(2, 4);
        let budget = Budget::new(LIMITS);
        turns.drop_word(0);
        assert_eq!(turns.next(&budget).map(|turn| turn.words), Some(vec![1]));
        turns.drop_word(1);
        assert_eq!(turns.next(&budget), None);
    }
}
