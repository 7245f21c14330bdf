//! Garbage that no collection can free.
//!
//! The collector subtracts from each object's reference count the references that it is shown, and takes what is
//! left for references from outside. A reference that it is not shown keeps a cycle alive for ever: one from an
//! object of a type without `Py_TPFLAGS_HAVE_GC`, such as a `datetime` with a time zone, or one that the type's
//! `tp_traverse` leaves out (Modules/gcmodule.c, `update_refs` and `subtract_refs`).
//!
//! What is told is what remains when a collection is played through until nothing more goes. Types that nobody
//! described are believed to show all that they refer to, if they take part in it at all.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::heap::analysis::Analysis;
use crate::heap::graph::Flow;
use crate::heap::graph::retained::Amount;
use crate::heap::ids::NodeId;
use crate::python::objects::{Edges, ReferenceCount};

/// Of more garbage than this nothing is told.
const MOST: usize = 2_000_000;
/// A cycle with more steps than this is not looked for.
const LONGEST: usize = 64;

/// Objects that nothing holds and no collection frees.
#[derive(Debug, Default)]
pub struct Uncollectable {
    /// All of them, in order.
    pub nodes: Vec<NodeId>,
    /// References between them that the collector is not shown: from which object to which.
    pub hidden: Vec<(NodeId, NodeId)>,
}

impl Uncollectable {
    /// That of a heap.
    pub fn of(heap: &Analysis<'_>) -> Uncollectable {
        let graph = &heap.graph;
        let Some(root) = graph.garbage() else { return Uncollectable::default() };
        if heap.amount(root).objects == 0 || heap.amount(root).objects as usize > MOST {
            return Uncollectable::default();
        }
        let mut garbage = FxHashSet::default();
        // Each stands behind its dominator.
        for &node in heap.dominators.order() {
            let dominator = heap.dominators.immediate(node).unwrap_or_default();
            if dominator == root || garbage.contains(&dominator) {
                garbage.insert(node);
            }
        }
        let tracked = graph.tracked().iter().flatten().copied();
        let tracked: FxHashSet<NodeId> = tracked.filter(|node| garbage.contains(node)).collect();
        let mut hidden = hidden(heap, &garbage, &tracked);
        loop {
            let alive = reached(heap, &garbage, hidden.iter().map(|&(_, to)| to));
            let before = hidden.len();
            hidden.retain(|(from, _)| alive.contains(from));
            if hidden.len() == before {
                let mut nodes: Vec<NodeId> = alive.into_iter().collect();
                nodes.sort_unstable();
                return Uncollectable { nodes, hidden };
            }
        }
    }

    /// How much it is.
    pub fn amount(&self, heap: &Analysis<'_>) -> Amount {
        let bytes = self.nodes.iter().map(|&node| heap.graph.size(node)).sum();
        Amount { bytes, objects: self.nodes.len() as u32 }
    }

    /// A shortest cycle that is closed by a hidden reference: from the object that it leads to, to that from which
    /// it comes.
    pub fn cycle(&self, heap: &Analysis<'_>, (from, to): (NodeId, NodeId)) -> Vec<NodeId> {
        let graph = &heap.graph;
        let mut before: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        let mut level = vec![to];
        for _ in 0..LONGEST {
            let mut next_level = Vec::new();
            for &node in &level {
                if node == from {
                    let up = |node: &NodeId| before.get(node).copied().filter(|_| *node != to);
                    let mut nodes: Vec<NodeId> = std::iter::successors(Some(from), up).collect();
                    nodes.reverse();
                    return nodes;
                }
                for &next in successors(heap, node) {
                    let is_part = self.nodes.binary_search(&next).is_ok() && next != to;
                    if is_part && !before.contains_key(&next) && next < graph.first_leaf() {
                        before.insert(next, node);
                        next_level.push(next);
                    }
                }
            }
            level = next_level;
        }
        Vec::new()
    }
}

fn successors<'a>(heap: &'a Analysis<'_>, node: NodeId) -> &'a [NodeId] {
    if node < heap.graph.first_leaf() { heap.graph.successors(node) } else { &[] }
}

/// References among garbage to tracked objects, and the collector is not shown enough of those to account for
/// their reference counts.
fn hidden(
    heap: &Analysis<'_>,
    garbage: &FxHashSet<NodeId>,
    tracked: &FxHashSet<NodeId>,
) -> Vec<(NodeId, NodeId)> {
    let graph = &heap.graph;
    // What the collector is shown stands in the memory only.
    let Some(reader) = heap.reader() else { return Vec::new() };
    let mut shown_to: FxHashMap<NodeId, u32> = FxHashMap::default();
    let mut hidden = Vec::new();
    let mut edges = Edges::new();
    let mut shown: FxHashSet<NodeId> = FxHashSet::default();
    for &node in garbage {
        shown.clear();
        let mut show = |next: NodeId| {
            shown.insert(next);
            *shown_to.entry(next).or_default() += 1;
        };
        if tracked.contains(&node) {
            let described = graph.address(node).map(|it| reader.describe(it, &mut edges));
            match described {
                Some(Ok(shape)) if !shape.conservative => {
                    edges.shown.iter().filter_map(|&it| graph.node(it)).for_each(&mut show);
                }
                _ => successors(heap, node).iter().copied().for_each(&mut show),
            }
        }
        let targets = successors(heap, node).iter().filter(|next| tracked.contains(next));
        hidden.extend(targets.filter(|next| !shown.contains(next)).map(|&next| (node, next)));
    }
    let has_hidden_references = |to: &NodeId| {
        let count = graph.address(*to).and_then(|address| reader.reference_count(address).ok());
        let shown: u64 = shown_to.get(to).copied().unwrap_or_default().into();
        matches!(count, Some(ReferenceCount::Counted(count)) if count > shown)
    };
    hidden.retain(|(_, to)| has_hidden_references(to));
    hidden
}

/// What these objects lead to among garbage, themselves included.
fn reached(
    heap: &Analysis<'_>,
    garbage: &FxHashSet<NodeId>,
    from: impl Iterator<Item = NodeId>,
) -> FxHashSet<NodeId> {
    let mut rest: Vec<NodeId> = from.collect();
    let mut reached = FxHashSet::default();
    while let Some(node) = rest.pop() {
        if garbage.contains(&node) && reached.insert(node) {
            rest.extend(successors(heap, node));
        }
    }
    reached
}
