//! The part of a heap that is kept for comparison with later ones: its objects, and how much each holds. A
//! few bytes per object, so several heaps fit side by side.

use std::time::Duration;

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

/// Objects in the order of their addresses.
#[derive(Debug, Default)]
struct Column {
    addresses: Vec<u64>,
    kinds: Vec<u32>,
}

impl HeapColumns {
    /// Keeps the columns of a heap that was captured at this time after the hunt began.
    pub fn of(heap: &Analysis<'_>, at: Duration) -> HeapColumns {
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
        HeapColumns {
            at,
            totals: Totals::of(heap),
            held: held.collect(),
            resizable,
            containers,
            leaves,
            kinds,
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
            let ((address, kind), held) = now;
            while rest.next_if(|(other, ..)| *other < address).is_some() {}
            let &(other, other_kind, other_held) = rest.peek()?;
            let kind = self.kinds.get(kind as usize);
            let is_same =
                other == address && kind.is_some() && before.kinds.get(other_kind as usize) == kind;
            let more = held.references.saturating_sub(other_held.references);
            (is_same && more > 0).then_some((index, more))
        })
    }

    /// All objects in the order of their addresses: address, number of the type, and what they hold.
    fn objects(&self) -> impl Iterator<Item = (u64, u32, Held)> + '_ {
        let mut containers = self.containers.iter().zip(&self.held).peekable();
        let mut leaves = self.leaves.iter().peekable();
        std::iter::from_fn(move || {
            let is_leaf = match (containers.peek(), leaves.peek()) {
                (Some(((container, _), _)), Some((leaf, _))) => leaf < container,
                (container, _) => container.is_none(),
            };
            if is_leaf {
                return leaves.next().map(|(address, kind)| (address, kind, NOTHING_HELD));
            }
            containers.next().map(|((address, kind), held)| (address, kind, *held))
        })
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

    /// For each object of the last heap, containers first: the number of the snapshot since which it has been
    /// there without a break. The last snapshot is that of the heap itself.
    pub fn births(snapshots: &[HeapColumns]) -> Vec<u8> {
        let Some((last, earlier)) = snapshots.split_last() else { return Vec::new() };
        let count = last.containers.addresses.len() + last.leaves.addresses.len();
        let mut births = vec![earlier.len() as u8; count];
        let (containers, leaves) = births.split_at_mut(last.containers.addresses.len());
        for (number, before) in earlier.iter().enumerate().rev() {
            last.mark(&last.containers, before, containers, number as u8);
            last.mark(&last.leaves, before, leaves, number as u8);
        }
        births
    }

    /// Marks the objects of a column that have been there since snapshot `number`, among those that have been
    /// there since the next one.
    fn mark(&self, own: &Column, before: &HeapColumns, births: &mut [u8], number: u8) {
        // An empty container may have become a full one since, and vice versa.
        let mut rest = before.objects().peekable();
        for ((address, kind), birth) in own.iter().zip(births) {
            while rest.next_if(|other| other.0 < address).is_some() {}
            let Some(&(other, other_kind, _)) = rest.peek() else { return };
            let kind = self.kinds.get(kind as usize);
            let is_same =
                other == address && kind.is_some() && before.kinds.get(other_kind as usize) == kind;
            if is_same && *birth == number + 1 {
                *birth = number;
            }
        }
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

fn is_resizable(info: &TypeInfo) -> bool {
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
        }
    }

    #[test]
    fn who_was_empty_was_there_all_the_same() {
        let snapshots = [
            snapshot(&[(0x10, 0), (0x30, 2), (0x50, 1)], &[0x40]),
            snapshot(&[(0x10, 3), (0x30, 0), (0x60, 0)], &[0x40, 0x50]),
            snapshot(&[(0x10, 5), (0x30, 4), (0x60, 1)], &[0x40, 0x50]),
        ];
        // 0x10, 0x30, 0x60; 0x40, 0x50, which is a text from the second snapshot on.
        assert_eq!(HeapColumns::births(&snapshots), [0, 0, 1, 0, 1]);
        let references =
            |at: u64| snapshots.each_ref().map(|it| Some(it.held(at, LIST)?.references));
        assert_eq!(references(0x10), [Some(0), Some(3), Some(5)]);
        assert_eq!(references(0x30), [Some(2), Some(0), Some(4)]);
        assert_eq!(references(0x60), [None, Some(0), Some(1)]);
        assert_eq!(references(0x50), [Some(1), None, None]);
        let [first, second, last] = &snapshots;
        assert_eq!(last.grown_since(first).collect::<Vec<_>>(), [(0, 5), (1, 2)]);
        assert_eq!(last.grown_since(second).collect::<Vec<_>>(), [(0, 2), (1, 4), (2, 1)]);
    }
}
