//! The difference between two heaps of one process, object by object: what was born, what died, what grew, and
//! what holds it.
//!
//! CPython does not move objects. So an object is in both heaps if the same address has an object of the same
//! type, and of the same size if its size cannot change. A new object in the place of a freed one of its type
//! cannot be told from it, and counts as the same.
//!
//! What was born is held by the nearest object above it in the dominator tree that was there before, or by a
//! root: the accumulation point. Without that, all of it would be freed.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::heap::{Analysis, Flow, Graph, NodeId, ReferenceChain, RootNames, ShortestPaths};
use crate::python::objects::{Disclosure, TypeId};

/// The root of what several roots hold together.
const SEVERAL: &str = "several places";
/// The name of the type of an object that could not be read.
const UNREADABLE: &str = "(unreadable)";
/// How many types of the objects at an accumulation point are named.
const MOST_TYPES: usize = 3;

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Portion {
    /// The number of objects.
    pub objects: u64,
    /// Their size, including memory that they own elsewhere.
    pub bytes: u64,
}

impl Portion {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What happened to objects between two heaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fates {
    /// The objects before.
    pub before: Portion,
    /// The objects after.
    pub after: Portion,
    /// Those only after.
    pub born: Portion,
    /// Those only before.
    pub died: Portion,
    /// Those in both that are larger after, and by how much.
    pub grown: Portion,
    /// Those in both that are smaller after, and by how much.
    pub shrunk: Portion,
}

impl Fates {
    /// The growth in bytes.
    pub fn growth(&self) -> i128 {
        i128::from(self.after.bytes) - i128::from(self.before.bytes)
    }
}

/// The objects of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeFates {
    /// The name of the type.
    pub name: String,
    /// What happened to them.
    pub fates: Fates,
}

/// An accumulation point: what holds objects that were born.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The address of the object; `None` for a root.
    pub address: Option<u64>,
    /// The name of its type; empty for a root.
    pub kind: String,
    /// A shortest path to it from a root.
    pub lineage: ReferenceChain,
    /// What was born below it.
    pub born: Portion,
    /// By how many bytes it grew itself.
    pub grown: u64,
    /// The types of the objects right below it that were born, most objects first.
    pub held: Vec<(String, u64)>,
}

/// The difference between two heaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// All objects.
    pub all: Fates,
    /// By type, those that grew by the most bytes first; types without any change are left out.
    pub types: Vec<TypeFates>,
    /// The accumulation points, those with the most new bytes first.
    pub holders: Vec<Holder>,
}

/// Compares two heaps of one process. Describes up to `most` holders, with as much of keys as may be shown.
pub fn difference(
    before: &Analysis<'_>,
    after: &Analysis<'_>,
    names: &RootNames,
    most: usize,
    disclosure: Disclosure,
) -> Difference {
    let matching = Matching::of(&before.graph, &after.graph);
    let mut of_types: FxHashMap<&str, Fates> = FxHashMap::default();
    let mut all = Fates::default();
    let mut was_there = vec![false; after.graph.end().index()];
    for node in before.graph.objects() {
        let size = before.graph.size(node);
        let own = of_types.entry(type_name(&before.graph, node)).or_default();
        let twin = matching.twin(node);
        if let Some(place) = twin.and_then(|twin| was_there.get_mut(twin.index())) {
            *place = true;
        }
        for fates in [own, &mut all] {
            fates.before.add(size);
            match twin.map(|twin| after.graph.size(twin)) {
                None => fates.died.add(size),
                Some(now) if now > size => fates.grown.add(now - size),
                Some(now) if now < size => fates.shrunk.add(size - now),
                Some(_) => {}
            }
        }
    }
    let is_born = |node: NodeId| {
        node >= after.graph.first_object() && was_there.get(node.index()) == Some(&false)
    };
    for node in after.graph.objects() {
        let own = of_types.entry(type_name(&after.graph, node)).or_default();
        for fates in [own, &mut all] {
            fates.after.add(after.graph.size(node));
            if is_born(node) {
                fates.born.add(after.graph.size(node));
            }
        }
    }
    let mut types: Vec<TypeFates> = of_types
        .into_iter()
        .filter(|(_, fates)| {
            let Fates { born, died, grown, shrunk, .. } = *fates;
            [born, died, grown, shrunk].iter().any(|portion| portion.objects > 0)
        })
        .map(|(name, fates)| TypeFates { name: name.to_owned(), fates })
        .collect();
    types.sort_by(|a, b| {
        let rank = |of: &TypeFates| (Reverse(of.fates.growth()), Reverse(of.fates.born.bytes));
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    let accumulated = Accumulated::of(after, is_born);
    let holders = accumulated.describe(before, after, names, most, disclosure);
    Difference { all, types, holders }
}

fn type_name(graph: &Graph, node: NodeId) -> &str {
    graph.type_info(node).map_or(UNREADABLE, |info| &info.name)
}

/// Which objects are in both heaps.
struct Matching<'a> {
    before: &'a Graph,
    after: &'a Graph,
    /// The number of each type of the first in the second.
    types: Vec<Option<TypeId>>,
}

impl<'a> Matching<'a> {
    fn of(before: &'a Graph, after: &'a Graph) -> Matching<'a> {
        let known: FxHashMap<(u64, &str), TypeId> = after
            .types()
            .iter()
            .map(|info| ((info.address, info.name.as_str()), info.id))
            .collect();
        let types = before.types().iter();
        let types = types.map(|info| known.get(&(info.address, info.name.as_str())).copied());
        Matching { before, after, types: types.collect() }
    }

    /// The object in the second heap that is this one of the first.
    fn twin(&self, node: NodeId) -> Option<NodeId> {
        let twin = self.after.node(self.before.address(node)?)?;
        let id = self.before.type_id(node)?;
        let same = self.types.get(id.0 as usize).copied().flatten()?;
        // Text, bytes and numbers do not change.
        let is_fixed = self.before.type_info(node)?.is_leaf();
        let fits = !is_fixed || self.before.size(node) == self.after.size(twin);
        (self.after.type_id(twin) == Some(same) && fits).then_some(twin)
    }
}

/// What was born below each object that was there before, and below each root.
struct Accumulated<'a> {
    graph: &'a Graph,
    by_holder: FxHashMap<NodeId, (Portion, FxHashMap<Option<TypeId>, u64>)>,
}

impl<'a> Accumulated<'a> {
    fn of(heap: &'a Analysis<'a>, is_born: impl Fn(NodeId) -> bool) -> Accumulated<'a> {
        let graph = &heap.graph;
        // For each node that is not a leaf and was born, what holds it.
        let mut holders = vec![NodeId::NONE; graph.first_leaf().index()];
        let mut by_holder: FxHashMap<NodeId, (Portion, FxHashMap<Option<TypeId>, u64>)> =
            FxHashMap::default();
        let leaves = graph.first_leaf().up_to(graph.end());
        for node in heap.dominators.order().iter().copied().chain(leaves).filter(|&it| is_born(it))
        {
            let Some(above) = heap.dominators.immediate(node) else { continue };
            let is_direct = !is_born(above);
            let holder = match is_direct {
                true => above,
                false => holders.get(above.index()).copied().unwrap_or(NodeId::ROOT),
            };
            if let Some(place) = holders.get_mut(node.index()) {
                *place = holder;
            }
            let (portion, types) = by_holder.entry(holder).or_default();
            portion.add(graph.size(node));
            if is_direct {
                *types.entry(graph.type_id(node)).or_default() += 1;
            }
        }
        Accumulated { graph, by_holder }
    }

    fn describe(
        self,
        before: &Analysis<'_>,
        after: &Analysis<'_>,
        names: &RootNames,
        most: usize,
        disclosure: Disclosure,
    ) -> Vec<Holder> {
        let graph = self.graph;
        let mut sorted: Vec<(NodeId, Portion)> =
            self.by_holder.iter().map(|(&holder, &(portion, _))| (holder, portion)).collect();
        sorted.sort_unstable_by_key(|&(node, portion)| {
            (Reverse(portion.bytes), Reverse(portion.objects), node)
        });
        sorted.truncate(most);
        let paths = ShortestPaths::of(graph);
        let describe = |(node, born): (NodeId, Portion)| {
            let path = paths.between(NodeId::ROOT, node);
            let mut lineage = ReferenceChain::of(after, names, &path, disclosure);
            if node == NodeId::ROOT {
                lineage.root = SEVERAL.to_owned();
            }
            let address = graph.address(node);
            let earlier = address.and_then(|at| before.graph.node(at));
            let grown = earlier.map(|it| graph.size(node).saturating_sub(before.graph.size(it)));
            let info = |id: Option<TypeId>| graph.types().get(id?);
            let types = self.by_holder.get(&node).map(|(_, types)| types);
            let mut held: Vec<(String, u64)> = types
                .into_iter()
                .flatten()
                .map(|(&id, &count)| (info(id).map_or(UNREADABLE, |it| &it.name).to_owned(), count))
                .collect();
            held.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            held.truncate(MOST_TYPES);
            Holder {
                address,
                kind: address.map(|_| type_name(graph, node).to_owned()).unwrap_or_default(),
                lineage,
                born,
                grown: grown.unwrap_or_default(),
                held,
            }
        };
        sorted.into_iter().map(describe).collect()
    }
}
