//! The slots of a capture that are objects, and the number of each.
//!
//! There are two bits per slot: whether it is an object, and whether that is a *container*, an object that
//! refers to others. Objects are numbered in the order of their slots, containers before *leaves*. With the
//! number of objects before every 64 slots, a number is found by reading 24 bytes: for ten million objects
//! this takes less memory than a word each, and no search.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::heap::capture::copy::fetch;
use crate::heap::ids::{NodeId, Slot};
use crate::heap::support::huge_vec::{collected, room_for};

/// The number of slots in an entry.
const ENTRY: u32 = u64::BITS;

/// The objects found so far, by several threads at once.
#[derive(Debug)]
pub struct Marks {
    entries: Vec<Mark>,
}

#[derive(Debug, Default)]
struct Mark {
    objects: AtomicU64,
    containers: AtomicU64,
}

impl Marks {
    /// No objects yet, among this many slots.
    pub fn new(slots: usize) -> Marks {
        let entries = slots.div_ceil(ENTRY as usize);
        Marks { entries: collected((0..entries).map(|_| Mark::default())) }
    }

    /// Marks an object, and returns whether it is new.
    #[inline]
    pub fn add(&self, slot: Slot) -> bool {
        let (entry, bit) = self.place(slot);
        entry.is_some_and(|entry| {
            // Most objects have been seen before, and reading is cheaper than writing.
            entry.objects.load(Ordering::Relaxed) & bit == 0
                && entry.objects.fetch_or(bit, Ordering::Relaxed) & bit == 0
        })
    }

    /// Prefetches the marks of a slot.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        if let (Some(entry), _) = self.place(slot) {
            fetch(entry);
        }
    }

    /// Marks an object as a container.
    #[inline]
    pub fn add_container(&self, slot: Slot) {
        if let (Some(entry), bit) = self.place(slot) {
            entry.containers.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether an object is marked.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        let (entry, bit) = self.place(slot);
        entry.is_some_and(|entry| entry.objects.load(Ordering::Relaxed) & bit != 0)
    }

    /// The number of objects between two slots, both multiples of 64.
    pub fn count(&self, slots: Range<Slot>) -> u32 {
        let entries = (slots.start.0 / ENTRY) as usize..(slots.end.0 / ENTRY) as usize;
        let entries = self.entries.get(entries).unwrap_or_default();
        entries.iter().map(|entry| entry.objects.load(Ordering::Relaxed).count_ones()).sum()
    }

    #[inline]
    fn place(&self, slot: Slot) -> (Option<&Mark>, u64) {
        (self.entries.get((slot.0 / ENTRY) as usize), 1 << (slot.0 % ENTRY))
    }

    /// Numbers the objects, from `first` on.
    pub fn number(self, first: NodeId) -> Numbering {
        let mut numbering =
            Numbering { entries: room_for(self.entries.len()), ..Numbering::default() };
        let mut containers = 0;
        for mark in self.entries {
            let objects = mark.objects.into_inner();
            let mark = Entry {
                objects,
                containers: mark.containers.into_inner() & objects,
                ..Entry::default()
            };
            numbering.entries.push(Entry { containers_before: containers, ..mark });
            containers += mark.containers.count_ones();
        }
        numbering.first_container = first;
        numbering.first_leaf = NodeId(first.0 + containers);
        let mut leaves = 0;
        for entry in &mut numbering.entries {
            entry.leaves_before = leaves;
            leaves += entry.leaves().count_ones();
        }
        numbering.end = NodeId(numbering.first_leaf.0 + leaves);
        numbering
    }
}

/// The objects of a capture, numbered.
#[derive(Debug, Default)]
pub struct Numbering {
    entries: Vec<Entry>,
    first_container: NodeId,
    first_leaf: NodeId,
    end: NodeId,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    objects: u64,
    containers: u64,
    containers_before: u32,
    leaves_before: u32,
}

impl Entry {
    #[inline]
    fn leaves(self) -> u64 {
        self.objects & !self.containers
    }
}

impl Numbering {
    /// The number of the object at this slot.
    #[inline]
    pub fn number(&self, slot: Slot) -> Option<NodeId> {
        let entry = self.entries.get((slot.0 / ENTRY) as usize)?;
        let bit = 1 << (slot.0 % ENTRY);
        // A branch here would be unpredictable, so both counts are computed without one.
        let (first, same) = match entry.containers & bit != 0 {
            true => (self.first_container.0 + entry.containers_before, entry.containers),
            false => (self.first_leaf.0 + entry.leaves_before, entry.leaves()),
        };
        let number = NodeId(first + (same & (bit - 1)).count_ones());
        (entry.objects & bit != 0).then_some(number)
    }

    /// The numbers of the blocks that have objects; a block has this many slots, a multiple of 64.
    pub fn blocks(&self, slots: u32) -> impl Iterator<Item = u32> {
        let entries = self.entries.chunks((slots / ENTRY).max(1) as usize);
        let has_objects = |block: &&[Entry]| block.iter().any(|entry| entry.objects != 0);
        (0..).zip(entries).filter(move |(_, block)| has_objects(block)).map(|(number, _)| number)
    }

    /// The numbers of the containers, and of the leaves, in these slots.
    pub fn between(&self, slots: Range<Slot>) -> [Range<NodeId>; 2] {
        let [start, end] = [slots.start, slots.end].map(|slot| self.before(slot));
        [start[0]..end[0], start[1]..end[1]]
    }

    /// The numbers that the next container, and the next leaf, at or after this slot would have.
    fn before(&self, slot: Slot) -> [NodeId; 2] {
        let Some(entry) = self.entries.get((slot.0 / ENTRY) as usize) else {
            return [self.first_leaf, self.end];
        };
        let below = (1 << (slot.0 % ENTRY)) - 1;
        let count = |bits: u64| (bits & below).count_ones();
        [
            self.first_container.0 + entry.containers_before + count(entry.containers),
            self.first_leaf.0 + entry.leaves_before + count(entry.leaves()),
        ]
        .map(NodeId)
    }

    /// The slot of the object with this number.
    pub fn slot(&self, number: NodeId) -> Option<Slot> {
        let (column, first) = match number < self.first_leaf {
            true => (CONTAINERS, self.first_container),
            false => (LEAVES, self.first_leaf),
        };
        let rank = number.0.checked_sub(first.0)?;
        let index = self.entry_of(column, rank)?;
        let entry = self.entries.get(index)?;
        let mut bits = Bits((column.bits)(entry));
        let bit = bits.nth((rank - (column.before)(entry)) as usize)?;
        Some(Slot(index as u32 * ENTRY + bit))
    }

    /// The number of the first container.
    pub fn first_container(&self) -> NodeId {
        self.first_container
    }

    /// The number of the first leaf, one past the last container.
    pub fn first_leaf(&self) -> NodeId {
        self.first_leaf
    }

    /// One past the number of the last leaf.
    pub fn end(&self) -> NodeId {
        self.end
    }

    /// The last entry that begins at or before this rank.
    fn entry_of(&self, column: Column, rank: u32) -> Option<usize> {
        self.entries.partition_point(|entry| (column.before)(entry) <= rank).checked_sub(1)
    }
}

/// Containers or leaves: their number before an entry, and their bits in it.
#[derive(Clone, Copy)]
struct Column {
    before: fn(&Entry) -> u32,
    bits: fn(&Entry) -> u64,
}

const CONTAINERS: Column =
    Column { before: |entry| entry.containers_before, bits: |entry| entry.containers };
const LEAVES: Column = Column { before: |entry| entry.leaves_before, bits: |entry| entry.leaves() };

/// The positions of the set bits of a word, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < ENTRY).then_some(bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_slots_lead_to_each_other(
            objects in prop::collection::btree_map((0..2000_u32).prop_map(Slot), any::<bool>(), 0..300),
            first in (0..5_u32).prop_map(NodeId),
        ) {
            let marks = Marks::new(2000);
            for (&slot, &container) in &objects {
                prop_assert!(marks.add(slot));
                prop_assert!(!marks.add(slot) && marks.contains(slot));
                if container {
                    marks.add_container(slot);
                }
            }
            let in_first_half = objects.range(..Slot(1024)).count() as u32;
            prop_assert_eq!(marks.count(Slot(0)..Slot(1024)), in_first_half);
            prop_assert_eq!(marks.count(Slot(1024)..Slot(2048)), objects.len() as u32 - in_first_half);
            let numbering = marks.number(first);
            let of = |kind| objects.iter().filter(move |entry| *entry.1 == kind).map(|entry| *entry.0);
            let all: Vec<Slot> = of(true).chain(of(false)).collect();
            prop_assert_eq!(numbering.end().0 - first.0, all.len() as u32);
            for (number, &slot) in first.up_to(numbering.end()).zip(&all) {
                prop_assert_eq!(numbering.number(slot), Some(number));
                prop_assert_eq!(numbering.slot(number), Some(slot));
            }
            prop_assert_eq!(numbering.slot(numbering.end()), None);
            let mut slots = (0..2000).map(Slot);
            prop_assert!(slots.all(|slot| objects.contains_key(&slot) || numbering.number(slot).is_none()));
            let (first_half, half) = (..Slot(1000), Slot(1000));
            let count = |kind| of(kind).filter(|slot| first_half.contains(slot)).count() as u32;
            let containers = first..NodeId(first.0 + count(true));
            let leaves = numbering.first_leaf()..NodeId(numbering.first_leaf().0 + count(false));
            prop_assert_eq!(numbering.between(Slot(0)..half), [containers.clone(), leaves.clone()]);
            let others = [containers.end..numbering.first_leaf(), leaves.end..numbering.end()];
            prop_assert_eq!(numbering.between(half..Slot(u32::MAX)), others);
        }
    }
}
