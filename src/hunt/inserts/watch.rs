//! The guardian's work: watching the words that change when something grows.
//!
//! A write breakpoint on each word that has its [turn](super::schedule) stops the writing thread right behind
//! the instruction. The word is read and compared with its previous value; if it has grown, the Python stack
//! is copied, and the thread continues. Names and lines are left to the reader of the reports.
//!
//! A thread that writes to an object holds the GIL, so while it stands still no other word changes, and the
//! value read after a word is armed is the one to compare the next hit with.

use std::time::{Duration, Instant};

use super::growth_counters::{Meaning, Word};
use super::hits::{Hit, Hits, Instance, Watch};
use super::instance_creation::newborn;
use super::schedule::{Outcome, Turn, Turns};
use super::survival::Young;
use crate::guardian::report::End;
use crate::guardian::server::{self, CHECK_EVERY, Duty};
use crate::guardian::spawn::go_first;
use crate::guardian::traced_threads::TracedPython;
use crate::guardian::trouble::Trouble;
use crate::process::breakpoint::{MOST_SPOTS, Spot};
use crate::process::ptrace;
use crate::process::tracees::Event;
use crate::python::RawStack;

/// The shortest time between two checks of young instances.
const SOON: Duration = Duration::from_millis(1);

type Guard<'a> = server::Guard<'a, Hits>;

/// The duty of watching words.
pub(crate) struct Watcher {
    words: Vec<Word>,
    turns: Turns,
    young: Young,
    random: fastrand::Rng,
    stack: RawStack,
}

/// A running turn.
struct Open {
    turn: Turn,
    /// The last value of each of its words; `None` until it is known.
    values: Vec<Option<u64>>,
    /// How often each word caused a stop.
    stops: Vec<u64>,
    /// The growths seen.
    hits: Vec<Hit>,
    /// The time that they took.
    taken: Duration,
    outcome: Outcome,
    begun: Instant,
}

impl Duty for Watcher {
    type Work = Watch;

    fn prepare(work: Watch, target: &mut TracedPython) -> Result<(Watcher, Vec<Spot>), End> {
        go_first();
        target.tracees.follow_new_threads();
        let words = work.words;
        let spots: Vec<_> = words.iter().map(Word::spot).take(MOST_SPOTS).collect();
        let watcher = Watcher {
            turns: Turns::new(words.len(), spots.len()),
            words,
            young: Young::default(),
            random: fastrand::Rng::new(),
            stack: RawStack::default(),
        };
        Ok((watcher, spots))
    }

    fn run(&mut self, guard: &mut Guard<'_>) -> Result<End, Trouble> {
        let mut open: Option<Open> = None;
        loop {
            let next = self.turns.next(&guard.budget);
            let debt = guard.budget.debt();
            let rest = debt.mul_f64(0.5 + self.random.f64());
            let goes_on = open.as_ref().is_some_and(|open| {
                debt.is_zero() && next.as_ref().is_some_and(|next| next.words == open.turn.words)
            });
            if !goes_on {
                self.close(open.take(), guard)?;
            }
            let rest = next.as_ref().map(|_| rest);
            let Watcher { young, words, .. } = self;
            let mut meanwhile = |guard: &mut Guard<'_>| look_at_young(guard, young, words);
            if guard.make_room(&mut meanwhile)? || guard.rest_while(rest, &mut meanwhile)? {
                return Ok(End::Asked);
            }
            let Some(turn) = next else { continue };
            let mut this = match open.take() {
                Some(before) => before.again(turn),
                None => self.open(turn, guard)?,
            };
            let result = self.until_over(&mut this, guard);
            learn_waking(&this, guard);
            self.take_over_hits(&mut this, guard);
            self.turns.observe(&this.turn, &this.stops, this.outcome);
            guard.budget.earn(this.begun.elapsed());
            open = Some(this);
            if result? {
                self.close(open.take(), guard)?;
                guard.news.hits.extend(self.young.give_up());
                return Ok(End::Asked);
            }
        }
    }
}

impl Watcher {
    /// Arms all threads.
    fn open(&mut self, turn: Turn, guard: &mut Guard<'_>) -> Result<Open, Trouble> {
        let words = turn.words.iter().filter_map(|&number| self.words.get(number));
        let spots: Vec<_> = words.map(Word::spot).collect();
        guard.breakpoints.aim(&spots);
        let count = turn.words.len();
        let begun = Instant::now();
        let mut open = Open {
            turn,
            values: vec![None; count],
            stops: vec![0; count],
            hits: Vec::new(),
            taken: Duration::ZERO,
            outcome: Outcome::default(),
            begun,
        };
        guard.arm(0)?;
        for place in 0..count {
            let number = open.turn.words.get(place).copied();
            let value = number.and_then(|number| self.value(number, guard));
            if let (None, Some(number)) = (value, number) {
                self.drop_word(number, guard);
            }
            if let Some(last) = open.values.get_mut(place) {
                *last = value;
            }
        }
        open.begun = Instant::now();
        Ok(open)
    }

    fn close(&mut self, open: Option<Open>, guard: &mut Guard<'_>) -> Result<(), Trouble> {
        let Some(mut open) = open else { return Ok(()) };
        loop {
            guard.disarm()?;
            // Hits from before the end belong to the turn.
            while let Some(event) = guard.target.tracees.next_event()? {
                self.during_turn(event, &mut open, guard)?;
            }
            if guard.is_disarmed()? {
                self.take_over_hits(&mut open, guard);
                return Ok(());
            }
        }
    }

    /// Takes hits until the turn is over. True if the guardian was asked to end.
    fn until_over(&mut self, open: &mut Open, guard: &mut Guard<'_>) -> Result<bool, Trouble> {
        loop {
            let still = open.outcome.still;
            open.outcome.lasted = open.begun.elapsed().saturating_sub(still);
            let left = open.turn.length.saturating_sub(open.outcome.lasted);
            let is_much =
                open.outcome.stops >= open.turn.most_stops || still >= open.turn.most_still;
            if left.is_zero() || is_much {
                return Ok(false);
            }
            // A word that grows fast brings one event after another.
            match guard.target.tracees.next_event()? {
                Some(event) => self.during_turn(event, open, guard)?,
                None => {
                    let nap = look_at_young(guard, &mut self.young, &self.words);
                    if guard.wait(left.min(nap))? {
                        return Ok(true);
                    }
                }
            }
            if guard.check_sometimes()? {
                guard.arm(0)?;
            }
        }
    }

    fn during_turn(
        &mut self,
        event: Event,
        open: &mut Open,
        guard: &mut Guard<'_>,
    ) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } => self.take_hit(tid, open, guard),
            other => guard.take_while_armed(other),
        }
    }

    /// Examines a thread that has just written a word, and lets it run on.
    fn take_hit(
        &mut self,
        tid: i32,
        open: &mut Open,
        guard: &mut Guard<'_>,
    ) -> Result<(), Trouble> {
        let seen = Instant::now();
        let spot = guard.breakpoints.spot_of(tid).ok();
        let hit = spot.and_then(|spot| self.look_at(tid, spot, open, guard));
        let resumed = guard.target.tracees.resume(tid);
        let taken = seen.elapsed();
        open.taken += taken;
        let stopped = taken + guard.waking;
        open.outcome.stops += 1;
        open.outcome.still += stopped;
        if let Some(stops) = spot.and_then(|spot| open.stops.get_mut(spot)) {
            *stops += 1;
        }
        guard.budget.spend(1, stopped);
        open.hits.extend(hit);
        Ok(resumed?)
    }

    /// Reports the hits; those of instances wait until it is known whether they survive.
    fn take_over_hits(&mut self, open: &mut Open, guard: &mut Guard<'_>) {
        let now = Instant::now();
        for hit in open.hits.drain(..) {
            match hit.instance {
                Some(_) => self.young.add(hit, now),
                None => guard.news.hits.push(hit),
            }
        }
    }

    fn look_at(
        &mut self,
        tid: i32,
        spot: usize,
        open: &mut Open,
        guard: &mut Guard<'_>,
    ) -> Option<Hit> {
        let number = *open.turn.words.get(spot)?;
        let word = *self.words.get(number)?;
        let last = open.values.get_mut(spot)?;
        let Some(after) = self.value(number, guard) else {
            self.drop_word(number, guard);
            return None;
        };
        let before = last.replace(after)?;
        if after < before && word.meaning == Meaning::Size {
            self.note_removed(number, before - after, guard);
        }
        if after <= before {
            return None;
        }
        let instance = match word.meaning {
            Meaning::Size | Meaning::Items | Meaning::Calls => None,
            Meaning::Instances { are_gc } => {
                let registers = ptrace::registers(tid).ok()?;
                let TracedPython { process, python, .. } = &guard.target;
                let address = newborn(process, python, &registers, word.object, are_gc)?;
                Some(Instance { address, is_there: true })
            }
        };
        guard.target.copy_stack(tid, &mut self.stack).ok()?;
        Some(Hit {
            word: number,
            before,
            after,
            instance,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        })
    }

    /// The value of a word; `None` if its object no longer exists.
    fn value(&self, number: usize, guard: &Guard<'_>) -> Option<u64> {
        let TracedPython { process, python, .. } = &guard.target;
        self.words.get(number)?.value(process, python).ok()?
    }

    /// Reports that items were taken out.
    fn note_removed(&self, number: usize, items: u64, guard: &mut Guard<'_>) {
        let removed = &mut guard.news.removed;
        match removed.iter_mut().find(|(word, _)| *word == number) {
            Some((_, sum)) => *sum = sum.saturating_add(items),
            None => removed.push((number, items)),
        }
    }

    fn drop_word(&mut self, number: usize, guard: &mut Guard<'_>) {
        if !guard.news.gone.contains(&number) {
            self.turns.drop_word(number);
            guard.news.gone.push(number);
        }
    }
}

/// Compares our times for a turn's stops with the kernel's, where it has them.
fn learn_waking(open: &Open, guard: &mut Guard<'_>) {
    let Some(seen) = guard.breakpoints.interruptions() else { return };
    let known = seen.stops.iter().filter(|stop| stop.to != u64::MAX);
    let lengths: Vec<_> = known.map(|stop| stop.to.saturating_sub(stop.from)).collect();
    let stops: u64 = open.stops.iter().sum();
    if lengths.is_empty() || stops == 0 {
        return;
    }
    let mean = Duration::from_nanos(lengths.iter().sum::<u64>() / lengths.len() as u64);
    let waking = mean.saturating_sub(open.taken.div_f64(stops as f64));
    guard.waking = (guard.waking * 7 + waking) / 8;
}

/// Checks the instances that are due, and returns how long to sleep at most.
fn look_at_young(guard: &mut Guard<'_>, young: &mut Young, words: &[Word]) -> Duration {
    let now = Instant::now();
    if young.next().is_some_and(|next| next <= now) {
        let TracedPython { process, python, .. } = &guard.target;
        let is_there = |hit: &Hit| {
            let found = hit.instance.zip(words.get(hit.word));
            found.is_some_and(|(instance, word)| {
                python.is_instance(process, instance.address, word.object)
            })
        };
        guard.news.hits.extend(young.look(now, is_there));
    }
    let left = young.next().map(|next| next.saturating_duration_since(now));
    left.unwrap_or(CHECK_EVERY).clamp(SOON, CHECK_EVERY)
}

impl Open {
    /// Opens the next turn with the same words.
    fn again(self, turn: Turn) -> Open {
        let stops = vec![0; turn.words.len()];
        let (outcome, taken) = (Outcome::default(), Duration::ZERO);
        Open { turn, stops, taken, outcome, begun: Instant::now(), ..self }
    }
}
