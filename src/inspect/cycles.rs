//! The cycles of a heap: which are garbage, which have a single entry from outside, and which types they
//! contain.
//!
//! A cycle here is a strongly connected component: objects that all reach each other. Cycles with the same
//! types in the same numbers form one [`Pattern`]: ten thousand pairs of a node and its parent are one line.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::heap::{Amount, Analysis, Components, Flow, NodeId, RootNames};
use crate::python::collector::Collector;
use crate::python::objects::{Disclosure, EdgeNames, Finalizer, TypeId};

/// Stands for "no component".
const NONE: u32 = u32::MAX;

/// The cycles of a heap, and what its collectors do about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycles {
    /// The number of cycles.
    pub count: u64,
    /// The number of cycles that are garbage.
    pub garbage_count: u64,
    /// All garbage: the garbage cycles, and what only they hold.
    pub garbage: Amount,
    /// Cycles of one kind together: garbage first, then those with the most bytes.
    pub patterns: Vec<Pattern>,
    /// The collectors: one for each interpreter, or one for all.
    pub collectors: Vec<Collector>,
    /// The types of the objects in `gc.garbage`, each with the number of its objects.
    pub uncollectable: Vec<(String, u64)>,
}

/// What happens to a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing holds it: the next collection of its generation frees it.
    Garbage,
    /// A single object or root outside holds it: without that it would be garbage.
    OneEntry,
    /// Several objects or roots outside hold it.
    Held,
}

/// Cycles of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// What happens to them.
    pub fate: Fate,
    /// The types in each cycle, with the number of objects of each: most objects first.
    pub types: Vec<(String, u64)>,
    /// The number of cycles.
    pub count: u64,
    /// The number of objects in them.
    pub objects: u64,
    /// The size of their objects, including memory that these own elsewhere.
    pub bytes: u64,
    /// What would be freed with them.
    pub retained: u64,
    /// What holds each of them: the link, and the type of the holder or the name of the root.
    pub entry: Option<String>,
    /// Those of their types that have a finalizer written in Python (`__del__`).
    pub finalizers: Vec<String>,
    /// Those of their types that cannot be collected because of an old finalizer (`tp_del`).
    pub blocking: Vec<String>,
    /// The address of an object in one of them.
    pub address: u64,
}

/// Finds the cycles of a heap with these collectors.
pub fn cycles(heap: &Analysis<'_>, names: &RootNames, collectors: Vec<Collector>) -> Cycles {
    let graph = &heap.graph;
    let components = Components::of(graph, graph.first_object());
    let entries = entries(heap, &components);
    let is_garbage = garbage_nodes(heap);
    let finalizers: Vec<Finalizer> = graph.types().iter().map(|info| info.finalizer).collect();
    let mut patterns: FxHashMap<Key, Pattern> = FxHashMap::default();
    let mut garbage_count = 0;
    for (nodes, &entry) in components.iter().zip(&entries) {
        let Some(&first) = nodes.first() else { continue };
        let fate = match entry {
            _ if is_garbage.get(first.index()) == Some(&true) => Fate::Garbage,
            Entry::One(..) => Fate::OneEntry,
            _ => Fate::Held,
        };
        garbage_count += u64::from(fate == Fate::Garbage);
        let holder = match (fate, entry) {
            (Fate::OneEntry, Entry::One(from, to)) => Some(holder(heap, names, from, to)),
            _ => None,
        };
        let mut types: BTreeMap<Option<TypeId>, u64> = BTreeMap::new();
        for &node in nodes {
            *types.entry(graph.type_id(node)).or_default() += 1;
        }
        let key = Key { fate, types: types.into_iter().collect(), holder };
        let pattern = match patterns.get_mut(&key) {
            Some(pattern) => pattern,
            None => {
                let pattern = Pattern::of(heap, &key, &finalizers, first);
                patterns.entry(key).or_insert(pattern)
            }
        };
        pattern.add(heap, nodes);
    }
    let mut patterns: Vec<Pattern> = patterns.into_values().collect();
    patterns.sort_by(|a, b| {
        let is_held = |pattern: &Pattern| pattern.fate != Fate::Garbage;
        (is_held(a), b.retained, a.address).cmp(&(is_held(b), a.retained, b.address))
    });
    let garbage = graph.garbage().map(|node| heap.amount(node)).unwrap_or_default();
    let uncollectable = types_of(heap, collectors.iter().flat_map(|one| &one.garbage).copied());
    Cycles {
        count: components.len() as u64,
        garbage_count,
        garbage,
        patterns,
        collectors,
        uncollectable,
    }
}

/// What cycles of one pattern have in common.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    fate: Fate,
    types: Vec<(Option<TypeId>, u64)>,
    holder: Option<String>,
}

impl Pattern {
    fn of(heap: &Analysis<'_>, key: &Key, finalizers: &[Finalizer], node: NodeId) -> Pattern {
        let info = |id: Option<TypeId>| heap.graph.types().get(id?);
        let name = |id| info(id).map_or("(unreadable)", |info| &info.name);
        let mut types: Vec<(String, u64)> =
            key.types.iter().map(|&(id, count)| (name(id).to_owned(), count)).collect();
        types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let with = |finalizer: Finalizer| {
            let of = |id: TypeId| finalizers.get(id.0 as usize);
            let has = |id: &Option<TypeId>| id.and_then(of) == Some(&finalizer);
            let ids = key.types.iter().map(|(id, _)| *id).filter(has);
            ids.map(|id| name(id).to_owned()).collect()
        };
        Pattern {
            fate: key.fate,
            types,
            count: 0,
            objects: 0,
            bytes: 0,
            retained: 0,
            entry: key.holder.clone(),
            finalizers: with(Finalizer::InPython),
            blocking: with(Finalizer::Blocking),
            address: heap.graph.address(node).unwrap_or_default(),
        }
    }

    fn add(&mut self, heap: &Analysis<'_>, nodes: &[NodeId]) {
        self.count += 1;
        self.objects += nodes.len() as u64;
        let bytes = nodes.iter().map(|&node| heap.graph.size(node));
        self.bytes = bytes.fold(self.bytes, u64::saturating_add);
        self.retained = self.retained.saturating_add(heap.retained_together(nodes).bytes);
    }
}

/// The references into a component from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Nobody,
    /// From this node, to that one.
    One(NodeId, NodeId),
    Several,
}

/// The references into each component.
fn entries(heap: &Analysis<'_>, components: &Components) -> Vec<Entry> {
    let graph = &heap.graph;
    let mut component = vec![NONE; graph.first_leaf().index()];
    for (number, nodes) in (0..).zip(components.iter()) {
        for &node in nodes {
            if let Some(place) = component.get_mut(node.index()) {
                *place = number;
            }
        }
    }
    let of = |node: NodeId| component.get(node.index()).copied().unwrap_or(NONE);
    let mut entries = vec![Entry::Nobody; components.len()];
    for from in NodeId::ROOT.up_to(graph.first_leaf()).skip(1) {
        let own = of(from);
        for &to in graph.successors(from) {
            let number = of(to);
            if number == NONE || number == own {
                continue;
            }
            if let Some(entry) = entries.get_mut(number as usize) {
                *entry = match *entry {
                    Entry::Nobody => Entry::One(from, to),
                    Entry::One(known, to) if known == from => Entry::One(known, to),
                    _ => Entry::Several,
                };
            }
        }
    }
    entries
}

/// For each node that is not a leaf, whether it is garbage: only the root of garbage leads to it.
fn garbage_nodes(heap: &Analysis<'_>) -> Vec<bool> {
    let mut is_garbage = vec![false; heap.graph.first_leaf().index()];
    let garbage = heap.graph.garbage();
    // Each node comes after its dominator.
    for &node in heap.dominators.order() {
        let dominator = heap.dominators.immediate(node).unwrap_or_default().index();
        let is = garbage == Some(node) || is_garbage.get(dominator) == Some(&true);
        if let Some(place) = is_garbage.get_mut(node.index()) {
            *place = is;
        }
    }
    is_garbage
}

/// The holder of a cycle, in words: `[…] of list`, `module app`.
fn holder(heap: &Analysis<'_>, names: &RootNames, from: NodeId, to: NodeId) -> String {
    let graph = &heap.graph;
    if let Some(root) = graph.root_of_node(from) {
        return names.label(root);
    }
    let name = graph.type_info(from).map_or("(unreadable)", |info| &info.name);
    let addresses = [from, to].map(|node| graph.address(node).unwrap_or_default());
    let link = heap.names().link(addresses[0], addresses[1], Disclosure::Names);
    match link.map(|link| link.pattern()) {
        Some(link) => format!("{name} {link}"),
        None => name.to_owned(),
    }
}

/// The types of these objects, those with the most objects first.
fn types_of(heap: &Analysis<'_>, objects: impl Iterator<Item = u64>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for object in objects {
        let node = heap.graph.node(object);
        let info = node.and_then(|node| heap.graph.type_info(node));
        *counts.entry(info.map_or("(unreadable)", |info| &info.name)).or_default() += 1;
    }
    let mut types: Vec<_> = counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    types
}
