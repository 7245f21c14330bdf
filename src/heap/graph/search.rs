//! A depth-first search from the root of a graph, which prepares the computation of dominators. Every edge is
//! followed once.
//!
//! Nodes are numbered in the order in which they are found. Most edges of a heap lead to new nodes and form
//! the search tree. Of the other edges, *crossings*, only those within one branch below the root matter: a
//! node reached from two branches has the root as its dominator, and nothing else needs to be known about it.
//!
//! There is no recursion. The graph may get more edges from its root during the search.

use std::slice;

use crate::heap::capture::copy::fetch;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::{filled, room_for};

/// How many successors of a node are prefetched.
const AHEAD: usize = 16;

/// Stands for "no number".
pub(crate) const NONE: u32 = u32::MAX;

/// A graph with a root, [`NodeId::ROOT`].
pub trait Flow {
    /// Nodes from this number on have no successors.
    fn first_leaf(&self) -> NodeId;

    /// One past the number of the last node.
    fn end(&self) -> NodeId;

    /// The successors of a node, possibly with repetitions. Only called for nodes before the first leaf.
    fn successors(&self, node: NodeId) -> &[NodeId];

    /// Prefetches the successors of a node.
    fn prefetch(&self, node: NodeId) {
        let _ = node;
    }

    /// How a child of the root ranks among the others where several reach a node.
    fn precedence(&self, node: NodeId) -> Precedence {
        let _ = node;
        Precedence::Known
    }
}

/// Which child of the root counts when several reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// It is known to hold its successors.
    Known,
    /// It is inferred: paths from it come after all those from known ones.
    Inferred,
    /// It holds only what nothing else reaches, and dominates all of that.
    Last,
}

/// A depth-first search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The number of each node that is not a leaf.
    pub(crate) number: Vec<u32>,
    /// The nodes by their numbers.
    pub(crate) order: Vec<NodeId>,
    /// By number, the number of the parent in the search tree.
    pub(crate) parent: Vec<u32>,
    /// By number: 0 for a node reached from two branches, else the parent.
    pub(crate) semi: Vec<u32>,
    /// The numbers of both ends of each crossing that matters.
    pub(crate) crossings: Vec<[u32; 2]>,
    /// For each leaf the number of its first referrer, or 0 if two branches reach it.
    pub(crate) leaves: Vec<u32>,
    /// Leaves with further referrers in the same branch, each with the number of such a referrer.
    pub(crate) shared: Vec<[u32; 2]>,
    /// The number of the node with which the current branch begins.
    branch: u32,
    /// Whether that node holds only what no other branch reaches.
    is_last: bool,
}

impl Search {
    /// Searches everything that the root reaches.
    pub fn of(graph: &impl Flow) -> Search {
        let inner = graph.first_leaf().index();
        let leaves = graph.end().index().saturating_sub(inner);
        let mut search = Search {
            number: filled(NONE, inner),
            order: room_for(inner),
            parent: room_for(inner),
            semi: room_for(inner),
            crossings: Vec::new(),
            leaves: filled(NONE, leaves),
            shared: Vec::new(),
            branch: 0,
            is_last: false,
        };
        if inner > 0 {
            search.go(graph, NodeId::ROOT, 0);
        }
        search
    }

    /// Continues with an edge that the graph did not have before. It must leave the root, or the child of the
    /// root that was found last, or lead to a leaf that was not reached.
    pub fn add_edge(&mut self, graph: &impl Flow, from: NodeId, to: NodeId) {
        let Some(&from) = self.number.get(from.index()).filter(|&&number| number != NONE) else {
            return;
        };
        if self.is_fresh(from, to) {
            self.go(graph, to, from);
        }
    }

    /// Whether a node has been reached.
    pub fn reaches(&self, node: NodeId) -> bool {
        let node = node.index();
        let found = self.number.get(node).or_else(|| self.leaves.get(node - self.number.len()));
        found.is_some_and(|&found| found != NONE)
    }

    /// Searches from an unreached node, found from a parent (by number).
    fn go<'a>(&mut self, graph: &'a impl Flow, node: NodeId, parent: u32) {
        let mut path: Vec<(u32, slice::Iter<'a, NodeId>)> = Vec::new();
        path.push((self.visit(graph, node, parent), self.successors(graph, node)));
        while let Some((from, rest)) = path.last_mut() {
            let from = *from;
            match rest.find(|&&to| self.is_fresh(from, to)) {
                Some(&to) => path.push((self.visit(graph, to, from), self.successors(graph, to))),
                None => {
                    path.pop();
                }
            }
        }
    }

    /// The successors of a node; prefetches the first of them.
    fn successors<'a>(&self, graph: &'a impl Flow, node: NodeId) -> slice::Iter<'a, NodeId> {
        let successors = graph.successors(node);
        for &next in successors.iter().take(AHEAD) {
            match self.number.get(next.index()) {
                Some(number) => {
                    fetch(number);
                    graph.prefetch(next);
                }
                None => {
                    if let Some(first) = self.leaves.get(next.index() - self.number.len()) {
                        fetch(first);
                    }
                }
            }
        }
        successors.iter()
    }

    /// Numbers a node.
    fn visit(&mut self, graph: &impl Flow, node: NodeId, parent: u32) -> u32 {
        let number = self.order.len() as u32;
        self.number[node.index()] = number;
        self.order.push(node);
        self.parent.push(parent);
        self.semi.push(parent);
        if parent == 0 {
            self.branch = number;
            self.is_last = graph.precedence(node) == Precedence::Last;
        }
        number
    }

    /// Takes note of an edge, and returns whether the search continues along it: to a node that is not a leaf
    /// and has not been reached.
    #[inline]
    fn is_fresh(&mut self, from: u32, to: NodeId) -> bool {
        let Some(&number) = self.number.get(to.index()) else {
            self.reach_leaf(from, to.0 - self.number.len() as u32);
            return false;
        };
        match number {
            NONE => return true,
            0 => {}
            number if number == from => {}
            number if number < self.branch && self.is_last => {}
            // From another branch, or from the root itself.
            number if number < self.branch || from == 0 => self.semi[number as usize] = 0,
            number => self.crossings.push([from, number]),
        }
        false
    }

    #[inline]
    fn reach_leaf(&mut self, from: u32, leaf: u32) {
        let Some(first) = self.leaves.get_mut(leaf as usize) else { return };
        match *first {
            NONE => *first = from,
            0 => {}
            first if first == from => {}
            number if number < self.branch && self.is_last => {}
            number if number < self.branch || from == 0 => *first = 0,
            _ => self.shared.push([leaf, from]),
        }
    }
}
