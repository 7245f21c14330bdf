//! Which slots of a capture are objects, and the number of each.
//!
//! Two bits per slot: it is an object; it is a *container*, an object that refers to others. Objects
//! are numbered in the order of their slots, containers before *leaves*. With the number of objects
//! before every 64 slots, a number is found in one look at 24 bytes: for ten million objects that takes
//! less room than a word for each, and no search.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of one entry.
const ENTRY: u32 = u64::BITS;

/// What is being found out, by several threads at a time.
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
    /// No object yet, among so many slots.
    pub fn new(slots: usize) -> Marks {
        let entries = slots.div_ceil(ENTRY as usize);
        Marks { entries: (0..entries).map(|_| Mark::default()).collect() }
    }

    /// Says that there is an object, and gives whether that is new.
    #[inline]
    pub fn add(&self, slot: u32) -> bool {
        let (entry, bit) = self.place(slot);
        entry.is_some_and(|entry| {
            // Most have been seen before, and looking is cheaper than writing.
            entry.objects.load(Ordering::Relaxed) & bit == 0
                && entry.objects.fetch_or(bit, Ordering::Relaxed) & bit == 0
        })
    }

    /// Says that an object is a container.
    #[inline]
    pub fn add_container(&self, slot: u32) {
        if let (Some(entry), bit) = self.place(slot) {
            entry.containers.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Takes back that there is an object.
    pub fn remove(&self, slot: u32) {
        if let (Some(entry), bit) = self.place(slot) {
            entry.objects.fetch_and(!bit, Ordering::Relaxed);
            entry.containers.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Whether there is an object.
    #[inline]
    pub fn contains(&self, slot: u32) -> bool {
        let (entry, bit) = self.place(slot);
        entry.is_some_and(|entry| entry.objects.load(Ordering::Relaxed) & bit != 0)
    }

    #[inline]
    fn place(&self, slot: u32) -> (Option<&Mark>, u64) {
        (self.entries.get((slot / ENTRY) as usize), 1 << (slot % ENTRY))
    }

    /// Numbers the objects, from `first` on.
    pub fn number(self, first: u32) -> Census {
        let mut census =
            Census { entries: Vec::with_capacity(self.entries.len()), ..Census::default() };
        let mut containers = 0;
        for mark in self.entries {
            let objects = mark.objects.into_inner();
            let mark = Entry {
                objects,
                containers: mark.containers.into_inner() & objects,
                ..Entry::default()
            };
            census.entries.push(Entry { containers_before: containers, ..mark });
            containers += mark.containers.count_ones();
        }
        census.first_container = first;
        census.first_leaf = first + containers;
        let mut leaves = 0;
        for entry in &mut census.entries {
            entry.leaves_before = leaves;
            leaves += entry.leaves().count_ones();
        }
        census.end = census.first_leaf + leaves;
        census
    }
}

/// The objects of a capture, numbered.
#[derive(Debug, Default)]
pub struct Census {
    entries: Vec<Entry>,
    first_container: u32,
    first_leaf: u32,
    end: u32,
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

impl Census {
    /// The number of the object at this slot.
    #[inline]
    pub fn number(&self, slot: u32) -> Option<u32> {
        let entry = self.entries.get((slot / ENTRY) as usize)?;
        let bit = 1 << (slot % ENTRY);
        let below = bit - 1;
        if entry.containers & bit != 0 {
            let before = entry.containers_before + (entry.containers & below).count_ones();
            Some(self.first_container + before)
        } else if entry.objects & bit != 0 {
            let before = entry.leaves_before + (entry.leaves() & below).count_ones();
            Some(self.first_leaf + before)
        } else {
            None
        }
    }

    /// The slot of the object with this number.
    pub fn slot(&self, number: u32) -> Option<u32> {
        let (column, first) = match number < self.first_leaf {
            true => (CONTAINERS, self.first_container),
            false => (LEAVES, self.first_leaf),
        };
        let rank = number.checked_sub(first)?;
        let index = self.entry_of(column, rank)?;
        let entry = self.entries.get(index)?;
        let mut bits = Bits((column.bits)(entry));
        let bit = bits.nth((rank - (column.before)(entry)) as usize)?;
        Some(index as u32 * ENTRY + bit)
    }

    /// The number of the first container.
    pub fn first_container(&self) -> u32 {
        self.first_container
    }

    /// The number of the first leaf, one past the last container.
    pub fn first_leaf(&self) -> u32 {
        self.first_leaf
    }

    /// One past the number of the last leaf.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The slots of the containers with numbers from `first` on, in order.
    pub fn containers_from(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        self.slots_from(CONTAINERS, first.saturating_sub(self.first_container))
    }

    /// The slots of the leaves with numbers from `first` on, in order.
    pub fn leaves_from(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        self.slots_from(LEAVES, first.saturating_sub(self.first_leaf))
    }

    fn slots_from(&self, column: Column, rank: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.entry_of(column, rank).unwrap_or_default();
        let skipped = self.entries.get(first).map_or(0, |entry| rank - (column.before)(entry));
        let entries = (0_u32..).zip(&self.entries).skip(first);
        let slots = entries.flat_map(move |(index, entry)| {
            Bits((column.bits)(entry)).map(move |bit| index * ENTRY + bit)
        });
        slots.skip(skipped as usize)
    }

    /// The last entry that does not begin behind this rank.
    fn entry_of(&self, column: Column, rank: u32) -> Option<usize> {
        self.entries.partition_point(|entry| (column.before)(entry) <= rank).checked_sub(1)
    }
}

/// Containers or leaves: how many there are before an entry, and those in it.
#[derive(Clone, Copy)]
struct Column {
    before: fn(&Entry) -> u32,
    bits: fn(&Entry) -> u64,
}

const CONTAINERS: Column =
    Column { before: |entry| entry.containers_before, bits: |entry| entry.containers };
const LEAVES: Column = Column { before: |entry| entry.leaves_before, bits: |entry| entry.leaves() };

/// The places of the bits of a word, the lowest first.
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
            objects in prop::collection::btree_map(0..2000_u32, any::<bool>(), 0..300),
            first in 0..5_u32,
        ) {
            let marks = Marks::new(2000);
            for (&slot, &container) in &objects {
                prop_assert!(marks.add(slot));
                prop_assert!(!marks.add(slot) && marks.contains(slot));
                if container {
                    marks.add_container(slot);
                }
            }
            let census = marks.number(first);
            let of = |kind| objects.iter().filter(move |entry| *entry.1 == kind).map(|entry| *entry.0);
            let all: Vec<u32> = of(true).chain(of(false)).collect();
            prop_assert_eq!(census.end() - first, all.len() as u32);
            for (number, &slot) in (first..).zip(&all) {
                prop_assert_eq!(census.number(slot), Some(number));
                prop_assert_eq!(census.slot(number), Some(slot));
            }
            prop_assert_eq!(census.slot(census.end()), None);
            prop_assert!((0..2000).all(|slot| objects.contains_key(&slot) || census.number(slot).is_none()));
            for (number, &slot) in (first..census.first_leaf()).zip(&all) {
                prop_assert_eq!(census.containers_from(number).next(), Some(slot));
            }
            prop_assert!(census.containers_from(first).eq(of(true)));
            prop_assert!(census.leaves_from(census.first_leaf()).eq(of(false)));
        }
    }
}
