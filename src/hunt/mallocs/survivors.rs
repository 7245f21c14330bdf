//! The allocated blocks that survive: those that have not been freed and that nothing in Python's heap
//! explains.
//!
//! Whether a block is free shows in the words before, behind and in it (see
//! [`malloc`](crate::heap::rss::malloc)). Blocks are checked many times, because a freed one may soon be
//! returned again.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::hunt::inserts::insert_counts::SeenStack;
use crate::python::{Frame, Stack};

/// The most blocks that are remembered.
const MOST_BLOCKS: usize = 50_000;
/// The most stacks that are told apart.
const MOST_STACKS: usize = 10_000;
/// Fewer blocks that stay prove nothing.
const LEAST: u64 = 3;

/// Blocks, and the stacks that asked for them.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    blocks: FxHashMap<u64, Block>,
    stacks: Vec<(Vec<Frame>, bool)>,
    numbers: FxHashMap<(Vec<Frame>, bool), usize>,
}

/// A call that returned a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// How many bytes it asked for.
    pub bytes: u64,
    /// How many calls it stands for.
    pub stands_for: f64,
    /// When it was made.
    pub at: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    made: Made,
    /// The size of its chunk.
    chunk: u64,
    stack: usize,
}

impl Survivors {
    /// Adds a block that was returned just now, in a chunk of this size; `None` if there is none in use.
    pub fn add(&mut self, address: u64, made: Made, chunk: Option<u64>, stack: Stack) {
        // The block that was there before has gone.
        self.blocks.remove(&address);
        let Some(chunk) = chunk.filter(|_| self.blocks.len() < MOST_BLOCKS) else { return };
        let key = (stack.frames, stack.complete);
        let number = match self.numbers.get(&key) {
            Some(&number) => number,
            None if self.stacks.len() >= MOST_STACKS => return,
            None => {
                self.stacks.push(key.clone());
                self.numbers.insert(key, self.stacks.len() - 1);
                self.stacks.len() - 1
            }
        };
        self.blocks.insert(address, Block { made, chunk, stack: number });
    }

    /// Checks the blocks made before `before` again, and drops those that are free. `chunk` is the size of the chunk
    /// in use at an address.
    pub fn look(&mut self, chunk: impl Fn(u64) -> Option<u64>, before: Duration) {
        self.blocks.retain(|&address, block| {
            block.made.at > before || chunk(address) == Some(block.chunk)
        });
    }

    /// Where they are.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.blocks.keys().copied()
    }

    /// Drops blocks that are free or Python's according to the whole heap: a free chunk that was merged with
    /// its neighbours does not show that itself.
    pub fn keep(&mut self, is_native: impl Fn(u64) -> bool) {
        self.blocks.retain(|&address, _| is_native(address));
    }

    /// The stacks whose blocks were made before `before` and stay, the one with most bytes first; empty if
    /// the blocks are too few to prove anything.
    pub fn feeders(&self, before: Duration) -> Vec<SeenStack> {
        let mut sums: FxHashMap<usize, (u64, f64)> = FxHashMap::default();
        for block in self.blocks.values().filter(|block| block.made.at <= before) {
            let (number, bytes) = sums.entry(block.stack).or_default();
            *number += 1;
            *bytes += block.made.bytes as f64 * block.made.stands_for;
        }
        if sums.values().map(|(number, _)| number).sum::<u64>() < LEAST {
            return Vec::new();
        }
        let all: f64 = sums.values().map(|(_, bytes)| bytes).sum();
        let feeder = |(number, (hits, bytes)): (usize, (u64, f64))| {
            let (stack, complete) = self.stacks.get(number)?.clone();
            let share = bytes / all.max(1.0);
            Some(SeenStack { stack, complete, hits, grown: bytes as u64, kept: Some(hits), share })
        };
        let mut feeders: Vec<_> = sums.into_iter().filter_map(feeder).collect();
        feeders.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| b.hits.cmp(&a.hits)));
        feeders
    }

    /// How many blocks made before `before` stay.
    pub fn count(&self, before: Duration) -> usize {
        self.blocks.values().filter(|block| block.made.at <= before).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn stack(line: u32) -> Stack {
        let frame = Frame::new("f", "a.py", Some(line));
        Stack { frames: vec![frame], complete: true }
    }

    fn made(bytes: u64, stands_for: f64, at: u64) -> Made {
        Made { bytes, stands_for, at: Duration::from_millis(at) }
    }

    #[test]
    fn shares_are_of_the_bytes_that_stay() {
        let mut survivors = Survivors::default();
        for number in 0..4 {
            survivors.add(number, made(30, 1.0, 1), Some(48), stack(1));
            survivors.add(10 + number, made(5, 2.0, 2), Some(32), stack(2));
        }
        survivors.add(20, made(10, 1.0, 9), Some(32), stack(3));
        survivors
            .look(|address| (address != 0).then_some(if address < 4 { 48 } else { 32 }), at(5));
        let told = |survivors: &Survivors| -> Vec<_> {
            let feeders = survivors.feeders(at(5));
            feeders.iter().map(|it| (it.stack[0].line, it.hits, it.grown)).collect()
        };
        assert_eq!(told(&survivors), [(Some(1), 3, 90), (Some(2), 4, 40)]);
        assert!((survivors.feeders(at(5))[0].share - 90.0 / 130.0).abs() < 1e-9);
        // A block returned later at the same address is a different block.
        survivors.add(1, made(30, 1.0, 9), Some(48), stack(3));
        assert_eq!(survivors.count(at(5)), 6);
        survivors.keep(|address| [10, 11].contains(&address));
        assert_eq!(told(&survivors), [], "two are too few to say anything");
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_of_another_size_is_another_block() {
        let mut survivors = Survivors::default();
        survivors.add(1, made(30, 1.0, 0), None, stack(1));
        survivors.add(2, made(30, 1.0, 0), Some(48), stack(1));
        survivors.look(|_| Some(64), at(1));
        assert_eq!(survivors.count(Duration::MAX), 0);
    }
}
