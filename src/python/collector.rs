//! The garbage collector's state: whether it is on, how often it ran, and what it collected.
//!
//! Up to 3.14 it keeps three sums per generation. 3.15 keeps a record of each of the last collections, with
//! its start and end on the monotonic clock (`struct gc_stats`: a ring of eleven for the young generation,
//! two rings of three for the old ones, each with the index of the last record).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gc::Generation;
use super::layout::GcStatistics;
use super::objects::{EdgeNames, Reader};
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};

/// The collector's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collector {
    /// `gc.isenabled()`.
    pub enabled: bool,
    /// `gc.get_debug()`.
    pub debug: u32,
    /// `gc.get_threshold()`.
    pub thresholds: [i32; 3],
    /// `gc.get_count()`.
    pub counts: [i32; 3],
    /// The results of the collections of each generation.
    pub collections: [Collections; 3],
    /// How many objects are frozen: `gc.get_freeze_count()`.
    pub frozen: u64,
    /// The addresses of the objects in `gc.garbage`.
    pub garbage: Vec<u64>,
}

/// The combined results of all collections of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Collections {
    /// How many there were.
    pub count: u64,
    /// Objects that they freed.
    pub collected: u64,
    /// Objects that they found unreachable but could not free.
    pub uncollectable: u64,
    /// The last one, where the interpreter keeps it (from 3.15 on).
    pub last: Option<LastCollection>,
}

/// A collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCollection {
    /// When it ended, on the monotonic clock of the process.
    pub ended: Duration,
    /// How long it took.
    pub took: Duration,
}

/// `gc.DEBUG_SAVEALL`.
const SAVE_ALL: u32 = 1 << 5;
/// CPython's defaults (`gc.get_threshold()`): the young generation is collected every 700 allocations (up to
/// 3.12) or 2,000 (from 3.13 on; Modules/gcmodule.c, Python/gc.c), each older one after ten collections of
/// the generation before it.
pub const USUAL_THRESHOLDS: [i32; 3] = [700, 10, 10];

impl Collector {
    /// Whether everything that it finds goes to `gc.garbage` (`gc.DEBUG_SAVEALL`).
    pub fn saves_all(&self) -> bool {
        self.debug & SAVE_ALL != 0
    }
}

/// `struct gc_generation`: a list head of two words, then two `int`s.
const GENERATION_SIZE: usize = 24;
const THRESHOLD: usize = 16;
const COUNT: usize = 20;
/// `struct gc_generation_stats` up to 3.14: three words.
const SUMS_SIZE: usize = 24;
/// The most objects that are read from `gc.garbage`.
const MOST_GARBAGE: usize = 100_000;

/// `struct gc_generation_stats` of 3.15, and where rings of them begin.
mod ring {
    pub const ITEM: usize = 64;
    pub const STARTED: usize = 0;
    pub const ENDED: usize = 8;
    pub const SUMS: usize = 16;
    /// The offset of each ring, and its number of items; the index of the last item follows as a byte.
    pub const RINGS: [(usize, usize); 3] = [(0, 11), (712, 3), (912, 3)];
}

impl Python {
    /// The states of the collectors of all interpreters, or of the only collector where the process has one.
    pub fn collectors<M: Memory>(
        &self,
        reader: Reader<'_, M>,
    ) -> Result<Vec<Collector>, ReadError> {
        let memory = reader.memory();
        let lists = self.gc_lists(memory)?;
        let mut permanent = lists.iter().filter(|list| list.generation == Generation::Permanent);
        let states = self.gc_states(memory)?;
        let read = |state| {
            // A list that does not close is reported elsewhere.
            let frozen = permanent.next().and_then(|list| list.for_each(memory, |_| {}).ok());
            self.collector(reader, state, frozen.unwrap_or_default())
        };
        states.into_iter().map(read).collect()
    }

    /// The number of collections of each generation, the youngest first, in all interpreters together:
    /// `collections` of `gc.get_stats()`.
    pub fn collections<M: Memory>(&self, memory: &M) -> Result<[u64; 3], ReadError> {
        let mut sums = [0_u64; 3];
        for state in self.gc_states(memory)? {
            let counts = self.counts(memory, state)?;
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
        }
        Ok(sums)
    }

    /// The counts of one collector, in one read where they are contiguous: this is called many times a
    /// second.
    fn counts<M: Memory>(&self, memory: &M, state: u64) -> Result<[u64; 3], ReadError> {
        match self.layout.gc.statistics {
            GcStatistics::Sums(offset) => {
                let bytes: [u8; 3 * SUMS_SIZE] = memory.array(at(state, offset))?;
                Ok([0, 1, 2]
                    .map(|generation| u64_at(&bytes, generation * SUMS_SIZE).unwrap_or_default()))
            }
            GcStatistics::Rings(_) => {
                let count = |generation| Ok(self.statistics(memory, state, generation)?.count);
                Ok([count(0)?, count(1)?, count(2)?])
            }
        }
    }

    fn collector<M: Memory>(
        &self,
        reader: Reader<'_, M>,
        state: u64,
        frozen: u64,
    ) -> Result<Collector, ReadError> {
        let memory = reader.memory();
        let layout = &self.layout.gc;
        let field = |generation: usize, field: usize| {
            memory.i32(at(state, layout.generations + generation * GENERATION_SIZE + field))
        };
        let mut edges = Vec::new();
        let list = memory.u64(at(state, layout.garbage))?;
        if list != 0 {
            reader.roles(list, &mut edges);
            edges.truncate(MOST_GARBAGE);
        }
        let statistics = |generation| self.statistics(memory, state, generation);
        Ok(Collector {
            enabled: memory.i32(at(state, layout.enabled))? != 0,
            debug: memory.u32(at(state, layout.debug))?,
            thresholds: [field(0, THRESHOLD)?, field(1, THRESHOLD)?, field(2, THRESHOLD)?],
            counts: [field(0, COUNT)?, field(1, COUNT)?, field(2, COUNT)?],
            collections: [statistics(0)?, statistics(1)?, statistics(2)?],
            frozen,
            garbage: edges.into_iter().map(|(object, _)| object).collect(),
        })
    }

    fn statistics<M: Memory>(
        &self,
        memory: &M,
        state: u64,
        generation: usize,
    ) -> Result<Collections, ReadError> {
        match self.layout.gc.statistics {
            GcStatistics::Sums(offset) => {
                let bytes: [u8; SUMS_SIZE] =
                    memory.array(at(state, offset + generation * SUMS_SIZE))?;
                Ok(sums(&bytes))
            }
            GcStatistics::Rings(pointer) => {
                let Some(&(start, items)) = ring::RINGS.get(generation) else {
                    return Ok(Collections::default());
                };
                let rings = memory.u64(at(state, pointer))?;
                let address = at(rings, start);
                let index = memory.u8(at(address, items * ring::ITEM))? as usize;
                let place = at(address, index.min(items - 1) * ring::ITEM);
                let item: [u8; ring::ITEM] = memory.array(place)?;
                let time = |offset| Duration::from_nanos(u64_at(&item, offset).unwrap_or_default());
                let (started, ended) = (time(ring::STARTED), time(ring::ENDED));
                let sums = sums(item.get(ring::SUMS..).unwrap_or_default());
                let last = LastCollection { ended, took: ended.saturating_sub(started) };
                Ok(Collections { last: (sums.count > 0).then_some(last), ..sums })
            }
        }
    }
}

/// Three words: the number of collections, of collected objects and of uncollectable ones.
fn sums(bytes: &[u8]) -> Collections {
    let word = |offset| u64_at(bytes, offset).unwrap_or_default();
    Collections { count: word(0), collected: word(8), uncollectable: word(16), last: None }
}
