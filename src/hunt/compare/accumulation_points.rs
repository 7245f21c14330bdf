//! Accumulation points: the few objects in a heap that hold most of the growth.
//!
//! Holders are leaves of a tree of paths, each with the objects attached to it. The search descends from the
//! root towards the growth: to the one holder that has most of it, to an object below which many small
//! holders share it (a thousand lists in one dict), or to the first link of a chain.

use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::growth::{Accumulation, Growth};
use crate::heap::{Analysis, Flow, NodeId, ShortestPaths};

/// New objects that hang from each other to at least this depth are a chain.
const CHAIN: u32 = 24;
/// This many small holders below an object count as one place.
pub const MANY: usize = 8;
/// Their share of everything new there must be at least one in this many.
const SPREAD: u32 = 3;
/// The fewest new objects that make a place.
const FEWEST: u32 = 3;
/// The most places that are assessed.
const MOST: usize = 64;

/// How growth is spread at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One object holds all that is new.
    One,
    /// Many objects below it hold some of it each.
    Spread,
    /// Each new object hangs from an earlier new one.
    Chain,
}

/// A place where a heap has grown: an accumulation point.
#[derive(Debug, Clone)]
pub struct AccumulationPoint {
    /// The object, or root.
    pub node: NodeId,
    /// How the growth is spread there.
    pub shape: Shape,
    /// The holders: the object itself, or those below it.
    pub holders: Vec<NodeId>,
    /// The objects attached to all of them.
    pub accumulated: Accumulation,
}

/// The places where a heap has grown.
pub fn accumulation_points(
    heap: &Analysis<'_>,
    paths: &ShortestPaths,
    growth: &Growth,
) -> Vec<AccumulationPoint> {
    let tree = Tree::of(paths, growth);
    let wide: FxHashSet<NodeId> = heap
        .graph
        .roots()
        .iter()
        .flat_map(|root| &root.objects)
        .filter_map(|&object| heap.graph.node(object))
        .collect();
    let namespaces = namespaces(heap);
    let first = heap.graph.first_object();
    let mut found = Vec::new();
    // The largest growth comes first.
    let mut rest = BinaryHeap::from([(tree.total(NodeId::ROOT), NodeId::ROOT)]);
    while let Some((total, node)) = rest.pop() {
        if total < FEWEST || found.len() >= MOST {
            break;
        }
        let own = growth.by_holder.get(&node);
        let proven = own.map_or(0, Accumulation::proven);
        let place = |shape, holders: Vec<NodeId>| {
            let mut accumulated = Accumulation::default();
            for holder in holders.iter().filter_map(|holder| growth.by_holder.get(holder)) {
                accumulated.merge(holder);
            }
            AccumulationPoint { node, shape, holders, accumulated }
        };
        // The variables of a module have nothing in common.
        let is_namespace = namespaces.contains(&node);
        let is_chain = own.is_some_and(|own| own.deepest >= CHAIN && is_chain(own));
        if is_chain && !is_namespace {
            found.push(place(Shape::Chain, tree.below(node, growth)));
            continue;
        }
        let children = tree.children(node);
        let below = total - proven.min(total);
        let is_object = node >= first && !wide.contains(&node);
        let is_spread =
            is_object && SPREAD * below >= total && are_alike(heap, &tree, children, below);
        let is_one = 2 * proven >= total;
        if !is_namespace && (is_spread || is_one && children.len() >= MANY) {
            let shape = if is_spread { Shape::Spread } else { Shape::One };
            found.push(place(shape, tree.below(node, growth)));
            continue;
        }
        if is_chain {
            found.push(place(Shape::Chain, vec![node]));
        } else if is_one {
            found.push(place(Shape::One, vec![node]));
        }
        rest.extend(children.iter().map(|&child| (tree.total(child), child)));
    }
    found
}

/// The namespaces of modules, with whatever else only modules refer to directly. A function's globals are one, so
/// that a path need not lead through the module.
pub(super) fn namespaces(heap: &Analysis<'_>) -> FxHashSet<NodeId> {
    let graph = &heap.graph;
    let is_module: Vec<bool> = graph.types().iter().map(|info| info.name == "module").collect();
    let of_type =
        |node| graph.type_id(node).and_then(|id| is_module.get(id.0 as usize)) == Some(&true);
    let modules = graph.first_object().up_to(graph.first_leaf()).filter(|&node| of_type(node));
    modules.flat_map(|module| graph.successors(module)).copied().collect()
}

/// Whether the new objects hang from each other rather than from the holder. Many deep items are no chain: a chain
/// continues at its end, and its first link hardly ever gets another object to hold.
fn is_chain(accumulated: &Accumulation) -> bool {
    let items: u32 = accumulated.items.values().map(|items| items.count).sum();
    items < MANY as u32 && items.saturating_mul(CHAIN / 2) <= accumulated.proven()
}

/// Whether there are many objects, mostly of one type, and no single one has most of the growth.
fn are_alike(heap: &Analysis<'_>, tree: &Tree, children: &[NodeId], total: u32) -> bool {
    let mut by_kind: FxHashMap<_, u32> = FxHashMap::default();
    for &child in children {
        *by_kind.entry(heap.graph.type_id(child)).or_default() += tree.total(child);
    }
    let most = by_kind.values().copied().max().unwrap_or_default();
    let largest = children.iter().map(|&child| tree.total(child)).max().unwrap_or_default();
    children.len() >= MANY && 2 * largest < total && 10 * most >= 7 * total
}

/// The shortest paths to all holders.
struct Tree {
    children: FxHashMap<NodeId, Vec<NodeId>>,
    /// New objects at or below each node that were seen at least twice.
    totals: FxHashMap<NodeId, u32>,
}

impl Tree {
    fn of(paths: &ShortestPaths, growth: &Growth) -> Tree {
        let mut tree = Tree { children: FxHashMap::default(), totals: FxHashMap::default() };
        let mut order = Vec::new();
        for &holder in growth.by_holder.keys() {
            let (mut node, start) = (holder, order.len());
            while !tree.totals.contains_key(&node) {
                tree.totals
                    .insert(node, growth.by_holder.get(&node).map_or(0, Accumulation::proven));
                order.push(node);
                let Some(parent) = paths.before(node) else { break };
                tree.children.entry(parent).or_default().push(node);
                node = parent;
            }
            // Above each node is a node inserted earlier, or the one that follows it in this stretch.
            if let Some(stretch) = order.get_mut(start..) {
                stretch.reverse();
            }
        }
        // A stretch may hang from the middle of an earlier one, never from a later one: so, from the end
        // backwards, every node is done before its parent.
        for node in order.into_iter().rev() {
            let total = tree.total(node);
            if let Some(parent) = paths.before(node)
                && let Some(sum) = tree.totals.get_mut(&parent)
            {
                *sum = sum.saturating_add(total);
            }
        }
        tree
    }

    fn total(&self, node: NodeId) -> u32 {
        self.totals.get(&node).copied().unwrap_or_default()
    }

    fn children(&self, node: NodeId) -> &[NodeId] {
        self.children.get(&node).map(Vec::as_slice).unwrap_or_default()
    }

    /// The holders at and below a node, the largest growth first.
    fn below(&self, node: NodeId, growth: &Growth) -> Vec<NodeId> {
        let mut holders = Vec::new();
        let mut rest = vec![node];
        while let Some(node) = rest.pop() {
            if growth.by_holder.contains_key(&node) {
                holders.push(node);
            }
            rest.extend(self.children(node));
        }
        let proven = |holder: &NodeId| growth.by_holder.get(holder).map_or(0, Accumulation::proven);
        holders.sort_by_key(|holder| (std::cmp::Reverse(proven(holder)), *holder));
        holders
    }
}
