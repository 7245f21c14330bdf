//! Retained sizes: what would go if an object went.
//!
//! An object retains itself and all that it dominates. So the sizes of everything below the root of all
//! add up to the whole heap.

use super::dominators::{Dominators, Flow};
use super::graph::Graph;

/// Bytes and objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Bytes, with [all that goes](Graph::size) with each object.
    pub bytes: u64,
    /// Objects.
    pub objects: u32,
}

/// What each node retains.
#[derive(Debug)]
pub struct Retained {
    /// By node, for those that are no leaves.
    bytes: Vec<u64>,
    objects: Vec<u32>,
}

impl Retained {
    /// Adds up the sizes of all objects along the dominator tree.
    pub fn of(graph: &Graph, dominators: &Dominators) -> Retained {
        let inner = graph.first_leaf() as usize;
        let mut retained = Retained { bytes: vec![0; inner], objects: vec![0; inner] };
        for node in graph.objects() {
            let amount = Amount { bytes: graph.size(node), objects: 1 };
            if node < graph.first_leaf() {
                retained.add(node, amount);
            } else if let Some(dominator) = dominators.immediate(node) {
                retained.add(dominator, amount);
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

    /// What a node retains, itself included. For the root of all: the whole heap.
    pub fn amount(&self, graph: &Graph, node: u32) -> Amount {
        if node < graph.first_leaf() {
            self.inner(node)
        } else {
            Amount { bytes: graph.size(node), objects: 1 }
        }
    }

    fn inner(&self, node: u32) -> Amount {
        let index = node as usize;
        Amount {
            bytes: self.bytes.get(index).copied().unwrap_or_default(),
            objects: self.objects.get(index).copied().unwrap_or_default(),
        }
    }

    fn add(&mut self, node: u32, amount: Amount) {
        let index = node as usize;
        if let (Some(bytes), Some(objects)) =
            (self.bytes.get_mut(index), self.objects.get_mut(index))
        {
            *bytes = bytes.saturating_add(amount.bytes);
            *objects = objects.saturating_add(amount.objects);
        }
    }
}
