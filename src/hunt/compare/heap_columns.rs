//! The part of a heap that is kept for comparison with later ones: its objects, and how much each holds. A
//! few bytes per object, so several heaps fit side by side.

use std::mem;
use std::time::Duration;

use super::identity::{self, Earlier, NONE, Traits};
use super::interpreter::Interpreter;
use crate::heap::figures::Uncollectable;
use crate::heap::{Amount, Analysis, Flow, NodeId, RootKind};
use crate::python::objects::TypeInfo;

/// Types whose objects refer to nothing, except perhaps their type, and change their size. Any other object
/// without references keeps the size it was created with.
const RESIZABLE: [&str; 4] = ["bytearray", "array.array", "_io.BytesIO", "_io.StringIO"];

/// A heap as it was at one moment.
#[derive(Debug)]
pub struct HeapColumns {
    /// The time since the hunt began.
    pub at: Duration,
    /// The totals.
    pub totals: Totals,
    /// The addresses of the types, by their numbers in the columns.
    kinds: Vec<u64>,
    containers: Column,
    leaves: Column,
    /// The references and retained size of each container.
    held: Vec<Held>,
    /// Objects that refer to nothing but may grow.
    resizable: Vec<Resizable>,
    /// Which of the snapshots it is.
    number: u8,
    /// Since which snapshot each object has existed, containers first.
    births: Vec<u8>,
    /// What tells its objects from those of the next snapshot, until that is made.
    traits: Traits,
}

/// Sums over a heap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All objects, and their bytes.
    pub heap: Amount,
    /// Objects that only native code holds.
    pub native: Amount,
    /// Garbage: objects that nothing holds.
    pub garbage: Amount,
    /// What of that no collection can free.
    pub uncollectable: Amount,
    /// Threads that run Python.
    pub threads: u32,
    /// The resident set, in bytes.
    pub rss: u64,
    /// How long the target was paused for this capture.
    pub paused: Duration,
}

/// How much a container holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Its references.
    pub references: u32,
    /// The objects that it retains.
    pub objects: u32,
    /// The bytes that it retains.
    pub bytes: u64,
}

/// An object without references that may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resizable {
    /// Its address.
    pub address: u64,
    /// The address of its type.
    pub kind: u64,
    /// The bytes that it retains.
    pub bytes: u64,
}

/// What an object without references holds: itself. Its size is not kept.
const NOTHING_HELD: Held = Held { references: 0, objects: 1, bytes: 0 };

/// An object.
struct Known {
    address: u64,
    /// The number of its type.
    kind: u32,
    /// Its place among all, containers first.
    index: u32,
    held: Held,
}

/// Objects in the order of their addresses.
#[derive(Debug, Default)]
struct Column {
    addresses: Vec<u64>,
    kinds: Vec<u32>,
}

impl HeapColumns {
    /// Keeps the columns of a heap that was captured at this time after the hunt began, and after `before`.
    pub fn of<'i>(
        heap: &Analysis<'_>,
        interpreter: impl Into<Interpreter<'i>>,
        at: Duration,
        before: Option<&mut HeapColumns>,
    ) -> HeapColumns {
        let interpreter = interpreter.into();
        let graph = &heap.graph;
        let kinds: Vec<u64> = graph.types().iter().map(|info| info.address).collect();
        let first = graph.first_object();
        let leaves = Column::of(heap, graph.first_leaf().up_to(graph.end()));
        let is_resizable: Vec<bool> = graph.types().iter().map(is_resizable).collect();
        let containers = Column::of(heap, first.up_to(graph.first_leaf()));
        // From 3.10 on an array refers to its type, and is a container.
        let numbered = graph.objects().zip(containers.iter().chain(leaves.iter()));
        let resizable = numbered.filter_map(|(node, (address, kind))| {
            let kind = kind as usize;
            let grows = is_resizable.get(kind).copied().unwrap_or_default();
            let kind = grows.then(|| kinds.get(kind).copied()).flatten()?;
            // From 3.15 on the bytes of a bytearray are a separate object.
            Some(Resizable { address, kind, bytes: heap.amount(node).bytes })
        });
        let mut resizable: Vec<Resizable> = resizable.collect();
        resizable.sort_unstable_by_key(|it| it.address);
        let held = first.up_to(graph.first_leaf()).map(|node| {
            let Amount { bytes, objects } = heap.amount(node);
            Held { references: graph.successors(node).len() as u32, objects, bytes }
        });
        let mut snapshot = HeapColumns {
            at,
            totals: Totals::of(heap),
            held: held.collect(),
            resizable,
            containers,
            leaves,
            kinds,
            number: 0,
            births: Vec::new(),
            traits: Traits::default(),
        };
        let count = graph.objects().len();
        let (births, traits) = match before {
            None => {
                let none = Earlier { number: 0, births: &[], traits: &Traits::default() };
                identity::births(heap, interpreter, &none, 0, &vec![NONE; count])
            }
            Some(before) => {
                snapshot.number = before.number.saturating_add(1);
                let matches = snapshot.matches(before);
                let traits = mem::take(&mut before.traits);
                let earlier =
                    Earlier { number: before.number, births: &before.births, traits: &traits };
                identity::births(heap, interpreter, &earlier, snapshot.number, &matches)
            }
        };
        snapshot.births = births;
        snapshot.traits = traits;
        snapshot
    }

    /// Forgets one of the snapshots of a hunt: what was new in it is new in the next one.
    pub fn forget(snapshots: &mut Vec<HeapColumns>, forgotten: usize) {
        if forgotten >= snapshots.len() {
            return;
        }
        snapshots.remove(forgotten);
        for snapshot in snapshots.iter_mut().skip(forgotten) {
            snapshot.number = snapshot.number.saturating_sub(1);
            let later = snapshot.births.iter_mut().filter(|birth| usize::from(**birth) > forgotten);
            later.for_each(|birth| *birth -= 1);
        }
    }

    /// How much the object at this address holds, if there is one of this type.
    pub fn held(&self, address: u64, kind: u64) -> Option<Held> {
        if let Some(index) = self.containers.find(address) {
            let same = self.kind_at(&self.containers, index) == Some(kind);
            return same.then(|| self.held.get(index).copied()).flatten();
        }
        let index = self.leaves.find(address)?;
        (self.kind_at(&self.leaves, index) == Some(kind)).then_some(NOTHING_HELD)
    }

    /// The containers that have more references than in an earlier snapshot: their positions, and how many
    /// more references.
    pub fn grown_since<'a>(
        &'a self,
        before: &'a HeapColumns,
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut rest = before.objects().peekable();
        (0..).zip(self.containers.iter().zip(&self.held)).filter_map(move |(index, now)| {
            let ((address, _), held) = now;
            while rest.next_if(|other| other.address < address).is_some() {}
            let other = rest.peek().filter(|other| other.address == address)?;
            let was_there = self.births.get(index).is_some_and(|&birth| birth <= before.number);
            let more = held.references.saturating_sub(other.held.references);
            (was_there && more > 0).then_some((index, more))
        })
    }

    /// All objects in the order of their addresses.
    fn objects(&self) -> impl Iterator<Item = Known> + '_ {
        let mut containers = (0..).zip(self.containers.iter().zip(&self.held)).peekable();
        let first_leaf = self.containers.addresses.len() as u32;
        let mut leaves = (first_leaf..).zip(self.leaves.iter()).peekable();
        std::iter::from_fn(move || {
            let is_leaf = match (containers.peek(), leaves.peek()) {
                (Some((_, ((container, _), _))), Some((_, (leaf, _)))) => leaf < container,
                (container, _) => container.is_none(),
            };
            if is_leaf {
                let (index, (address, kind)) = leaves.next()?;
                return Some(Known { address, kind, index, held: NOTHING_HELD });
            }
            let (index, ((address, kind), held)) = containers.next()?;
            Some(Known { address, kind, index, held: *held })
        })
    }

    /// The number of objects of a type, by the address of the type.
    pub fn count_of(&self, kind: u64) -> usize {
        let Some(number) = self.kinds.iter().position(|&it| it == kind) else { return 0 };
        let kinds = self.containers.kinds.iter().chain(&self.leaves.kinds);
        kinds.filter(|&&it| it as usize == number).count()
    }

    /// The objects that may grow without new references.
    pub fn resizable(&self) -> &[Resizable] {
        &self.resizable
    }

    /// The resizable object at this address, if it has this type.
    pub fn resizable_at(&self, address: u64, kind: u64) -> Option<Resizable> {
        let index = self.resizable.binary_search_by_key(&address, |it| it.address).ok()?;
        self.resizable.get(index).copied().filter(|it| it.kind == kind)
    }

    /// The number of the snapshot since which each object has existed, containers first; the own number for new
    /// objects.
    pub fn births(&self) -> &[u8] {
        &self.births
    }

    /// The number of this snapshot.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// For each object, the object of an earlier snapshot that had its address and its type: the index there,
    /// containers first, or [`NONE`].
    fn matches(&self, before: &HeapColumns) -> Vec<u32> {
        let mut matches = self.matches_in(&self.containers, before);
        matches.extend(self.matches_in(&self.leaves, before));
        matches
    }

    fn matches_in(&self, own: &Column, before: &HeapColumns) -> Vec<u32> {
        // An empty container may have become a full one since, and vice versa.
        let mut rest = before.objects().peekable();
        let find = |(address, kind): (u64, u32)| {
            while rest.next_if(|other| other.address < address).is_some() {}
            let other = rest.peek().filter(|other| other.address == address);
            let kind = self.kinds.get(kind as usize);
            let same = other.filter(|_| kind.is_some());
            same.filter(|it| before.kinds.get(it.kind as usize) == kind).map_or(NONE, |it| it.index)
        };
        own.iter().map(find).collect()
    }

    fn kind_at(&self, column: &Column, index: usize) -> Option<u64> {
        self.kinds.get(*column.kinds.get(index)? as usize).copied()
    }
}

impl Column {
    fn of(heap: &Analysis<'_>, nodes: impl ExactSizeIterator<Item = NodeId>) -> Column {
        let graph = &heap.graph;
        let mut column = Column::default();
        column.addresses.reserve_exact(nodes.len());
        column.kinds.reserve_exact(nodes.len());
        for node in nodes {
            // Every object has an address; the order of nodes is that of addresses.
            column.addresses.push(graph.address(node).unwrap_or_default());
            column.kinds.push(graph.type_id(node).map_or(u32::MAX, |kind| kind.0));
        }
        column
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.addresses.iter().copied().zip(self.kinds.iter().copied())
    }

    fn find(&self, address: u64) -> Option<usize> {
        self.addresses.binary_search(&address).ok()
    }
}

impl Totals {
    fn of(heap: &Analysis<'_>) -> Totals {
        let facts = heap.facts;
        let mut totals = Totals {
            heap: heap.total(),
            rss: facts.rss,
            paused: facts.paused,
            uncollectable: Uncollectable::of(heap).amount(heap),
            ..Totals::default()
        };
        for (node, root) in heap.graph.root_nodes() {
            match root.kind {
                RootKind::Native => totals.native = heap.amount(node),
                RootKind::Garbage => totals.garbage = heap.amount(node),
                RootKind::Thread { .. } => totals.threads += 1,
                _ => {}
            }
        }
        totals
    }
}

pub(super) fn is_resizable(info: &TypeInfo) -> bool {
    RESIZABLE.contains(&&*info.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: u64 = 0x100;
    const TEXT: u64 = 0x200;

    /// A heap of lists, each with this many references, and of texts.
    fn snapshot(lists: &[(u64, u32)], texts: &[u64]) -> HeapColumns {
        let is_leaf = |references: u32| references == 0;
        let of = |wanted: bool| lists.iter().filter(move |list| is_leaf(list.1) == wanted);
        let mut leaves: Vec<(u64, u32)> = of(true).map(|list| (list.0, 0)).collect();
        leaves.extend(texts.iter().map(|&text| (text, 1)));
        leaves.sort_unstable();
        let held = |&(_, references): &(u64, u32)| Held { references, objects: 1, bytes: 56 };
        HeapColumns {
            at: Duration::ZERO,
            totals: Totals::default(),
            kinds: vec![LIST, TEXT],
            containers: Column {
                addresses: of(false).map(|list| list.0).collect(),
                kinds: of(false).map(|_| 0).collect(),
            },
            leaves: Column {
                addresses: leaves.iter().map(|leaf| leaf.0).collect(),
                kinds: leaves.iter().map(|leaf| leaf.1).collect(),
            },
            held: of(false).map(held).collect(),
            resizable: Vec::new(),
            number: 0,
            births: vec![0; lists.len() + texts.len()],
            traits: Traits::default(),
        }
    }

    #[test]
    fn what_was_new_in_a_forgotten_snapshot_is_new_in_the_next() {
        let mut snapshots: Vec<HeapColumns> = (0..4)
            .map(|number| HeapColumns {
                number,
                births: (0..=number).collect(),
                ..snapshot(&[], &[0x40])
            })
            .collect();
        HeapColumns::forget(&mut snapshots, 1);
        let numbers: Vec<u8> = snapshots.iter().map(HeapColumns::number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let births: Vec<&[u8]> = snapshots.iter().map(HeapColumns::births).collect();
        assert_eq!(births, [&[0][..], &[0, 1, 1], &[0, 1, 1, 2]]);
    }

    #[test]
    fn who_was_empty_was_there_all_the_same() {
        let snapshots = [
            snapshot(&[(0x10, 0), (0x30, 2), (0x50, 1)], &[0x40]),
            snapshot(&[(0x10, 3), (0x30, 0), (0x60, 0)], &[0x40, 0x50]),
            snapshot(&[(0x10, 5), (0x30, 4), (0x60, 1)], &[0x40, 0x50]),
        ];
        let [first, second, last] = &snapshots;
        // 0x10, 0x30, 0x60; 0x40, 0x50, which is a text from the second snapshot on.
        assert_eq!(second.matches(first), [2, 0, 3, NONE, NONE]);
        assert_eq!(last.matches(second), [0, 1, 4, 2, 3]);
        let references =
            |at: u64| snapshots.each_ref().map(|it| Some(it.held(at, LIST)?.references));
        assert_eq!(references(0x10), [Some(0), Some(3), Some(5)]);
        assert_eq!(references(0x30), [Some(2), Some(0), Some(4)]);
        assert_eq!(references(0x60), [None, Some(0), Some(1)]);
        assert_eq!(references(0x50), [Some(1), None, None]);
        assert_eq!(last.grown_since(first).collect::<Vec<_>>(), [(0, 5), (1, 2)]);
        assert_eq!(last.grown_since(second).collect::<Vec<_>>(), [(0, 2), (1, 4), (2, 1)]);
    }
}
