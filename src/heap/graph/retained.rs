//! Retained sizes: what would be freed with an object.
//!
//! An object retains itself and all that it dominates. So the retained sizes of the immediate children of the
//! super-root add up to the whole heap.

use rustc_hash::{FxHashMap, FxHashSet};

use super::dominators::Dominators;
use super::object_graph::Graph;
use super::search::Flow;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::room_for;

/// Bytes and objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Bytes: the [full size](Graph::size) of each object.
    pub bytes: u64,
    /// Objects.
    pub objects: u32,
}

/// The retained size of each node.
#[derive(Debug)]
pub struct Retained {
    /// By node, for nodes that are not leaves.
    amounts: Vec<Amount>,
}

impl Retained {
    /// Adds up the sizes of all objects along the dominator tree.
    pub fn of(graph: &Graph, dominators: &Dominators) -> Retained {
        let own = |node| Amount { bytes: graph.size(node), objects: 1 };
        let (first, first_leaf) = (graph.first_object(), graph.first_leaf());
        let mut retained = Retained { amounts: room_for(first_leaf.index()) };
        retained.amounts.resize(first.index(), Amount::default());
        retained.amounts.extend(first.up_to(first_leaf).map(own));
        for leaf in first_leaf.up_to(graph.end()) {
            if let Some(dominator) = dominators.immediate(leaf) {
                retained.add(dominator, own(leaf));
            }
        }
        for &node in dominators.order().iter().rev() {
            if let Some(dominator) = dominators.immediate(node) {
                let amount = retained.inner(node);
                retained.add(dominator, amount);
            }
        }
        retained
    }

    /// The retained size of a node, itself included. For the super-root: the whole heap.
    pub fn amount(&self, graph: &Graph, node: NodeId) -> Amount {
        if node < graph.first_leaf() {
            self.inner(node)
        } else {
            Amount { bytes: graph.size(node), objects: 1 }
        }
    }

    fn inner(&self, node: NodeId) -> Amount {
        self.amounts.get(node.index()).copied().unwrap_or_default()
    }

    fn add(&mut self, node: NodeId, amount: Amount) {
        if let Some(sum) = self.amounts.get_mut(node.index()) {
            sum.bytes = sum.bytes.saturating_add(amount.bytes);
            sum.objects = sum.objects.saturating_add(amount.objects);
        }
    }
}

/// What would be freed with these objects: their retained sizes, nothing counted twice.
pub fn retained_together(
    graph: &Graph,
    dominators: &Dominators,
    retained: &Retained,
    nodes: &[NodeId],
) -> Amount {
    let members: FxHashSet<NodeId> = nodes.iter().copied().collect();
    // Whether one of them is on the path from a node up to the root, the node included.
    let mut known: FxHashMap<NodeId, bool> = FxHashMap::default();
    let mut way = Vec::new();
    let mut is_below = |node: NodeId| {
        let mut next = dominators.immediate(node);
        let found = loop {
            let Some(above) = next else { break false };
            if members.contains(&above) {
                break true;
            }
            if let Some(&known) = known.get(&above) {
                break known;
            }
            way.push(above);
            next = dominators.immediate(above);
        };
        known.extend(way.drain(..).map(|above| (above, found)));
        found
    };
    let mut sum = Amount::default();
    for &node in &members {
        if !is_below(node) {
            let amount = retained.amount(graph, node);
            sum.bytes = sum.bytes.saturating_add(amount.bytes);
            sum.objects = sum.objects.saturating_add(amount.objects);
        }
    }
    sum
}
