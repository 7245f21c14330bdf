//! The dominator tree from the top down: the objects that each object dominates.

use super::csr::{Counts, Csr};
use super::dominators::Dominators;
use super::search::Flow;
use crate::heap::ids::NodeId;

/// The nodes that each node immediately dominates.
#[derive(Debug)]
pub struct DominatorTree {
    children: Csr<NodeId>,
}

impl DominatorTree {
    /// Inverts the immediate dominators.
    pub fn of(graph: &impl Flow, dominators: &Dominators) -> DominatorTree {
        let edge = |node: NodeId| Some((dominators.immediate(node)?.index(), node));
        let edges = || NodeId::ROOT.up_to(graph.end()).filter_map(edge);
        let mut counts = Counts::new(graph.first_leaf().index());
        edges().for_each(|(parent, _)| counts.add(parent));
        let mut children = counts.fill(NodeId::NONE);
        edges().for_each(|(parent, node)| children.put(parent, node));
        DominatorTree { children: children.finish() }
    }

    /// The children of a node, in order of their numbers.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        self.children.row(node.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Search;

    /// 0 → 1 → {2, 3} → 4, and two leaves, one of which has two referrers.
    struct Example;

    impl Flow for Example {
        fn first_leaf(&self) -> NodeId {
            NodeId(5)
        }

        fn end(&self) -> NodeId {
            NodeId(7)
        }

        fn successors(&self, node: NodeId) -> &[NodeId] {
            match node.0 {
                0 => &[NodeId(1)],
                1 => &[NodeId(2), NodeId(3)],
                2 => &[NodeId(4), NodeId(5)],
                3 => &[NodeId(4), NodeId(5), NodeId(6)],
                _ => &[],
            }
        }
    }

    #[test]
    fn every_node_is_a_child_of_its_dominator() {
        let tree = DominatorTree::of(&Example, &Dominators::of(Search::of(&Example)));
        let children = |node| -> Vec<u32> {
            tree.children(NodeId(node)).iter().map(|child| child.0).collect()
        };
        assert_eq!(children(0), [1]);
        assert_eq!(children(1), [2, 3, 4, 5]);
        assert_eq!(children(3), [6]);
        assert!([2, 4, 5, 6, 7, u32::MAX].iter().all(|&node| children(node).is_empty()));
    }
}
