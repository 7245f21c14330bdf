//! Shortest paths from GC roots to objects, by breadth-first search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::object_graph::Graph;
use super::search::{Flow, Precedence};
use crate::heap::capture::copy::fetch;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::{filled, room_for};

/// A path with more steps than this has no [length](ShortestPaths::length).
pub(super) const LONGEST: u32 = 10_000;
/// How many nodes ahead of the search successors are prefetched, and how many ahead the entries of those.
const FAR: usize = 16;
const NEAR: usize = 6;
/// For at most this many successors of a node.
const MOST_AHEAD: usize = 16;
/// Marks a wanted node that has not been found. There are fewer nodes than this.
const WANTED: NodeId = NodeId(u32::MAX - 1);

/// The node from which each node was found first, in a breadth-first search from the super-root.
///
/// Paths from known roots come before those from [inferred](Precedence) roots, however long they are: garbage
/// refers to many live objects, and does not hold them. Of paths of equal length the first is taken, and
/// roots with names come before those without.
#[derive(Debug)]
pub struct ShortestPaths {
    parents: Vec<NodeId>,
}

impl ShortestPaths {
    /// Finds a shortest path to every object.
    pub fn of(graph: &Graph) -> ShortestPaths {
        ShortestPaths::through(graph, |_| true)
    }

    /// Finds a shortest path to every object among the paths that pass only nodes that are `allowed`; the
    /// last node need not be.
    pub fn through(graph: &impl Flow, allowed: impl Fn(NodeId) -> bool) -> ShortestPaths {
        ShortestPaths::search(graph, allowed, None)
    }

    /// The same for these nodes and the nodes on their paths; for other nodes the result is not meaningful.
    pub fn to(
        graph: &impl Flow,
        allowed: impl Fn(NodeId) -> bool,
        wanted: &[NodeId],
    ) -> ShortestPaths {
        ShortestPaths::search(graph, allowed, Some(wanted))
    }

    /// Searches everything, or until all wanted nodes have been found.
    fn search(
        graph: &impl Flow,
        allowed: impl Fn(NodeId) -> bool,
        wanted: Option<&[NodeId]>,
    ) -> ShortestPaths {
        let mut parents = filled(NodeId::NONE, graph.end().index());
        let mut missing = 0;
        for &node in wanted.unwrap_or_default() {
            let parent = parents.get_mut(node.index());
            if let Some(parent) = parent.filter(|parent| **parent == NodeId::NONE) {
                *parent = WANTED;
                missing += 1;
            }
        }
        let all_found = |missing: usize| wanted.is_some() && missing == 0;
        let mut queue: Vec<NodeId> = room_for(graph.first_leaf().index());
        queue.push(NodeId::ROOT);
        if let Some(root) = parents.first_mut() {
            *root = NodeId::ROOT;
        }
        let mut next = 0;
        let mut later: BinaryHeap<Reverse<(Precedence, NodeId)>> = BinaryHeap::new();
        while !all_found(missing) {
            if next == queue.len() {
                queue.extend(later.pop().map(|Reverse((_, root))| root));
            }
            let Some(&node) = queue.get(next) else { break };
            next += 1;
            if let Some(&later) = queue.get(next + FAR) {
                graph.prefetch(later);
            }
            if let Some(&soon) = queue.get(next + NEAR) {
                for &target in graph.successors(soon).iter().take(MOST_AHEAD) {
                    if let Some(parent) = parents.get(target.index()) {
                        fetch(parent);
                    }
                }
            }
            for &target in graph.successors(node) {
                if let Some(parent) = parents.get_mut(target.index())
                    && *parent >= WANTED
                {
                    missing -= usize::from(*parent == WANTED);
                    *parent = node;
                    if target < graph.first_leaf() && allowed(target) {
                        match node == NodeId::ROOT && graph.precedence(target) > Precedence::Known {
                            true => later.push(Reverse((graph.precedence(target), target))),
                            false => queue.push(target),
                        }
                    }
                }
            }
        }
        if missing > 0 {
            for parent in parents.iter_mut().filter(|parent| **parent == WANTED) {
                *parent = NodeId::NONE;
            }
        }
        ShortestPaths { parents }
    }

    /// Whether there is a path to a node.
    pub fn reaches(&self, node: NodeId) -> bool {
        self.parents.get(node.index()).is_some_and(|&parent| parent != NodeId::NONE)
    }

    /// The child of the super-root with which the path to a node begins.
    pub fn root(&self, node: NodeId) -> Option<NodeId> {
        std::iter::successors(Some(node), |&node| self.before(node))
            .take_while(|&node| node != NodeId::ROOT)
            .last()
    }

    /// The number of steps of the path to a node; `None` if there is none, or if it is too long to show.
    pub fn length(&self, node: NodeId) -> Option<u32> {
        let mut node = node;
        for length in 0..LONGEST {
            if node == NodeId::ROOT {
                return Some(length);
            }
            node = self.before(node)?;
        }
        None
    }

    /// The node before this one on the path; `None` for the super-root and for nodes without a path.
    pub fn before(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.parents.get(node.index()).copied()?;
        (node != NodeId::ROOT && parent != NodeId::NONE).then_some(parent)
    }

    /// The nodes from a dominator of a node (the super-root, for instance) to that node, both included; empty
    /// if no path is known.
    pub fn between(&self, from: NodeId, to: NodeId) -> Vec<NodeId> {
        self.between_within(from, to, &mut u64::MAX.clone())
    }

    /// [`between`](Self::between) in as many steps as are left; empty if these do not suffice.
    pub fn between_within(&self, from: NodeId, to: NodeId, left: &mut u64) -> Vec<NodeId> {
        let mut nodes = vec![to];
        let mut node = to;
        while node != from {
            let parent = self.before(node).filter(|_| *left > 0);
            let Some(parent) = parent else { return Vec::new() };
            *left -= 1;
            node = parent;
            nodes.push(node);
        }
        nodes.reverse();
        nodes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Lists(Vec<Vec<NodeId>>);

    impl Flow for Lists {
        fn first_leaf(&self) -> NodeId {
            NodeId(self.0.len() as u32 - 4)
        }

        fn end(&self) -> NodeId {
            NodeId(self.0.len() as u32)
        }

        fn successors(&self, node: NodeId) -> &[NodeId] {
            &self.0[node.index()]
        }

        fn precedence(&self, node: NodeId) -> Precedence {
            match node.0 {
                1 => Precedence::Last,
                2 => Precedence::Inferred,
                _ => Precedence::Known,
            }
        }
    }

    #[test]
    fn a_long_path_from_what_is_known_comes_before_a_short_one_from_garbage() {
        let lists = [&[1, 2, 3][..], &[5, 6], &[5, 7, 6], &[4], &[5], &[], &[], &[], &[], &[], &[]];
        let lists = lists.map(|list| list.iter().copied().map(NodeId).collect());
        let paths = ShortestPaths::through(&Lists(lists.to_vec()), |_| true);
        let between =
            |to| paths.between(NodeId::ROOT, NodeId(to)).iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(between(5), [0, 3, 4, 5]);
        assert_eq!(between(6), [0, 2, 6]);
        let roots = [1, 5, 6, 7].map(|node| paths.root(NodeId(node)).map(|root| root.0));
        assert_eq!(roots, [Some(1), Some(3), Some(2), Some(2)]);
    }

    proptest! {
        /// If only some paths are wanted, those are found as if all were.
        #[test]
        fn what_is_wanted_is_found_as_if_all_were(
            successors in prop::collection::vec(prop::collection::vec((0..30_u32).prop_map(NodeId), 0..4), 30),
            wanted in prop::collection::vec((0..30_u32).prop_map(NodeId), 0..5),
            shut in (1..30_u32).prop_map(NodeId),
        ) {
            let graph = Lists(successors);
            let all = ShortestPaths::through(&graph, |node| node != shut);
            let some = ShortestPaths::to(&graph, |node| node != shut, &wanted);
            for &node in &wanted {
                prop_assert_eq!(some.reaches(node), all.reaches(node));
                prop_assert_eq!(some.between(NodeId::ROOT, node), all.between(NodeId::ROOT, node));
            }
        }
    }
}
