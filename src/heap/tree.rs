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
    /// Turns dominators around. Only children that are `wanted` are in the tree.
    pub fn of(
        graph: &impl Flow,
        dominators: &Dominators,
        wanted: impl Fn(u32) -> bool,
    ) -> DominatorTree {
        let edge = |node: u32| {
            let parent = dominators.immediate(node)?;
            wanted(node).then_some((parent as usize, node))
        };
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
        let range = place(node as usize).zip(place(node as usize + 1));
        range.and_then(|(start, end)| self.children.get(start..end)).unwrap_or_default()
    }
}
