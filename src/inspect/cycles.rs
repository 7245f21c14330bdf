//! The cycles of a heap: which are garbage, which have a single entry from outside, and which types they
//! contain.
//!
//! A cycle here is a strongly connected component: objects that all reach each other. Cycles with the same
//! types in the same numbers form one [`Pattern`]: ten thousand pairs of a node and its parent are one line.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

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
    let numbers = numbers(heap, &components);
    let entries = entries(heap, &components, &numbers);
    let is_garbage = garbage_nodes(heap);
    let finalizers: Vec<Finalizer> = graph.types().iter().map(|info| info.finalizer).collect();
    let mut patterns: FxHashMap<Key, Pattern> = FxHashMap::default();
    let mut garbage_count = 0;
    let fate = |nodes: &[NodeId], entry: Entry| match entry {
        _ if nodes.first().and_then(|node| is_garbage.get(node.index())) == Some(&true) => {
            Fate::Garbage
        }
        Entry::One(..) => Fate::OneEntry,
        _ => Fate::Held,
    };
    let held =
        components.iter().zip(&entries).map(|(nodes, &entry)| match (fate(nodes, entry), entry) {
            (Fate::OneEntry, Entry::One(from, to)) => Some((from, to)),
            _ => None,
        });
    let mut holders = holders(heap, names, held.collect());
    for ((nodes, &entry), holder) in components.iter().zip(&entries).zip(&mut holders) {
        let Some(&first) = nodes.first() else { continue };
        let (fate, holder) = (fate(nodes, entry), holder.take());
        garbage_count += u64::from(fate == Fate::Garbage);
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
        pattern.add(heap, nodes, &numbers);
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
    holder: Option<Arc<str>>,
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
            entry: key.holder.as_deref().map(str::to_owned),
            finalizers: with(Finalizer::InPython),
            blocking: with(Finalizer::Blocking),
            address: heap.graph.address(node).unwrap_or_default(),
        }
    }

    fn add(&mut self, heap: &Analysis<'_>, nodes: &[NodeId], numbers: &Numbers) {
        self.count += 1;
        self.objects += nodes.len() as u64;
        let bytes = nodes.iter().map(|&node| heap.graph.size(node));
        self.bytes = bytes.fold(self.bytes, u64::saturating_add);
        // If one of them dominates another, so does one of them immediately: all on the way between them are in
        // the cycle.
        let is_first = |node: &&NodeId| {
            let above = heap.dominators.immediate(**node);
            above.is_none_or(|above| numbers.of(above) != numbers.of(**node))
        };
        let retained = nodes.iter().filter(is_first).map(|&node| heap.amount(node).bytes);
        self.retained = retained.fold(self.retained, u64::saturating_add);
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

/// The number of the component of each node that is not a leaf.
struct Numbers(Vec<u32>);

impl Numbers {
    fn of(&self, node: NodeId) -> u32 {
        self.0.get(node.index()).copied().unwrap_or(NONE)
    }
}

/// Numbers the components in their order.
fn numbers(heap: &Analysis<'_>, components: &Components) -> Numbers {
    let mut numbers = vec![NONE; heap.graph.first_leaf().index()];
    for (number, nodes) in (0..).zip(components.iter()) {
        for &node in nodes {
            if let Some(place) = numbers.get_mut(node.index()) {
                *place = number;
            }
        }
    }
    Numbers(numbers)
}

/// The references into each component.
fn entries(heap: &Analysis<'_>, components: &Components, numbers: &Numbers) -> Vec<Entry> {
    let graph = &heap.graph;
    let mut entries = vec![Entry::Nobody; components.len()];
    for from in NodeId::ROOT.up_to(graph.first_leaf()).skip(1) {
        let own = numbers.of(from);
        for &to in graph.successors(from) {
            let number = numbers.of(to);
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

/// The holder of each cycle that has one, in words: `[…] of list`, `module app`. Given are holder and held.
///
/// One object may hold a million cycles: its references are walked once for all of them.
fn holders(
    heap: &Analysis<'_>,
    names: &RootNames,
    held: Vec<Option<(NodeId, NodeId)>>,
) -> Vec<Option<Arc<str>>> {
    let graph = &heap.graph;
    let mut found: Vec<Option<Arc<str>>> = vec![None; held.len()];
    let mut known: FxHashSet<Arc<str>> = FxHashSet::default();
    let mut sorted: Vec<(NodeId, NodeId, usize)> = (0..)
        .zip(held)
        .filter_map(|(place, pair)| pair.map(|(from, to)| (from, to, place)))
        .collect();
    sorted.sort_unstable();
    for group in sorted.chunk_by(|one, other| one.0 == other.0) {
        let Some(&(from, ..)) = group.first() else { continue };
        let address = |node| graph.address(node).unwrap_or_default();
        let root = graph.root_of_node(from).map(|root| names.label(root));
        let links = match root {
            Some(_) => vec![None; group.len()],
            None => {
                let children: Vec<u64> = group.iter().map(|&(_, to, _)| address(to)).collect();
                heap.names().links(address(from), &children, Disclosure::Names)
            }
        };
        let name = graph.type_info(from).map_or("(unreadable)", |info| &info.name);
        for (&(.., place), link) in group.iter().zip(links) {
            let words = match (&root, link.map(|link| link.pattern())) {
                (Some(root), _) => root.clone(),
                (None, Some(link)) => format!("{name} {link}"),
                (None, None) => name.to_owned(),
            };
            let words = known.get(words.as_str()).cloned().unwrap_or_else(|| words.into());
            known.insert(Arc::clone(&words));
            if let Some(slot) = found.get_mut(place) {
                *slot = Some(words);
            }
        }
    }
    found
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
