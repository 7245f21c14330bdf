//! The insertions of one finding, added up by stack.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::hits::Instance;
use crate::python::{Frame, Stack};

/// The fewest hits that a result needs.
const LEAST: u64 = 20;
/// Watching ends when the chance that the next hit brings a new stack is at most one in this many.
const ONE_IN: u64 = 20;
/// The most stacks that are told apart.
const MOST_STACKS: usize = 10_000;
/// The most instances that wait to be checked again.
const MOST_WAITING: usize = 100_000;

/// The feeders of one finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fed {
    /// How many growths were seen.
    pub hits: u64,
    /// The items put in by them.
    pub put_in: u64,
    /// The items taken out meanwhile.
    pub taken_out: u64,
    /// The stacks that caused them, the one with the largest share first.
    pub stacks: Vec<SeenStack>,
}

/// A stack that was seen to make an object grow.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenStack {
    /// The frames, innermost first.
    pub stack: Vec<Frame>,
    /// Whether the stack is complete.
    pub complete: bool,
    /// How many growths it caused.
    pub hits: u64,
    /// By how much the object grew in total.
    pub grown: u64,
    /// How many of its instances that were checked still existed a second later; `None` where no instances
    /// are created.
    pub kept: Option<u64>,
    /// Its share of the growth, from 0 to 1; of the surviving instances, if there are any.
    pub share: f64,
}

/// The insertions of a finding so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    numbers: FxHashMap<(Vec<Frame>, bool), usize>,
    counts: Vec<Count>,
    hits: u64,
    put_in: u64,
    taken_out: u64,
    /// Instances that are still to be checked for survival, the oldest first.
    waiting: VecDeque<Waiting>,
    /// The latest instance at each address, by its serial number.
    latest: FxHashMap<u64, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    hits: u64,
    grown: u64,
    kept: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    serial: u64,
    address: u64,
    stack: usize,
    /// When it was created, in the caller's time.
    made: Duration,
}

impl Tally {
    /// Adds a growth by `grown` at this time, and the new instance where there is one.
    pub fn add(&mut self, stack: Stack, grown: u64, instance: Option<Instance>, made: Duration) {
        self.hits += 1;
        self.put_in = self.put_in.saturating_add(grown);
        let key = (stack.frames, stack.complete);
        let number = match self.numbers.get(&key) {
            Some(&number) => number,
            None if self.counts.len() >= MOST_STACKS => return,
            None => {
                let number = self.counts.len();
                self.numbers.insert(key, number);
                self.counts.push(Count::default());
                number
            }
        };
        let Some(count) = self.counts.get_mut(number) else { return };
        count.hits += 1;
        count.grown = count.grown.saturating_add(grown);
        let Some(Instance { address, is_there }) = instance else { return };
        count.kept.get_or_insert(0);
        self.latest.remove(&address);
        if is_there && self.waiting.len() < MOST_WAITING {
            self.latest.insert(address, self.hits);
            self.waiting.push_back(Waiting { serial: self.hits, address, stack: number, made });
        }
    }

    /// Adds a removal of so many items.
    pub fn remove(&mut self, items: u64) {
        self.taken_out = self.taken_out.saturating_add(items);
    }

    /// Checks the instances created before `before` again. Those that `is_there` finds and whose address has
    /// not been taken by another instance since count as kept.
    pub fn look_again(&mut self, before: Duration, is_there: impl Fn(u64) -> bool) {
        while let Some(waiting) = self.waiting.front().copied().filter(|it| it.made <= before) {
            self.waiting.pop_front();
            if self.latest.get(&waiting.address) != Some(&waiting.serial) {
                continue;
            }
            self.latest.remove(&waiting.address);
            if is_there(waiting.address)
                && let Some(count) = self.counts.get_mut(waiting.stack)
            {
                *count.kept.get_or_insert(0) += 1;
            }
        }
    }

    /// The number of growths seen.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether the stacks repeat: the share of growths whose stack was seen only once is the chance that the
    /// next growth brings a new stack (Good and Turing).
    pub fn is_settled(&self) -> bool {
        let once = self.counts.iter().filter(|count| count.hits == 1).count() as u64;
        // Where instances are created, only the survivors matter.
        let kept = self.counts.iter().filter_map(|count| count.kept).reduce(|a, b| a + b);
        kept.unwrap_or(self.hits) >= LEAST && once * ONE_IN <= self.hits
    }

    /// The result.
    pub fn into_fed(self) -> Fed {
        let kept: u64 = self.counts.iter().filter_map(|count| count.kept).sum();
        let grown: u64 = self.counts.iter().map(|count| count.grown).sum();
        let share = |count: &Count| match kept {
            0 => count.grown as f64 / grown.max(1) as f64,
            _ => count.kept.unwrap_or_default() as f64 / kept as f64,
        };
        let mut stacks: Vec<_> = self
            .numbers
            .into_iter()
            .filter_map(|((stack, complete), number)| {
                let count = self.counts.get(number)?;
                let Count { hits, grown, kept } = *count;
                Some(SeenStack { stack, complete, hits, grown, kept, share: share(count) })
            })
            .collect();
        stacks.sort_by(|a, b| {
            let by_hits = || b.hits.cmp(&a.hits);
            let names = |seen: &SeenStack| {
                let names = seen.stack.iter();
                names.map(|frame| (frame.file.clone(), frame.line)).collect::<Vec<_>>()
            };
            b.share.total_cmp(&a.share).then_with(by_hits).then_with(|| names(a).cmp(&names(b)))
        });
        Fed { hits: self.hits, put_in: self.put_in, taken_out: self.taken_out, stacks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn stack(line: u32) -> Stack {
        let frame = Frame::new("f", "a.py", Some(line));
        Stack { frames: vec![frame], complete: true }
    }

    fn lines(fed: &Fed) -> Vec<(Option<u32>, u64, f64)> {
        fed.stacks.iter().map(|it| (it.stack[0].line, it.hits, it.share)).collect()
    }

    #[test]
    fn equal_stacks_are_one_and_shares_are_of_the_growth() {
        let mut tally = Tally::default();
        tally.add(stack(1), 1, None, NOW);
        tally.add(stack(2), 6, None, NOW);
        tally.add(stack(1), 1, None, NOW);
        assert_eq!(tally.hits(), 3);
        assert_eq!(lines(&tally.into_fed()), [(Some(2), 1, 0.75), (Some(1), 2, 0.25)]);
    }

    #[test]
    fn it_is_settled_when_stacks_repeat() {
        let mut tally = Tally::default();
        (0..100).for_each(|line| tally.add(stack(line), 1, None, NOW));
        assert!(!tally.is_settled());
        (0..96).for_each(|line| tally.add(stack(line), 1, None, NOW));
        assert!(tally.is_settled());
    }

    #[test]
    fn instances_that_go_again_have_no_share() {
        let mut tally = Tally::default();
        let at = Duration::from_secs;
        let made = |address| Some(Instance { address, is_there: true });
        tally.add(stack(1), 1, made(0x10), at(1));
        // The first instance has gone: another is in its place.
        tally.add(stack(2), 1, made(0x10), at(2));
        tally.add(stack(1), 1, made(0x20), at(2));
        tally.add(stack(1), 1, made(0x30), at(9));
        tally.add(stack(1), 1, Some(Instance { address: 0x40, is_there: false }), at(2));
        tally.look_again(at(3), |address| address == 0x10);
        assert_eq!(lines(&tally.into_fed()), [(Some(2), 1, 1.0), (Some(1), 4, 0.0)]);
    }
}
