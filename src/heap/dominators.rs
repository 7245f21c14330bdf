//! Immediate dominators: for each node the one nearest to it without which it could not be reached.
//!
//! The algorithm is Semi-NCA (Georgiadis and Tarjan): semidominators by depth-first search and path
//! compression as Lengauer and Tarjan have it, then each immediate dominator as the nearest common
//! ancestor of parent and semidominator in the tree found so far. That step walks up the tree; *jump
//! pointers* keep it logarithmic where a naive walk is quadratic, as below a linked list of a million
//! nodes. Nothing recurses.
//!
//! Most nodes of a heap are leaves: they refer to nothing, so that nobody is dominated by them. They
//! take no part in the search. Their dominator is the nearest common ancestor of those that refer to
//! them.

use std::mem;

/// What stands for no node.
pub const NONE: u32 = u32::MAX;

/// A graph with a root, node 0.
pub trait Flow {
    /// Nodes from this number on have no successors.
    fn first_leaf(&self) -> u32;

    /// One past the number of the last node.
    fn end(&self) -> u32;

    /// The nodes that a node leads to; there may be equal ones. Only nodes before the first leaf are
    /// asked for.
    fn successors(&self, node: u32) -> &[u32];
}

/// The dominator tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dominators {
    /// For each node its immediate dominator, or [`NONE`] if it cannot be reached; the root's is itself.
    immediate: Vec<u32>,
    /// The nodes that can be reached and are no leaves, each behind its dominator.
    order: Vec<u32>,
}

impl Dominators {
    /// Computes the dominators of all nodes that the root leads to.
    pub fn of(graph: &impl Flow) -> Dominators {
        let search = Search::depth_first(graph);
        let (semi, spare) = search.semidominators(graph);
        let tree = search.tree(semi, spare);
        let leaves = search.leaves(graph, &tree);
        let node = |number: u32| search.order.get(number as usize).copied().unwrap_or(NONE);
        let mut immediate = vec![NONE; graph.first_leaf() as usize];
        for (&vertex, &dominator) in search.order.iter().zip(&tree.parent) {
            if let Some(immediate) = immediate.get_mut(vertex as usize) {
                *immediate = node(dominator);
            }
        }
        immediate.extend(leaves.into_iter().map(node));
        Dominators { immediate, order: search.order }
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

/// A depth-first search. Numbers are the order in which nodes were found; all arrays but `number` are
/// by these numbers.
struct Search {
    /// The number of each node that is no leaf.
    number: Vec<u32>,
    /// The nodes by their numbers.
    order: Vec<u32>,
    /// The number of the node from which each was found.
    parent: Vec<u32>,
}

impl Search {
    fn depth_first(graph: &impl Flow) -> Search {
        let first_leaf = graph.first_leaf();
        let mut search = Search {
            number: vec![NONE; first_leaf as usize],
            order: Vec::new(),
            parent: Vec::new(),
        };
        if first_leaf == 0 {
            return search;
        }
        search.visit(0, 0);
        // A node, and how many of its successors have been looked at.
        let mut path = vec![(0_u32, 0_u32)];
        while let Some((node, seen)) = path.last_mut() {
            let successors = graph.successors(*node).get(*seen as usize..).unwrap_or_default();
            let fresh = successors.iter().position(|&next| {
                search.number.get(next as usize).is_some_and(|&number| number == NONE)
            });
            let Some(position) = fresh else {
                path.pop();
                continue;
            };
            let next = successors[position];
            let parent = search.number[*node as usize];
            *seen += position as u32 + 1;
            search.visit(next, parent);
            path.push((next, 0));
        }
        search
    }

    fn visit(&mut self, node: u32, parent: u32) {
        self.number[node as usize] = self.order.len() as u32;
        self.order.push(node);
        self.parent.push(parent);
    }

    /// Calls `each` with the numbers of both ends of every edge between nodes that are no leaves, except
    /// those that lead to a child, to oneself or to the root.
    fn other_edges(&self, graph: &impl Flow, mut each: impl FnMut(u32, u32)) {
        for (from, &node) in (0_u32..).zip(&self.order) {
            for &next in graph.successors(node) {
                if let Some(&to) = self.number.get(next as usize)
                    && to != from
                    && to != 0
                    && self.parent[to as usize] != from
                {
                    each(from, to);
                }
            }
        }
    }

    /// The semidominator of each node, by number, and two arrays of the same length to be used again.
    fn semidominators(&self, graph: &impl Flow) -> (Vec<u32>, [Vec<u32>; 2]) {
        let predecessors =
            Predecessors::new(self.order.len(), |each| self.other_edges(graph, each));
        let mut semi: Vec<u32> = (0..self.order.len() as u32).collect();
        let mut forest =
            Forest { ancestor: self.parent.clone(), best: semi.clone(), path: Vec::new() };
        for node in (1..self.order.len() as u32).rev() {
            let mut least = self.parent[node as usize];
            for &from in predecessors.of(node) {
                // What has a smaller number has not been worked on, and stands for itself.
                let reached = if from > node { forest.best(from, node) } else { from };
                least = least.min(reached);
            }
            semi[node as usize] = least;
            forest.best[node as usize] = least;
        }
        (semi, [forest.ancestor, forest.best])
    }

    /// The dominator tree over the numbers.
    fn tree(&self, semi: Vec<u32>, [jump, depth]: [Vec<u32>; 2]) -> Tree {
        let mut tree = Tree { parent: semi, jump, depth };
        if let ([root, ..], [jump, ..], [depth, ..]) =
            (&mut *tree.parent, &mut *tree.jump, &mut *tree.depth)
        {
            (*root, *jump, *depth) = (0, 0, 0);
        }
        for node in 1..self.order.len() as u32 {
            // Only now its semidominator is replaced.
            let semi = tree.parent[node as usize];
            let dominator = tree.ancestor_up_to(self.parent[node as usize], semi);
            tree.insert(node, dominator);
        }
        tree
    }

    /// The dominator of each leaf, by number.
    fn leaves(&self, graph: &impl Flow, tree: &Tree) -> Vec<u32> {
        let first_leaf = graph.first_leaf();
        let mut dominators = vec![NONE; graph.end().saturating_sub(first_leaf) as usize];
        for (from, &node) in (0_u32..).zip(&self.order) {
            for &next in graph.successors(node) {
                let Some(leaf) = next.checked_sub(first_leaf) else { continue };
                match dominators.get_mut(leaf as usize) {
                    Some(dominator) if *dominator == NONE => *dominator = from,
                    Some(dominator) if *dominator != from => {
                        *dominator = tree.common_ancestor(*dominator, from);
                    }
                    _ => {}
                }
            }
        }
        dominators
    }
}

/// Edges by where they lead to.
struct Predecessors {
    starts: Vec<u32>,
    from: Vec<u32>,
}

impl Predecessors {
    /// Sorts the edges among so many nodes; `edges` is asked for them twice.
    fn new(nodes: usize, edges: impl Fn(&mut dyn FnMut(u32, u32))) -> Predecessors {
        let mut starts = vec![0; nodes + 1];
        edges(&mut |_, to| starts[to as usize] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += mem::replace(start, sum);
        }
        let mut from = vec![0; sum as usize];
        // Afterwards each start has become the start of the next.
        edges(&mut |node, to| {
            let start = &mut starts[to as usize];
            from[*start as usize] = node;
            *start += 1;
        });
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
    ancestor: Vec<u32>,
    /// The least semidominator from each node up its path, as far as it has been shortened.
    best: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    /// The least semidominator on the way up from `node` to what has not been worked on: numbers up to
    /// `last`.
    fn best(&mut self, node: u32, last: u32) -> u32 {
        let mut top = node;
        while self.ancestor[top as usize] > last {
            self.path.push(top);
            top = self.ancestor[top as usize];
        }
        let ancestor = self.ancestor[top as usize];
        let mut best = self.best[top as usize];
        while let Some(below) = self.path.pop() {
            best = best.min(self.best[below as usize]);
            self.best[below as usize] = best;
            self.ancestor[below as usize] = ancestor;
        }
        best
    }
}

/// A tree in which ancestors are found in logarithmic time: beside its parent each node knows one
/// ancestor further up (Myers' skew-binary jump pointers). Parents have smaller numbers.
struct Tree {
    parent: Vec<u32>,
    jump: Vec<u32>,
    depth: Vec<u32>,
}

impl Tree {
    /// Adds a node under one that is already there.
    fn insert(&mut self, node: u32, parent: u32) {
        let depth = |node: u32| self.depth[node as usize];
        let jump = self.jump[parent as usize];
        let further = self.jump[jump as usize];
        let is_even = depth(parent) - depth(jump) == depth(jump) - depth(further);
        let own_depth = depth(parent) + 1;
        self.parent[node as usize] = parent;
        self.depth[node as usize] = own_depth;
        self.jump[node as usize] = if is_even { further } else { parent };
    }

    /// The first on the way up from `node` whose number is not greater than `most`.
    fn ancestor_up_to(&self, mut node: u32, most: u32) -> u32 {
        while node > most {
            let jump = self.jump[node as usize];
            node = if jump > most { jump } else { self.parent[node as usize] };
        }
        node
    }

    /// The nearest common ancestor.
    fn common_ancestor(&self, mut one: u32, mut other: u32) -> u32 {
        let depth = |node: u32| self.depth[node as usize];
        if depth(one) < depth(other) {
            mem::swap(&mut one, &mut other);
        }
        let level = depth(other);
        while depth(one) > level {
            let jump = self.jump[one as usize];
            one = if depth(jump) >= level { jump } else { self.parent[one as usize] };
        }
        while one != other {
            // Nodes of one depth jump to one depth.
            let (jump, other_jump) = (self.jump[one as usize], self.jump[other as usize]);
            (one, other) = if jump != other_jump {
                (jump, other_jump)
            } else {
                (self.parent[one as usize], self.parent[other as usize])
            };
        }
        one
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

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
            let dominators = Dominators::of(&graph);
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
        let dominators = Dominators::of(&Lists { successors, end: 4 * LENGTH });
        assert_eq!(dominators.immediate(LENGTH), Some(LENGTH - 1));
        assert!(fan.chain(leaves).all(|node| dominators.immediate(node) == Some(0)));
    }
}
