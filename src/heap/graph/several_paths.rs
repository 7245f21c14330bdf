//! Several shortest paths to one object, the shortest first.
//!
//! Paths are grown backwards, from the object to the super-root, most promising first (A*). The remaining
//! distance is the length of a shortest path to the object reached so far. It is never overestimated, so
//! paths come out in order of length. No path passes an object twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::referrers::Referrers;
use super::shortest_paths::{LONGEST, ShortestPaths};
use crate::heap::ids::NodeId;

/// The maximum number of unfinished paths for one object: further ones would be long.
const MOST_TRIALS: usize = 200_000;

/// The work that may go into the paths of several objects: they end early in a graph made to have no end.
#[derive(Debug)]
pub struct Effort {
    left: u64,
}

impl Effort {
    /// The steps for all objects, and for one of them. Hundreds of steps are usual for one.
    const MOST: u64 = 200_000_000;
    const MOST_FOR_ONE: u64 = 10_000_000;

    /// Nothing has been done yet.
    pub fn new() -> Effort {
        Effort { left: Effort::MOST }
    }
}

impl Default for Effort {
    fn default() -> Effort {
        Effort::new()
    }
}

/// A path that has not reached the super-root yet.
struct Trial {
    node: NodeId,
    /// The trial that it continues; itself for the first.
    after: u32,
    length: u32,
}

/// Up to `count` shortest paths from the super-root to a node, both included. They pass only nodes that are
/// `allowed` and that the `shortest` paths reach.
pub fn several(
    shortest: &ShortestPaths,
    referrers: &Referrers,
    allowed: impl Fn(NodeId) -> bool,
    to: NodeId,
    count: usize,
    effort: &mut Effort,
) -> Vec<Vec<NodeId>> {
    let most = Effort::MOST_FOR_ONE.min(effort.left);
    let mut steps = 0;
    let mut trials = vec![Trial { node: to, after: 0, length: 0 }];
    let mut queue = BinaryHeap::from([Reverse((0, 0_u32))]);
    let mut paths = Vec::new();
    while let Some(Reverse((_, number))) = queue.pop() {
        let Some(&Trial { node, length, .. }) = trials.get(number as usize) else { break };
        if node == NodeId::ROOT {
            paths.push(way(&trials, number).collect());
            if paths.len() >= count {
                break;
            }
            continue;
        }
        let mut last = None;
        for &referrer in referrers.of_node(node) {
            if trials.len() >= MOST_TRIALS || steps >= most {
                break;
            }
            steps += 1;
            if last.replace(referrer) == Some(referrer) || !allowed(referrer) {
                continue;
            }
            steps += u64::from(length);
            if way(&trials, number).any(|passed| passed == referrer) {
                continue;
            }
            let length = length + 1;
            let rest = shortest.length(referrer);
            steps += u64::from(rest.unwrap_or(LONGEST));
            let Some(rest) = rest else { continue };
            queue.push(Reverse((length + rest, trials.len() as u32)));
            trials.push(Trial { node: referrer, after: number, length });
        }
    }
    effort.left -= steps.min(effort.left);
    paths
}

/// The nodes of a trial, from the last one reached.
fn way(trials: &[Trial], number: u32) -> impl Iterator<Item = NodeId> {
    let mut next = Some(number);
    std::iter::from_fn(move || {
        let trial = trials.get(next? as usize)?;
        next = (trial.length > 0).then_some(trial.after);
        Some(trial.node)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::heap::Flow;

    struct Lists(Vec<Vec<NodeId>>);

    impl Flow for Lists {
        fn first_leaf(&self) -> NodeId {
            NodeId(self.0.len() as u32)
        }

        fn end(&self) -> NodeId {
            NodeId(self.0.len() as u32)
        }

        fn successors(&self, node: NodeId) -> &[NodeId] {
            &self.0[node.index()]
        }
    }

    /// All paths from the root to a node that pass no node twice.
    fn all(graph: &Lists, to: NodeId) -> Vec<Vec<NodeId>> {
        let mut found = Vec::new();
        let mut rest = vec![vec![NodeId::ROOT]];
        while let Some(path) = rest.pop() {
            let last = path[path.len() - 1];
            if last == to {
                found.push(path);
                continue;
            }
            let mut next = graph.0[last.index()].clone();
            next.dedup();
            let fresh = next.into_iter().filter(|next| !path.contains(next));
            rest.extend(fresh.map(|next| [&*path, &[next]].concat()));
        }
        found
    }

    proptest! {
        #[test]
        fn they_are_the_shortest_of_all(
            mut successors in prop::collection::vec(prop::collection::vec((0..8_u32).prop_map(NodeId), 0..4), 8),
            count in 1..10_usize,
        ) {
            for list in &mut successors {
                list.sort_unstable();
            }
            let graph = Lists(successors);
            let shortest = ShortestPaths::through(&graph, |_| true);
            let referrers = Referrers::of(&graph);
            for to in NodeId(1).up_to(NodeId(8)) {
                let mut expected = all(&graph, to);
                expected.sort_by_key(Vec::len);
                let found = several(&shortest, &referrers, |_| true, to, count, &mut Effort::new());
                prop_assert_eq!(found.len(), expected.len().min(count));
                prop_assert!(found.iter().all(|path| expected.contains(path)));
                let lengths = |paths: &[Vec<NodeId>]| paths.iter().map(Vec::len).take(count).collect::<Vec<_>>();
                prop_assert_eq!(lengths(&found), lengths(&expected));
                let mut distinct = found.clone();
                distinct.sort();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), found.len());
            }
        }
    }
}
