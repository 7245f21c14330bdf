//! The transposed graph: the referrers of each object.
//!
//! An object that refers to another twice is listed twice, as it counts twice in the other's reference count.

use super::csr::{Counts, Csr};
use super::search::Flow;
use crate::heap::ids::NodeId;

/// How many references ahead their places are prefetched.
const AHEAD: usize = 16;

/// The nodes that refer to each node.
#[derive(Debug)]
pub struct Referrers {
    referrers: Csr<NodeId>,
}

impl Referrers {
    /// Inverts all edges of a graph, including those of the super-root and the roots.
    pub fn of(graph: &impl Flow) -> Referrers {
        let mut counts = Counts::new(graph.end().index());
        for node in NodeId::ROOT.up_to(graph.first_leaf()) {
            let successors = graph.successors(node);
            for (index, next) in successors.iter().enumerate() {
                if let Some(soon) = successors.get(index + AHEAD) {
                    counts.prefetch(soon.index());
                }
                counts.add(next.index());
            }
        }
        let mut referrers = counts.fill(NodeId::NONE);
        for node in NodeId::ROOT.up_to(graph.first_leaf()) {
            let successors = graph.successors(node);
            for (index, next) in successors.iter().enumerate() {
                if let Some(soon) = successors.get(index + AHEAD) {
                    referrers.prefetch(soon.index());
                }
                referrers.put(next.index(), node);
            }
        }
        Referrers { referrers: referrers.finish() }
    }

    /// The referrers of a node, in order; one that refers to it several times is listed as often.
    pub fn of_node(&self, node: NodeId) -> &[NodeId] {
        self.referrers.row(node.index())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lists of successors; the last nodes are leaves.
    struct Lists(Vec<Vec<NodeId>>, u32);

    impl Flow for Lists {
        fn first_leaf(&self) -> NodeId {
            NodeId(self.0.len() as u32)
        }

        fn end(&self) -> NodeId {
            NodeId(self.0.len() as u32 + self.1)
        }

        fn successors(&self, node: NodeId) -> &[NodeId] {
            &self.0[node.index()]
        }
    }

    proptest! {
        #[test]
        fn each_reference_is_found_from_its_other_end(
            successors in prop::collection::vec(prop::collection::vec((0..40_u32).prop_map(NodeId), 0..30), 1..30),
        ) {
            let graph = Lists(successors, 10);
            let end = graph.end();
            let graph = Lists(
                graph.0.into_iter().map(|to| to.into_iter().filter(|&to| to < end).collect()).collect(),
                10,
            );
            let referrers = Referrers::of(&graph);
            for node in NodeId::ROOT.up_to(end) {
                let expected: Vec<NodeId> = NodeId::ROOT.up_to(graph.first_leaf())
                    .flat_map(|from| graph.successors(from).iter().map(move |&to| (from, to)))
                    .filter_map(|(from, to)| (to == node).then_some(from))
                    .collect();
                prop_assert_eq!(referrers.of_node(node), expected);
            }
            prop_assert!(referrers.of_node(NodeId::NONE).is_empty());
        }
    }
}
