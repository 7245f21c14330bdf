//! Immediate dominators: for each node the nearest node without which it could not be reached.
//!
//! The algorithm is Semi-NCA (Georgiadis and Tarjan): semidominators by depth-first search and path
//! compression, as in Lengauer and Tarjan, then each immediate dominator as the nearest common ancestor of
//! parent and semidominator in the tree found so far. That step walks up the tree; *jump pointers* keep it
//! logarithmic where a naive walk is quadratic, as below a linked list of a million nodes. There is no
//! recursion.
//!
//! Most nodes of a heap are leaves: they refer to nothing, so they dominate nothing and take no part in the
//! algorithm. The dominator of a leaf is the nearest common ancestor of its referrers.
//!
//! Over 400 lines with its tests: one algorithm, and the brute force that checks it.

use std::mem;

use super::csr::{Counts, Csr};
use super::search::Search;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::{collected, filled, room_for};

/// The dominator tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dominators {
    /// The immediate dominator of each node, or [`NodeId::NONE`] if it cannot be reached; the root's is
    /// itself.
    immediate: Vec<NodeId>,
    /// The nodes that can be reached and are not leaves, each after its dominator.
    order: Vec<NodeId>,
}

impl Dominators {
    /// Computes the dominators of all nodes that a search has reached.
    pub fn of(search: Search) -> Dominators {
        let Search { number, order, parent, semi, crossings, leaves, shared, .. } = search;
        let nodes = number.len();
        drop(number);
        let predecessors = predecessors(order.len(), crossings);
        let semi = semidominators(&parent, semi, &predecessors);
        drop(predecessors);
        let tree = Tree::of(&parent, &semi);
        drop((parent, semi));
        let leaves = leaf_dominators(leaves, shared, &tree);
        let node = |number: u32| order.get(number as usize).copied().unwrap_or(NodeId::NONE);
        let mut immediate = room_for(nodes + leaves.len());
        immediate.resize(nodes, NodeId::NONE);
        for (&vertex, link) in order.iter().zip(&tree.links) {
            if let Some(immediate) = immediate.get_mut(vertex.index()) {
                *immediate = node(link.parent);
            }
        }
        immediate.extend(leaves.into_iter().map(node));
        Dominators { immediate, order }
    }

    /// Dominators that are already known, by node; [`NodeId::NONE`] for a node that cannot be reached. Nodes
    /// from the first leaf on dominate nothing. `None` if they do not form a tree below the root.
    pub(crate) fn kept(immediate: Vec<NodeId>, first_leaf: NodeId) -> Option<Dominators> {
        /// Not computed yet, and no depth because the node cannot be reached.
        const UNKNOWN: u32 = 0;
        const UNREACHABLE: u32 = u32::MAX;
        let end = first_leaf.index().min(immediate.len());
        let above = |node: usize| immediate.get(node).copied().unwrap_or(NodeId::NONE);
        let mut depths = filled(UNKNOWN, end);
        *depths.first_mut()? = 1;
        let mut way = Vec::new();
        for start in 0..end {
            let mut node = start;
            let mut depth = loop {
                match depths.get(node).copied() {
                    Some(UNKNOWN) if way.len() < end => way.push(node),
                    Some(UNKNOWN) => return None,
                    Some(depth) => break depth,
                    // Its dominator would be a leaf.
                    None => return None,
                }
                match above(node) {
                    // A node below an unreachable one cannot be reached either.
                    NodeId::NONE if way.len() > 1 => return None,
                    NodeId::NONE => break UNREACHABLE,
                    dominator => node = dominator.index(),
                }
            };
            if depth == UNREACHABLE && way.last().is_some_and(|&last| above(last) != NodeId::NONE) {
                return None;
            }
            while let Some(node) = way.pop() {
                depth = depth.saturating_add(1);
                *depths.get_mut(node)? = depth;
            }
        }
        let is_reached = |node: NodeId| {
            node == NodeId::NONE
                || depths.get(node.index()).is_some_and(|&depth| depth != UNREACHABLE)
        };
        if !immediate.iter().skip(end).all(|&node| is_reached(node)) {
            return None;
        }
        let mut order: Vec<NodeId> = (0..end as u32).map(NodeId).collect();
        order.retain(|node| depths.get(node.index()).is_some_and(|&depth| depth != UNREACHABLE));
        order.sort_by_key(|node| depths.get(node.index()).copied());
        Some(Dominators { immediate, order })
    }

    /// The immediate dominator of a node; `None` for the root, and for a node that it does not reach.
    pub fn immediate(&self, node: NodeId) -> Option<NodeId> {
        let dominator = *self.immediate.get(node.index())?;
        (dominator != NodeId::NONE && node != NodeId::ROOT).then_some(dominator)
    }

    /// Whether the root reaches a node.
    pub fn reaches(&self, node: NodeId) -> bool {
        self.immediate.get(node.index()).is_some_and(|&dominator| dominator != NodeId::NONE)
    }

    /// The nodes that can be reached and are not leaves, each after its dominator; the root is first.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }
}

/// The semidominator of each node, by number.
fn semidominators(parent: &[u32], mut semi: Vec<u32>, predecessors: &Csr<u32>) -> Vec<u32> {
    let mut forest = Forest::new(parent);
    for node in (1..parent.len() as u32).rev() {
        let mut least = semi[node as usize];
        for &from in predecessors.row(node as usize) {
            if least == 0 {
                break;
            }
            // A node with a smaller number has not been processed, and stands for itself.
            let reached = if from > node { forest.best(from, node) } else { from };
            least = least.min(reached);
        }
        semi[node as usize] = least;
        forest.trees[node as usize].best = least;
    }
    semi
}

/// The dominator of each leaf, by number.
fn leaf_dominators(mut leaves: Vec<u32>, shared: Vec<[u32; 2]>, tree: &Tree) -> Vec<u32> {
    for [leaf, from] in shared {
        let dominator = &mut leaves[leaf as usize];
        if *dominator != from && *dominator != 0 {
            *dominator = tree.common_ancestor(*dominator, from);
        }
    }
    leaves
}

/// Edges among this many nodes, by target.
fn predecessors(nodes: usize, edges: Vec<[u32; 2]>) -> Csr<u32> {
    let mut counts = Counts::new(nodes);
    for [_, to] in &edges {
        counts.add(*to as usize);
    }
    let mut predecessors = counts.fill(0);
    for [from, to] in edges {
        predecessors.put(to as usize, from);
    }
    predecessors.finish()
}

/// The processed nodes, as trees along the search's parents, with compressed paths.
struct Forest {
    trees: Vec<Shortened>,
    path: Vec<u32>,
}

/// The compressed path up from a node.
struct Shortened {
    ancestor: u32,
    /// The least semidominator from the node up to that ancestor.
    best: u32,
}

impl Forest {
    fn new(parent: &[u32]) -> Forest {
        let trees = parent
            .iter()
            .enumerate()
            .map(|(best, &ancestor)| Shortened { ancestor, best: best as u32 });
        Forest { trees: collected(trees), path: Vec::new() }
    }

    /// The least semidominator on the path up from `node` to the first unprocessed node; those have numbers
    /// up to `last`.
    fn best(&mut self, node: u32, last: u32) -> u32 {
        let mut top = node;
        while self.trees[top as usize].ancestor > last {
            self.path.push(top);
            top = self.trees[top as usize].ancestor;
        }
        let Shortened { ancestor, mut best } = self.trees[top as usize];
        while let Some(below) = self.path.pop() {
            let below = &mut self.trees[below as usize];
            best = best.min(below.best);
            *below = Shortened { ancestor, best };
        }
        best
    }
}

/// A tree that finds ancestors in logarithmic time. Parents have smaller numbers.
struct Tree {
    links: Vec<Link>,
}

/// A node of the tree: besides its parent it knows one ancestor further up (Myers' skew-binary jump
/// pointers).
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    parent: u32,
    jump: u32,
    depth: u32,
}

impl Tree {
    /// The dominator tree over the numbers.
    fn of(parent: &[u32], semi: &[u32]) -> Tree {
        let mut tree = Tree { links: room_for(parent.len()) };
        tree.links.extend(parent.first().map(|_| Link::default()));
        for (&parent, &semi) in parent.iter().zip(semi).skip(1) {
            let dominator = tree.ancestor_up_to(parent, semi);
            tree.add_below(dominator);
        }
        tree
    }

    fn link(&self, node: u32) -> Link {
        self.links[node as usize]
    }

    /// Adds the next node.
    fn add_below(&mut self, parent: u32) {
        let above = self.link(parent);
        let jump = self.link(above.jump);
        let is_even = above.depth - jump.depth == jump.depth - self.link(jump.jump).depth;
        let jump = if is_even { jump.jump } else { parent };
        self.links.push(Link { parent, jump, depth: above.depth + 1 });
    }

    /// The first node on the path up from `node` with a number of at most `most`.
    fn ancestor_up_to(&self, mut node: u32, most: u32) -> u32 {
        while node > most {
            let Link { parent, jump, .. } = self.link(node);
            node = if jump > most { jump } else { parent };
        }
        node
    }

    /// The nearest common ancestor.
    fn common_ancestor(&self, mut one: u32, mut other: u32) -> u32 {
        if self.link(one).depth < self.link(other).depth {
            mem::swap(&mut one, &mut other);
        }
        let level = self.link(other).depth;
        while self.link(one).depth > level {
            let Link { parent, jump, .. } = self.link(one);
            one = if self.link(jump).depth >= level { jump } else { parent };
        }
        while one != other {
            // Nodes of equal depth jump to equal depths.
            let (here, there) = (self.link(one), self.link(other));
            (one, other) = match here.jump != there.jump {
                true => (here.jump, there.jump),
                false => (here.parent, there.parent),
            };
        }
        one
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::search::{Flow, Precedence};
    use super::*;

    #[derive(Debug, Clone)]
    struct Lists {
        successors: Vec<Vec<NodeId>>,
        end: u32,
        last: Option<NodeId>,
    }

    impl Flow for Lists {
        fn first_leaf(&self) -> NodeId {
            NodeId(self.successors.len() as u32)
        }

        fn end(&self) -> NodeId {
            NodeId(self.end)
        }

        fn successors(&self, node: NodeId) -> &[NodeId] {
            &self.successors[node.index()]
        }

        fn precedence(&self, node: NodeId) -> Precedence {
            if self.last == Some(node) { Precedence::Last } else { Precedence::Known }
        }
    }

    impl Lists {
        /// The nodes that the root reaches without passing a node.
        fn reached_without(&self, absent: Option<NodeId>) -> BTreeSet<NodeId> {
            let mut reached = BTreeSet::new();
            let mut rest = vec![NodeId::ROOT];
            while let Some(node) = rest.pop() {
                if Some(node) != absent && reached.insert(node) && node < self.first_leaf() {
                    rest.extend(&self.successors[node.index()]);
                }
            }
            reached
        }

        /// The dominators of a node are the nodes without which it cannot be reached; the immediate one is
        /// dominated by all others.
        fn brute_force(&self) -> Vec<Option<NodeId>> {
            let all = self.reached_without(None);
            let mut dominators = vec![BTreeSet::new(); self.end as usize];
            for &node in &all {
                for lost in all.difference(&self.reached_without(Some(node))) {
                    if *lost != node {
                        dominators[lost.index()].insert(node);
                    }
                }
            }
            let count = |node: &NodeId| dominators[node.index()].len();
            dominators
                .iter()
                .map(|set| set.iter().max_by_key(|node| count(node)).copied())
                .collect()
        }
    }

    fn graphs() -> impl Strategy<Value = Lists> {
        (1..40_u32, 0..30_u32, 1..120_usize).prop_flat_map(|(inner, leaves, edges)| {
            let end = inner + leaves;
            prop::collection::vec((0..inner, 0..end), 0..edges).prop_map(move |edges| {
                let mut successors = vec![Vec::new(); inner as usize];
                for (from, to) in edges {
                    successors[from as usize].push(NodeId(to));
                }
                Lists { successors, end, last: None }
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn as_by_brute_force(graph in graphs()) {
            let dominators = Dominators::of(Search::of(&graph));
            let expected = graph.brute_force();
            let reached = graph.reached_without(None);
            for node in NodeId::ROOT.up_to(graph.end()) {
                prop_assert_eq!(dominators.immediate(node), expected[node.index()], "{:?}", node);
                prop_assert_eq!(dominators.reaches(node), reached.contains(&node));
            }
            let mut seen = BTreeSet::new();
            for &node in dominators.order() {
                prop_assert!(dominators.immediate(node).is_none_or(|before| seen.contains(&before)));
                seen.insert(node);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Nodes that the root does not reach are connected later: nodes to a new child of the root, then
        /// leaves. That child may be of the kind that holds only what nothing else reaches.
        #[test]
        fn a_search_can_go_on(mut graph in graphs(), is_last in any::<bool>()) {
            let child = graph.first_leaf();
            graph.successors.push(Vec::new());
            graph.end += 1;
            graph.last = is_last.then_some(child);
            for next in graph.successors.iter_mut().flatten() {
                // Former leaves have moved by one.
                next.0 += u32::from(*next >= child);
            }
            let mut search = Search::of(&graph);
            let mut connect = |graph: &mut Lists, from: NodeId, to: NodeId| {
                graph.successors[from.index()].push(to);
                search.add_edge(graph, from, to);
            };
            let unreached = |graph: &Lists, from: NodeId, end: NodeId| -> Vec<NodeId> {
                let reached = graph.reached_without(None);
                from.up_to(end).filter(|node| !reached.contains(node)).collect()
            };
            let before = graph.reached_without(None);
            connect(&mut graph, NodeId::ROOT, child);
            for node in unreached(&graph, NodeId::ROOT, child) {
                connect(&mut graph, child, node);
            }
            for leaf in unreached(&graph, NodeId(child.0 + 1), graph.end()) {
                connect(&mut graph, child, leaf);
            }
            prop_assert!(NodeId::ROOT.up_to(graph.end()).all(|node| search.reaches(node)));
            let dominators = Dominators::of(search);
            for (node, next) in (0..).map(NodeId).zip(&mut graph.successors) {
                next.retain(|next| !is_last || before.contains(&node) || !before.contains(next));
            }
            let expected = graph.brute_force();
            for node in NodeId::ROOT.up_to(graph.end()) {
                prop_assert_eq!(dominators.immediate(node), expected[node.index()], "{:?}", node);
            }
        }
    }

    /// A linked list with a fan at its end, all of which the root refers to as well: a walk up the list for
    /// each node of the fan would take 10^11 steps.
    #[test]
    fn a_fan_below_a_long_list() {
        const LENGTH: u32 = 300_000;
        let mut successors: Vec<Vec<NodeId>> =
            (0..LENGTH).map(|node| vec![NodeId(node + 1)]).collect();
        let fan = NodeId(LENGTH + 1).up_to(NodeId(2 * LENGTH));
        let leaves = NodeId(3 * LENGTH).up_to(NodeId(4 * LENGTH));
        successors.push(fan.clone().chain(leaves.clone()).collect());
        successors.resize(3 * LENGTH as usize, Vec::new());
        successors[0] = [NodeId(1)].into_iter().chain(fan.clone()).chain(leaves.clone()).collect();
        let lists = Lists { successors, end: 4 * LENGTH, last: None };
        let dominators = Dominators::of(Search::of(&lists));
        assert_eq!(dominators.immediate(NodeId(LENGTH)), Some(NodeId(LENGTH - 1)));
        assert!(fan.chain(leaves).all(|node| dominators.immediate(node) == Some(NodeId::ROOT)));
    }
}
