//! Where new objects are attached: the *holder* of a new object is the nearest object on a shortest path to
//! it that existed before; the new objects that the holder refers to directly are its *items*.
//!
//! "Before" is not one moment. An object belongs to the interval between two snapshots in which it was born,
//! its *cohort*, and its holder is the nearest object older than that. So a holder that was itself created
//! during the hunt is found as well, and each link of a chain holds what was appended to it later. Objects of
//! the last cohort have been seen only once, and most of them are temporary: they are counted, but prove
//! nothing.

use rustc_hash::FxHashMap;

use crate::heap::{Analysis, NodeId, ShortestPaths};
use crate::python::objects::TypeId;

/// How many items are kept as examples.
const EXAMPLES: usize = 8;

/// Objects attached to a holder in one interval that are still there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cohort {
    /// Objects that hang directly from it.
    pub items: u32,
    /// These and all new objects below them.
    pub objects: u32,
    /// The bytes of all those objects.
    pub bytes: u64,
}

/// Items of one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Items {
    /// Their number.
    pub count: u32,
    /// They and all new objects below them.
    pub objects: u32,
    /// The bytes of all those objects.
    pub bytes: u64,
}

/// The objects attached to a holder.
#[derive(Debug, Clone, Default)]
pub struct Accumulation {
    /// By interval, the earliest first.
    pub cohorts: Vec<Cohort>,
    /// Items seen at least twice, by their type.
    pub items: FxHashMap<TypeId, Items>,
    /// All new objects seen at least twice, by type.
    pub kinds: FxHashMap<TypeId, u32>,
    /// The length of the longest run of new objects that hang from each other.
    pub deepest: u32,
    /// Some items seen at least twice.
    pub examples: Vec<NodeId>,
}

impl Accumulation {
    /// The number of new objects seen at least twice.
    pub fn proven(&self) -> u32 {
        let proven = self.cohorts.split_last().map_or(&[][..], |(_, proven)| proven);
        proven.iter().map(|cohort| cohort.objects).sum()
    }

    /// Adds the objects attached to another holder.
    pub fn merge(&mut self, other: &Accumulation) {
        self.cohorts.resize(self.cohorts.len().max(other.cohorts.len()), Cohort::default());
        for (own, theirs) in self.cohorts.iter_mut().zip(&other.cohorts) {
            own.items += theirs.items;
            own.objects += theirs.objects;
            own.bytes += theirs.bytes;
        }
        for (&kind, theirs) in &other.items {
            let own = self.items.entry(kind).or_default();
            own.count += theirs.count;
            own.objects += theirs.objects;
            own.bytes += theirs.bytes;
        }
        for (&kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.deepest = self.deepest.max(other.deepest);
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room));
    }
}

/// All holders of a heap.
#[derive(Debug)]
pub struct Growth {
    /// The objects attached to each holder, by its node.
    pub by_holder: FxHashMap<NodeId, Accumulation>,
    /// Where each object belongs; nothing for old ones.
    places: Vec<Option<Attachment>>,
    first: NodeId,
}

/// Where a new object belongs.
#[derive(Debug, Clone, Copy)]
struct Attachment {
    holder: NodeId,
    item: NodeId,
    depth: u32,
}

impl Growth {
    /// Attributes all new objects of a heap to their holders. `births` comes from
    /// [`HeapColumns::births`](super::heap_columns::HeapColumns::births), for this many snapshots.
    pub fn of(
        heap: &Analysis<'_>,
        paths: &ShortestPaths,
        births: &[u8],
        snapshots: usize,
    ) -> Growth {
        let mut attribution = Attribution {
            paths,
            births,
            first: heap.graph.first_object(),
            places: vec![None; births.len()],
            above: Vec::new(),
        };
        let last = snapshots.saturating_sub(1);
        let mut by_holder: FxHashMap<NodeId, Accumulation> = FxHashMap::default();
        for node in heap.graph.objects() {
            let birth = attribution.birth(node);
            if birth == 0 {
                continue;
            }
            let Some(place) = attribution.place(node) else { continue };
            let accumulated = by_holder.entry(place.holder).or_default();
            accumulated.cohorts.resize(last, Cohort::default());
            let bytes = heap.graph.size(node);
            let is_item = u32::from(place.item == node);
            if let Some(cohort) = accumulated.cohorts.get_mut(usize::from(birth) - 1) {
                cohort.items += is_item;
                cohort.objects += 1;
                cohort.bytes += bytes;
            }
            if usize::from(birth) == last {
                continue;
            }
            accumulated.deepest = accumulated.deepest.max(place.depth);
            if let Some(kind) = heap.graph.type_id(place.item) {
                let items = accumulated.items.entry(kind).or_default();
                items.count += is_item;
                items.objects += 1;
                items.bytes += bytes;
            }
            if let Some(kind) = heap.graph.type_id(node) {
                *accumulated.kinds.entry(kind).or_default() += 1;
            }
            if is_item == 1 && accumulated.examples.len() < EXAMPLES {
                accumulated.examples.push(node);
            }
        }
        Growth { by_holder, places: attribution.places, first: attribution.first }
    }

    /// The holder of a new object.
    pub fn holder(&self, node: NodeId) -> Option<NodeId> {
        let place = self.places.get(node.index().checked_sub(self.first.index())?)?;
        place.map(|place| place.holder)
    }
}

/// Finds places along shortest paths, each only once.
struct Attribution<'a> {
    paths: &'a ShortestPaths,
    births: &'a [u8],
    first: NodeId,
    /// By object.
    places: Vec<Option<Attachment>>,
    above: Vec<NodeId>,
}

impl Attribution<'_> {
    /// The interval in which an object was born; 0 for objects that were there from the start, and for roots.
    fn birth(&self, node: NodeId) -> u8 {
        let index = node.index().checked_sub(self.first.index());
        index.and_then(|index| self.births.get(index).copied()).unwrap_or_default()
    }

    fn known(&self, node: NodeId) -> Option<Attachment> {
        self.places.get(node.index().checked_sub(self.first.index())?).copied().flatten()
    }

    /// The place of a new object; `None` where no path leads to it.
    fn place(&mut self, node: NodeId) -> Option<Attachment> {
        self.above.clear();
        let mut next = node;
        while self.birth(next) > 0 && self.known(next).is_none() {
            self.above.push(next);
            next = self.paths.before(next)?;
        }
        while let Some(node) = self.above.pop() {
            let place = self.below_parent(node)?;
            if let Some(known) = self.places.get_mut(node.index() - self.first.index()) {
                *known = Some(place);
            }
        }
        self.known(node)
    }

    /// The place of an object, if its parent's is known or the parent is old.
    fn below_parent(&self, node: NodeId) -> Option<Attachment> {
        let birth = self.birth(node);
        let parent = self.paths.before(node)?;
        let depth = 1 + self.known(parent).map_or(0, |place| place.depth);
        if self.birth(parent) < birth {
            return Some(Attachment { holder: parent, item: node, depth });
        }
        let mut place = self.known(parent)?;
        if self.birth(parent) > birth {
            // It was put below a younger object. Holders become older on the way up.
            place.item = NodeId::NONE;
            while self.birth(place.holder) >= birth {
                place.holder = self.known(place.holder)?.holder;
            }
        }
        Some(Attachment { depth, ..place })
    }
}
