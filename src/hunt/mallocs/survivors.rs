//! The allocated blocks that survive: those that have not been freed and that nothing in Python's heap
//! explains.
//!
//! Whether a block is free shows in the words before, behind and in it (see
//! [`malloc`](crate::heap::rss::malloc)). Blocks are checked many times, because a freed one may soon be
//! returned again.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::heap::rss::malloc::size_in_use;
use crate::hunt::inserts::insert_counts::SeenStack;
use crate::memory::Memory;
use crate::process::glibc::can_be_given;
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

#[derive(Debug, Clone, Copy)]
struct Block {
    bytes: u64,
    /// The size of its chunk.
    chunk: u64,
    stack: usize,
    made: Duration,
}

impl Survivors {
    /// Adds a block that was returned just now, at this time.
    pub fn add(
        &mut self,
        memory: &impl Memory,
        address: u64,
        bytes: u64,
        stack: Stack,
        made: Duration,
    ) {
        // The block that was there before has gone.
        self.blocks.remove(&address);
        let Some(chunk) = size_in_use(memory, address) else { return };
        if !can_be_given(bytes, chunk) || self.blocks.len() >= MOST_BLOCKS {
            return;
        }
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
        self.blocks.insert(address, Block { bytes, chunk, stack: number, made });
    }

    /// Checks the blocks made before `before` again, and drops those that are free.
    pub fn look(&mut self, memory: &impl Memory, before: Duration) {
        self.blocks.retain(|&address, block| {
            block.made > before || size_in_use(memory, address) == Some(block.chunk)
        });
    }

    /// Drops blocks that are free or Python's according to the whole heap: a free chunk that was merged with
    /// its neighbours does not show that itself.
    pub fn keep(&mut self, is_native: impl Fn(u64) -> bool) {
        self.blocks.retain(|&address, _| is_native(address));
    }

    /// The stacks whose blocks were made before `before` and stay, the one with most bytes first; empty if
    /// the blocks are too few to prove anything.
    pub fn feeders(&self, before: Duration) -> Vec<SeenStack> {
        let mut sums: FxHashMap<usize, (u64, u64)> = FxHashMap::default();
        for block in self.blocks.values().filter(|block| block.made <= before) {
            let (number, bytes) = sums.entry(block.stack).or_default();
            *number += 1;
            *bytes += block.bytes;
        }
        if sums.values().map(|(number, _)| number).sum::<u64>() < LEAST {
            return Vec::new();
        }
        let all: u64 = sums.values().map(|(_, bytes)| bytes).sum();
        let feeder = |(number, (hits, grown)): (usize, (u64, u64))| {
            let (stack, complete) = self.stacks.get(number)?.clone();
            let share = grown as f64 / all.max(1) as f64;
            Some(SeenStack { stack, complete, hits, grown, kept: Some(hits), share })
        };
        let mut feeders: Vec<_> = sums.into_iter().filter_map(feeder).collect();
        feeders.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| b.hits.cmp(&a.hits)));
        feeders
    }

    /// How many blocks made before `before` stay.
    pub fn count(&self, before: Duration) -> usize {
        self.blocks.values().filter(|block| block.made <= before).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ReadError;

    /// Chunks of 64 bytes, one behind the other, in use or free.
    struct Chunks {
        free: Vec<u64>,
    }

    impl Memory for Chunks {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let is_size = address % 64 == 8;
            let Some(before) = (address - address % 64).checked_sub(64 - 16) else {
                return Err(ReadError::Unmapped { address, length: buffer.len() });
            };
            let is_before_in_use = !self.free.contains(&before);
            let word = if is_size { 64 | u64::from(is_before_in_use) } else { 0 };
            buffer.copy_from_slice(&word.to_le_bytes());
            Ok(())
        }
    }

    fn stack(line: u32) -> Stack {
        let frame = Frame::new("f", "a.py", Some(line));
        Stack { frames: vec![frame], complete: true }
    }

    fn block(number: u64) -> u64 {
        0x10000 + 64 * number + 16
    }

    #[test]
    fn shares_are_of_the_bytes_that_stay() {
        let mut memory = Chunks { free: vec![] };
        let mut survivors = Survivors::default();
        let at = Duration::from_millis;
        for number in 0..4 {
            survivors.add(&memory, block(number), 30, stack(1), at(1));
            survivors.add(&memory, block(10 + number), 10, stack(2), at(2));
        }
        survivors.add(&memory, block(20), 10, stack(3), at(9));
        memory.free.push(block(0));
        survivors.look(&memory, at(5));
        let told = |survivors: &Survivors| -> Vec<_> {
            let feeders = survivors.feeders(at(5));
            feeders.iter().map(|it| (it.stack[0].line, it.hits, it.grown)).collect()
        };
        assert_eq!(told(&survivors), [(Some(1), 3, 90), (Some(2), 4, 40)]);
        assert!((survivors.feeders(at(5))[0].share - 90.0 / 130.0).abs() < 1e-9);
        // A block returned later at the same address is a different block.
        survivors.add(&memory, block(1), 30, stack(3), at(9));
        assert_eq!(survivors.count(at(5)), 6);
        survivors.keep(|address| [block(10), block(11)].contains(&address));
        assert_eq!(told(&survivors), [], "two are too few to say anything");
    }

    #[test]
    fn what_is_of_another_size_is_another_block() {
        let memory = Chunks { free: vec![block(1)] };
        let mut survivors = Survivors::default();
        survivors.add(&memory, block(1), 30, stack(1), Duration::ZERO);
        survivors.add(&memory, block(2), 100, stack(1), Duration::ZERO);
        assert_eq!(survivors.count(Duration::MAX), 0);
    }
}
