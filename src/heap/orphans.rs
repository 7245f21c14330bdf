//! Objects that no known root leads to.
//!
//! If more references are counted on such an object than there are, native code holds it: a local
//! variable of a C function, a static variable of an extension module. (An object that a known root
//! leads to may be held by native code as well; this is not asked, since a count too high by one
//! would take the object from its holder.) What is then left is garbage.

use super::capture::Capture;
use super::dominators::Flow;
use super::graph::Graph;
use crate::memory::Memory;

/// From this reference count on (as a half word) an object is immortal (from 3.12 on).
const IMMORTAL: u32 = 1 << 31;

/// Objects that no known root leads to: those which the others can be reached from.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Strings that nothing refers to but the table of interned strings.
    pub interned: Vec<u32>,
    /// What native code holds.
    pub native: Vec<u32>,
    /// What nobody holds.
    pub garbage: Vec<u32>,
}

/// A set of nodes.
struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    fn new(nodes: u32) -> NodeSet {
        NodeSet { words: vec![0; nodes.div_ceil(u64::BITS) as usize] }
    }

    /// Adds a node, and gives whether it is new.
    fn add(&mut self, node: u32) -> bool {
        let bit = 1 << (node % u64::BITS);
        self.words.get_mut((node / u64::BITS) as usize).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        })
    }

    fn contains(&self, node: u32) -> bool {
        let word = self.words.get((node / u64::BITS) as usize);
        word.is_some_and(|word| word >> (node % u64::BITS) & 1 == 1)
    }
}

impl Orphans {
    /// Finds them in a graph that has only the edges of its known roots.
    pub fn of(graph: &Graph, capture: &Capture<'_>) -> Orphans {
        let mut orphans = Orphans::default();
        let mut reached = NodeSet::new(graph.first_leaf());
        let mut rest = Vec::new();
        reach(graph, 0, &mut reached, &mut rest);

        let first = graph.objects().start;
        let unreached: Vec<u32> =
            (first..graph.first_leaf()).filter(|&node| !reached.contains(node)).collect();
        let counts = references_among(graph, &unreached);
        for (&node, &count) in unreached.iter().zip(&counts) {
            if is_held(graph, capture, node, count) {
                orphans.native.push(node);
            }
        }
        for &node in &orphans.native {
            reach(graph, node, &mut reached, &mut rest);
        }
        for &node in &unreached {
            if !reached.contains(node) {
                orphans.garbage.push(node);
                reach(graph, node, &mut reached, &mut rest);
            }
        }
        orphans.add_leaves(graph, capture);
        orphans
    }

    /// Adds the leaves that nothing refers to.
    fn add_leaves(&mut self, graph: &Graph, capture: &Capture<'_>) {
        let first_leaf = graph.first_leaf();
        let mut referred = NodeSet::new(graph.end() - first_leaf);
        for node in 0..first_leaf {
            for leaf in
                graph.successors(node).iter().filter_map(|next| next.checked_sub(first_leaf))
            {
                referred.add(leaf);
            }
        }
        for node in first_leaf..graph.end() {
            if !referred.contains(node - first_leaf) {
                let address = graph.address(capture, node);
                let interned = address.is_some_and(|address| {
                    graph.decoder().is_interned(capture, address).unwrap_or_default()
                });
                let list = if interned { &mut self.interned } else { &mut self.native };
                list.push(node);
            }
        }
    }
}

/// Adds the containers that a node leads to, and itself.
fn reach(graph: &Graph, node: u32, reached: &mut NodeSet, rest: &mut Vec<u32>) {
    if reached.add(node) {
        rest.push(node);
    }
    while let Some(node) = rest.pop() {
        for &next in graph.successors(node) {
            if next < graph.first_leaf() && reached.add(next) {
                rest.push(next);
            }
        }
    }
}

/// How many references there are to each of these nodes, which are in order. No other node refers to
/// them.
fn references_among(graph: &Graph, nodes: &[u32]) -> Vec<u32> {
    let mut counts = vec![0_u32; nodes.len()];
    for &node in nodes {
        for next in graph.successors(node) {
            if let Ok(index) = nodes.binary_search(next)
                && let Some(count) = counts.get_mut(index)
            {
                *count = count.saturating_add(1);
            }
        }
    }
    counts
}

/// Whether an object's reference count tells of more references than there are.
fn is_held(graph: &Graph, capture: &Capture<'_>, node: u32, references: u32) -> bool {
    // `ob_refcnt` is the first field; its low half is enough, and all there is of it from 3.14 on.
    let count = graph.address(capture, node).and_then(|object| capture.u32(object).ok());
    count.is_some_and(|count| count > references || count >= IMMORTAL)
}
