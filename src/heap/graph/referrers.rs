//! The graph turned around: who refers to each object.
//!
//! One pass over all references counts those to each node, a second puts them in place. An object that
//! refers to another twice is there twice, as it is in the other's reference count.

use super::search::Flow;
use crate::heap::capture::copy::fetch;
use crate::heap::support::huge_vec::filled;

/// So many references ahead their place is fetched.
const AHEAD: usize = 16;

/// The nodes that refer to each node.
#[derive(Debug)]
pub struct Referrers {
    /// Where those of each node begin among all; one more for the end.
    starts: Vec<u32>,
    referrers: Vec<u32>,
}

impl Referrers {
    /// Turns all references of a graph around. Those of roots, and of the root of all, are among them.
    pub fn of(graph: &impl Flow) -> Referrers {
        let mut starts = filled(0_u32, graph.end() as usize + 2);
        for node in 0..graph.first_leaf() {
            let successors = graph.successors(node);
            for (index, &next) in successors.iter().enumerate() {
                if let Some(count) = ahead(successors, index).and_then(|next| starts.get(next + 2))
                {
                    fetch(count);
                }
                if let Some(count) = starts.get_mut(next as usize + 2) {
                    *count = count.saturating_add(1);
                }
            }
        }
        let mut sum = 0_u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut referrers = filled(0, sum as usize);
        for node in 0..graph.first_leaf() {
            let successors = graph.successors(node);
            for (index, &next) in successors.iter().enumerate() {
                if let Some(end) = ahead(successors, index).and_then(|next| starts.get(next + 1)) {
                    fetch(end);
                }
                // The start of the next moves to where its referrers begin as these are put in place.
                if let Some(end) = starts.get_mut(next as usize + 1) {
                    if let Some(place) = referrers.get_mut(*end as usize) {
                        *place = node;
                    }
                    *end = end.saturating_add(1);
                }
            }
        }
        Referrers { starts, referrers }
    }

    /// The nodes that refer to a node, in order; those that do so several times are there as often.
    pub fn of_node(&self, node: u32) -> &[u32] {
        let place = |index: usize| self.starts.get(index).map(|&start| start as usize);
        let range = place(node as usize).zip(place((node as usize).saturating_add(1)));
        range.and_then(|(start, end)| self.referrers.get(start..end)).unwrap_or_default()
    }
}

/// The successor that will be looked at soon.
fn ahead(successors: &[u32], index: usize) -> Option<usize> {
    successors.get(index + AHEAD).map(|&next| next as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lists of successors; the last nodes are leaves.
    struct Lists(Vec<Vec<u32>>, u32);

    impl Flow for Lists {
        fn first_leaf(&self) -> u32 {
            self.0.len() as u32
        }

        fn end(&self) -> u32 {
            self.0.len() as u32 + self.1
        }

        fn successors(&self, node: u32) -> &[u32] {
            &self.0[node as usize]
        }
    }

    proptest! {
        #[test]
        fn each_reference_is_found_from_its_other_end(
            successors in prop::collection::vec(prop::collection::vec(0..40_u32, 0..30), 1..30),
        ) {
            let graph = Lists(successors, 10);
            let end = graph.end();
            let graph = Lists(
                graph.0.into_iter().map(|to| to.into_iter().filter(|&to| to < end).collect()).collect(),
                10,
            );
            let referrers = Referrers::of(&graph);
            for node in 0..end {
                let expected: Vec<u32> = (0..graph.first_leaf())
                    .flat_map(|from| graph.successors(from).iter().map(move |&to| (from, to)))
                    .filter_map(|(from, to)| (to == node).then_some(from))
                    .collect();
                prop_assert_eq!(referrers.of_node(node), expected);
            }
            prop_assert!(referrers.of_node(u32::MAX).is_empty());
        }
    }
}
