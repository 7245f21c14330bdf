//! The dominator tree from above: whom each object dominates.

use super::dominators::Dominators;
use super::search::Flow;

/// The nodes that each node dominates immediately.
#[derive(Debug)]
pub struct DominatorTree {
    /// Where the children of each node begin among all; one more for the end.
    starts: Vec<u32>,
    children: Vec<u32>,
}

impl DominatorTree {
    /// Turns dominators around.
    pub fn of(graph: &impl Flow, dominators: &Dominators) -> DominatorTree {
        let edge = |node: u32| Some((dominators.immediate(node)? as usize, node));
        let edges = || (1..graph.end()).filter_map(edge);
        let mut starts = vec![0_u32; graph.first_leaf() as usize + 2];
        for (parent, _) in edges() {
            if let Some(count) = starts.get_mut(parent + 2) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut children = vec![0; sum as usize];
        for (parent, node) in edges() {
            // The start of the next moves to where its children begin as these are put in place.
            if let Some(end) = starts.get_mut(parent + 1) {
                if let Some(place) = children.get_mut(*end as usize) {
                    *place = node;
                }
                *end += 1;
            }
        }
        DominatorTree { starts, children }
    }

    /// The children of a node, in order of their numbers.
    pub fn children(&self, node: u32) -> &[u32] {
        let place = |index: usize| self.starts.get(index).map(|&start| start as usize);
        let range = place(node as usize).zip(place((node as usize).saturating_add(1)));
        range.and_then(|(start, end)| self.children.get(start..end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Search;

    /// 0 → 1 → {2, 3} → 4, and two leaves, of which one has two that lead to it.
    struct Example;

    impl Flow for Example {
        fn first_leaf(&self) -> u32 {
            5
        }

        fn end(&self) -> u32 {
            7
        }

        fn successors(&self, node: u32) -> &[u32] {
            match node {
                0 => &[1],
                1 => &[2, 3],
                2 => &[4, 5],
                3 => &[4, 5, 6],
                _ => &[],
            }
        }
    }

    #[test]
    fn every_node_is_a_child_of_its_dominator() {
        let tree = DominatorTree::of(&Example, &Dominators::of(Search::of(&Example)));
        assert_eq!(tree.children(0), [1]);
        assert_eq!(tree.children(1), [2, 3, 4, 5]);
        assert_eq!(tree.children(3), [6]);
        assert!([2, 4, 5, 6, 7, u32::MAX].iter().all(|&node| tree.children(node).is_empty()));
    }
}
