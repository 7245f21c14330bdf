//! Turning arrows around so that no cycle is left.
//!
//! Arrows between strongly connected components are in no cycle and stay. Within a component the boxes are
//! ordered by the heuristic of Eades, Lin and Smyth, and arrows that point backwards in that order are
//! turned.

use std::cmp::Reverse;

use crate::heap::{Components, Flow, NodeId};

/// For each arrow, given by its ends, whether to turn it around. An arrow from a box to itself is left alone.
pub fn turned(count: usize, ends: &[(usize, usize)]) -> Vec<bool> {
    let mut graph = Successors(vec![Vec::new(); count]);
    for &(from, to) in ends.iter().filter(|(from, to)| from != to) {
        graph.0[from].push(NodeId(to as u32));
    }
    let components = Components::of(&graph, NodeId(0));
    let mut component = vec![0; count];
    for (number, members) in (1_usize..).zip(components.iter()) {
        members.iter().for_each(|&member| component[member.index()] = number);
    }
    let is_inside = |(from, to): (usize, usize)| {
        from != to && component[from] == component[to] && component[from] > 0
    };
    let mut is_entered = vec![false; count];
    for &(from, to) in ends.iter().filter(|&&(from, to)| component[from] != component[to]) {
        is_entered[to] |= from != to;
    }
    let mut place = vec![0; count];
    for members in components.iter() {
        let members: Vec<usize> = members.iter().map(|member| member.index()).collect();
        let number = members.first().map_or(0, |&member| component[member]);
        let inner: Vec<(usize, usize)> = ends
            .iter()
            .copied()
            .filter(|&ends| is_inside(ends) && component[ends.0] == number)
            .collect();
        for (at, member) in line_up(count, members, &inner, &is_entered).into_iter().enumerate() {
            place[member] = at;
        }
    }
    ends.iter().map(|&(from, to)| is_inside((from, to)) && place[from] > place[to]).collect()
}

/// The boxes of a component in an order in which few arrows point backwards: a box with no arrow left to
/// another goes to the end; of the others, the one with the largest surplus of outgoing arrows comes next; of
/// several, one with an arrow from outside, or else the first.
fn line_up(
    count: usize,
    members: Vec<usize>,
    ends: &[(usize, usize)],
    is_entered: &[bool],
) -> Vec<usize> {
    let (mut outward, mut inward) = (vec![0_i64; count], vec![0_i64; count]);
    for &(from, to) in ends {
        outward[from] += 1;
        inward[to] += 1;
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut left = members;
    left.sort_unstable();
    while !left.is_empty() {
        let is_last = |&&member: &&usize| outward[member] == 0;
        let gain = |&&member: &&usize| {
            let is_first = inward[member] == 0;
            (is_first, outward[member] - inward[member], is_entered[member], Reverse(member))
        };
        let end = left.iter().rev().find(is_last);
        let Some(&next) = end.or_else(|| left.iter().max_by_key(gain)) else { break };
        let list = if outward[next] == 0 { &mut last } else { &mut first };
        list.push(next);
        left.retain(|&member| member != next);
        for &(from, to) in ends {
            if to == next {
                outward[from] -= 1;
            }
            if from == next {
                inward[to] -= 1;
            }
        }
    }
    first.extend(last.into_iter().rev());
    first
}

/// A small graph: the successors of each box.
struct Successors(Vec<Vec<NodeId>>);

impl Flow for Successors {
    fn first_leaf(&self) -> NodeId {
        NodeId(self.0.len() as u32)
    }

    fn end(&self) -> NodeId {
        NodeId(self.0.len() as u32)
    }

    fn successors(&self, node: NodeId) -> &[NodeId] {
        self.0.get(node.index()).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_closes_a_cycle_is_turned() {
        let ring = [(0, 1), (1, 2), (2, 0), (2, 3), (4, 1)];
        // It is entered at 1.
        assert_eq!(turned(5, &ring), [true, false, false, false, false]);
        assert_eq!(turned(2, &[(1, 0), (1, 1)]), [false, false]);
    }

    #[test]
    fn two_cycles_that_share_an_arrow_lose_that() {
        let ends = [(0, 1), (1, 2), (2, 0), (1, 3), (3, 0)];
        assert_eq!(turned(4, &ends), [true, false, false, false, false]);
    }
}
