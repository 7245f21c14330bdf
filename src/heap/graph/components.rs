//! Strongly connected components: objects that all reach each other, the cycles of a heap.
//!
//! Tarjan's algorithm without recursion: each node is entered once and each reference followed once. Only
//! components that form a cycle are kept: several nodes, or one that refers to itself.

use super::csr::Csr;
use super::search::{Flow, NONE};
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::{filled, room_for};

/// The cycles of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    nodes: Csr<NodeId>,
}

/// A node that has been entered, and how many of its successors have been visited.
#[derive(Debug)]
struct Visit {
    node: NodeId,
    next: u32,
}

impl Components {
    /// Finds the cycles among the nodes from `first` on. Leaves are in none.
    pub fn of(graph: &impl Flow, first: NodeId) -> Components {
        let end = graph.first_leaf();
        let count = end.index().saturating_sub(first.index());
        let mut tarjan = Tarjan {
            first,
            low: filled(NONE, count),
            open: room_for(count),
            visits: Vec::new(),
            entered: 0,
            found: Csr::new(),
        };
        for node in first.up_to(end) {
            if tarjan.is_new(node) {
                tarjan.enter(graph, node);
                tarjan.search(graph);
            }
        }
        Components { nodes: tarjan.found }
    }

    /// The number of cycles.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no cycles.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes of each cycle.
    pub fn iter(&self) -> impl Iterator<Item = &[NodeId]> {
        self.nodes.rows()
    }
}

/// The `low` of a node whose component is known.
const DONE: u32 = NONE - 1;

struct Tarjan {
    first: NodeId,
    /// For each node, the earliest node that it is known to reach, as a position in the order of entering; at
    /// first its own.
    low: Vec<u32>,
    /// Nodes whose component is not known yet, each with its position in the order of entering.
    open: Vec<(NodeId, u32)>,
    visits: Vec<Visit>,
    entered: u32,
    found: Csr<NodeId>,
}

impl Tarjan {
    fn low(&self, node: NodeId) -> u32 {
        let index = node.index().checked_sub(self.first.index());
        index.and_then(|index| self.low.get(index)).copied().unwrap_or(DONE)
    }

    fn set_low(&mut self, node: NodeId, low: u32) {
        let index = node.index().checked_sub(self.first.index());
        if let Some(place) = index.and_then(|index| self.low.get_mut(index)) {
            *place = low;
        }
    }

    fn is_new(&self, node: NodeId) -> bool {
        self.low(node) == NONE
    }

    fn enter(&mut self, graph: &impl Flow, node: NodeId) {
        graph.prefetch(node);
        self.set_low(node, self.entered);
        self.open.push((node, self.entered));
        self.entered += 1;
        self.visits.push(Visit { node, next: 0 });
    }

    /// Searches from the node that was entered last.
    fn search(&mut self, graph: &impl Flow) {
        while let Some(visit) = self.visits.last_mut() {
            let node = visit.node;
            let Some(&next) = graph.successors(node).get(visit.next as usize) else {
                self.leave(graph, node);
                continue;
            };
            visit.next += 1;
            match self.low(next) {
                NONE => self.enter(graph, next),
                DONE => {}
                low => self.set_low(node, low.min(self.low(node))),
            }
        }
    }

    /// Leaves a node all of whose successors have been visited.
    fn leave(&mut self, graph: &impl Flow, node: NodeId) {
        self.visits.pop();
        let low = self.low(node);
        if let Some(above) = self.visits.last() {
            let above = above.node;
            self.set_low(above, low.min(self.low(above)));
        }
        let place = self.open.partition_point(|&(_, order)| order < low);
        if self.open.get(place).is_none_or(|&(first, _)| first != node) {
            return;
        }
        let is_cycle = self.open.len() - place > 1 || graph.successors(node).contains(&node);
        for (member, _) in self.open.split_off(place) {
            self.set_low(member, DONE);
            if is_cycle {
                self.found.push(member);
            }
        }
        if is_cycle {
            self.found.end_row();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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

    /// Two nodes are in one component if each can be reached from the other.
    fn reference(graph: &Lists, first: NodeId) -> BTreeSet<BTreeSet<NodeId>> {
        let count = graph.first_leaf().index();
        let mut reaches = vec![vec![false; count]; count];
        for (from, list) in graph.0.iter().enumerate() {
            for &to in list.iter().filter(|to| to.index() < count) {
                reaches[from][to.index()] = from >= first.index() && to >= first;
            }
        }
        for over in 0..count {
            for from in 0..count {
                for to in 0..count {
                    reaches[from][to] |= reaches[from][over] && reaches[over][to];
                }
            }
        }
        let component = |node: usize| {
            (0..count)
                .filter(|&other| reaches[node][other] && reaches[other][node])
                .map(|other| NodeId(other as u32))
                .collect()
        };
        (0..count).filter(|&node| reaches[node][node]).map(component).collect()
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_definition(
            successors in prop::collection::vec(prop::collection::vec((0..40_u32).prop_map(NodeId), 0..4), 1..30),
            first in (0..5_u32).prop_map(NodeId),
        ) {
            let end = successors.len() as u32 + 10;
            let lists = successors.into_iter().map(|list| list.into_iter().filter(|to| to.0 < end).collect());
            let graph = Lists(lists.collect(), 10);
            let components = Components::of(&graph, first);
            let found: Vec<BTreeSet<NodeId>> =
                components.iter().map(|nodes| nodes.iter().copied().collect()).collect();
            prop_assert_eq!(found.len(), components.len());
            let members = components.iter().map(<[NodeId]>::len).sum::<usize>();
            prop_assert_eq!(members, found.iter().map(BTreeSet::len).sum::<usize>());
            let found: BTreeSet<_> = found.into_iter().collect();
            prop_assert_eq!(found, reference(&graph, first));
        }
    }

    #[test]
    fn a_ring_of_a_million_is_one_component() {
        const COUNT: u32 = 1_000_000;
        let graph = Lists((0..COUNT).map(|node| vec![NodeId((node + 1) % COUNT)]).collect(), 0);
        let components = Components::of(&graph, NodeId::ROOT);
        assert_eq!(components.iter().map(<[NodeId]>::len).collect::<Vec<_>>(), [COUNT as usize]);
        assert!(Components::of(&graph, NodeId(COUNT)).is_empty());
    }
}
