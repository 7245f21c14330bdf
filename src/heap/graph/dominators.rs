//! Immediate dominators: for each node the one nearest to it without which it could not be reached.
//!
//! The algorithm is Semi-NCA (Georgiadis and Tarjan): semidominators by depth-first search and path
//! compression as Lengauer and Tarjan have it, then each immediate dominator as the nearest common
//! ancestor of parent and semidominator in the tree found so far. That step walks up the tree; *jump
//! pointers* keep it logarithmic where a naive walk is quadratic, as below a linked list of a million
//! nodes. Nothing recurses.
//!
//! Most nodes of a heap are leaves: they refer to nothing, so that nobody is dominated by them. They
//! take no part in it. Their dominator is the nearest common ancestor of those that refer to
//! them.

use std::mem;

use super::search::{NONE, Search};
use crate::heap::support::huge_vec::{collected, filled, room_for};

/// The dominator tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dominators {
    /// For each node its immediate dominator, or [`NONE`] if it cannot be reached; the root's is itself.
    immediate: Vec<u32>,
    /// The nodes that can be reached and are no leaves, each behind its dominator.
    order: Vec<u32>,
}

impl Dominators {
    /// Computes the dominators of all nodes that a search has reached.
    pub fn of(search: Search) -> Dominators {
        let Search { number, order, parent, semi, crossings, leaves, shared, .. } = search;
        let nodes = number.len();
        drop(number);
        let predecessors = Predecessors::new(order.len(), crossings);
        let semi = semidominators(&parent, semi, &predecessors);
        drop(predecessors);
        let tree = Tree::of(&parent, &semi);
        drop((parent, semi));
        let leaves = leaf_dominators(leaves, shared, &tree);
        let node = |number: u32| order.get(number as usize).copied().unwrap_or(NONE);
        let mut immediate = room_for(nodes + leaves.len());
        immediate.resize(nodes, NONE);
        for (&vertex, link) in order.iter().zip(&tree.links) {
            if let Some(immediate) = immediate.get_mut(vertex as usize) {
                *immediate = node(link.parent);
            }
        }
        immediate.extend(leaves.into_iter().map(node));
        Dominators { immediate, order }
    }

    /// The immediate dominator of a node; `None` for the root, and for what it does not lead to.
    pub fn immediate(&self, node: u32) -> Option<u32> {
        let dominator = *self.immediate.get(node as usize)?;
        (dominator != NONE && node != 0).then_some(dominator)
    }

    /// Whether the root leads to a node.
    pub fn reaches(&self, node: u32) -> bool {
        self.immediate.get(node as usize).is_some_and(|&dominator| dominator != NONE)
    }

    /// The nodes that can be reached and are no leaves, each behind its dominator; first the root.
    pub fn order(&self) -> &[u32] {
        &self.order
    }
}

/// The semidominator of each node, by number.
fn semidominators(parent: &[u32], mut semi: Vec<u32>, predecessors: &Predecessors) -> Vec<u32> {
    let mut forest = Forest::new(parent);
    for node in (1..parent.len() as u32).rev() {
        let mut least = semi[node as usize];
        for &from in predecessors.of(node) {
            if least == 0 {
                break;
            }
            // What has a smaller number has not been worked on, and stands for itself.
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

/// Edges by where they lead to.
struct Predecessors {
    starts: Vec<u32>,
    from: Vec<u32>,
}

impl Predecessors {
    /// Sorts the edges among so many nodes.
    fn new(nodes: usize, edges: Vec<[u32; 2]>) -> Predecessors {
        let mut starts = filled(0, nodes + 1);
        for [_, to] in &edges {
            starts[*to as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += mem::replace(start, sum);
        }
        let mut from = filled(0, edges.len());
        // Afterwards each start has become the start of the next.
        for [node, to] in edges {
            let start = &mut starts[to as usize];
            from[*start as usize] = node;
            *start += 1;
        }
        starts.rotate_right(1);
        if let Some(first) = starts.first_mut() {
            *first = 0;
        }
        Predecessors { starts, from }
    }

    fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.from[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// The nodes worked on, as trees along the search's parents, with shortened paths.
struct Forest {
    trees: Vec<Shortened>,
    path: Vec<u32>,
}

/// A node's way up.
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

    /// The least semidominator on the way up from `node` to what has not been worked on: numbers up to
    /// `last`.
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

/// A tree in which ancestors are found in logarithmic time. Parents have smaller numbers.
struct Tree {
    links: Vec<Link>,
}

/// A node of the tree: beside its parent it knows one ancestor further up (Myers' skew-binary jump
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

    /// The first on the way up from `node` whose number is not greater than `most`.
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
            // Nodes of one depth jump to one depth.
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

    use super::super::search::Flow;
    use super::*;

    #[derive(Debug, Clone)]
    struct Lists {
        successors: Vec<Vec<u32>>,
        end: u32,
    }

    impl Flow for Lists {
        fn first_leaf(&self) -> u32 {
            self.successors.len() as u32
        }

        fn end(&self) -> u32 {
            self.end
        }

        fn successors(&self, node: u32) -> &[u32] {
            &self.successors[node as usize]
        }
    }

    impl Lists {
        /// What the root leads to, without passing a node.
        fn reached_without(&self, absent: Option<u32>) -> BTreeSet<u32> {
            let mut reached = BTreeSet::new();
            let mut rest = vec![0];
            while let Some(node) = rest.pop() {
                if Some(node) != absent && reached.insert(node) && node < self.first_leaf() {
                    rest.extend(&self.successors[node as usize]);
                }
            }
            reached
        }

        /// Each node's dominators by what cannot be reached without them; of these the immediate one is
        /// dominated by all others.
        fn brute_force(&self) -> Vec<Option<u32>> {
            let all = self.reached_without(None);
            let mut dominators = vec![BTreeSet::new(); self.end as usize];
            for &node in &all {
                for lost in all.difference(&self.reached_without(Some(node))) {
                    if *lost != node {
                        dominators[*lost as usize].insert(node);
                    }
                }
            }
            let count = |node: &u32| dominators[*node as usize].len();
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
                    successors[from as usize].push(to);
                }
                Lists { successors, end }
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
            for node in 0..graph.end {
                prop_assert_eq!(dominators.immediate(node), expected[node as usize], "node {}", node);
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

        /// What the root did not lead to is connected later: nodes to a new child of the root, then leaves.
        #[test]
        fn a_search_can_go_on(mut graph in graphs()) {
            let child = graph.first_leaf();
            graph.successors.push(Vec::new());
            graph.end += 1;
            for next in graph.successors.iter_mut().flatten() {
                // What were leaves have moved by one.
                *next += u32::from(*next >= child);
            }
            let mut search = Search::of(&graph);
            let mut connect = |graph: &mut Lists, from: u32, to: u32| {
                graph.successors[from as usize].push(to);
                search.add_edge(graph, from, to);
            };
            let unreached = |graph: &Lists, nodes: std::ops::Range<u32>| -> Vec<u32> {
                let reached = graph.reached_without(None);
                nodes.filter(|node| !reached.contains(node)).collect()
            };
            connect(&mut graph, 0, child);
            for node in unreached(&graph, 0..child) {
                connect(&mut graph, child, node);
            }
            let leaves = child + 1..graph.end;
            for leaf in unreached(&graph, leaves) {
                connect(&mut graph, child, leaf);
            }
            prop_assert!((0..graph.end).all(|node| search.reaches(node)));
            let dominators = Dominators::of(search);
            let expected = graph.brute_force();
            for node in 0..graph.end {
                prop_assert_eq!(dominators.immediate(node), expected[node as usize], "node {}", node);
            }
        }
    }

    /// A linked list with a fan at its end, to all of which the root leads as well: where a walk up the
    /// list for each of the fan would take 10 to the 11 steps.
    #[test]
    fn a_fan_below_a_long_list() {
        const LENGTH: u32 = 300_000;
        let mut successors: Vec<Vec<u32>> = (0..LENGTH).map(|node| vec![node + 1]).collect();
        let (fan, leaves) = (LENGTH + 1..2 * LENGTH, 3 * LENGTH..4 * LENGTH);
        successors.push(fan.clone().chain(leaves.clone()).collect());
        successors.resize(3 * LENGTH as usize, Vec::new());
        successors[0] = [1].into_iter().chain(fan.clone()).chain(leaves.clone()).collect();
        let dominators = Dominators::of(Search::of(&Lists { successors, end: 4 * LENGTH }));
        assert_eq!(dominators.immediate(LENGTH), Some(LENGTH - 1));
        assert!(fan.chain(leaves).all(|node| dominators.immediate(node) == Some(0)));
    }
}
