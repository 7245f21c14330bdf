//! A depth-first search from the root of a graph: what is reached, and the input for computing dominators.
//! Every edge is followed once.
//!
//! Nodes are numbered in the order in which they are found. Most edges of a heap lead to new nodes and form
//! the search tree. Of the other edges, *crossings*, only those within one branch below the root matter: a
//! node reached from two branches has the root as its dominator, and nothing else needs to be known about it.
//!
//! Nothing recurses. The graph may get more edges from its root while the search goes on.

use std::slice;

use crate::heap::capture::copy::fetch;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::{filled, room_for};

/// So many successors of a node are fetched ahead.
const AHEAD: usize = 16;

/// What stands for no number.
pub(crate) const NONE: u32 = u32::MAX;

/// A graph with a root, [`NodeId::ROOT`].
pub trait Flow {
    /// Nodes from this number on have no successors.
    fn first_leaf(&self) -> NodeId;

    /// One past the number of the last node.
    fn end(&self) -> NodeId;

    /// The nodes that a node leads to; there may be equal ones. Only nodes before the first leaf are
    /// asked for.
    fn successors(&self, node: NodeId) -> &[NodeId];

    /// Says that the successors of a node will soon be asked for.
    fn prefetch(&self, node: NodeId) {
        let _ = node;
    }

    /// How willingly a child of the root gives way to the others: it leads only to what none that gives way
    /// less leads to.
    fn precedence(&self, node: NodeId) -> Precedence {
        let _ = node;
        Precedence::Known
    }
}

/// Which of the children of a root counts where several lead to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// It is known to hold what it leads to.
    Known,
    /// It is inferred: paths from it come after all that are known.
    Inferred,
    /// It holds only what nothing else leads to, and dominates all of that.
    Last,
}

/// A depth-first search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The number of each node that is no leaf.
    pub(crate) number: Vec<u32>,
    /// The nodes by their numbers.
    pub(crate) order: Vec<NodeId>,
    /// By number, the number of the node from which each was found.
    pub(crate) parent: Vec<u32>,
    /// By number: 0 for what two branches lead to, else the parent.
    pub(crate) semi: Vec<u32>,
    /// The numbers of both ends of the crossings that matter.
    pub(crate) crossings: Vec<[u32; 2]>,
    /// For each leaf the number of the first node that leads to it, or 0 if two branches do.
    pub(crate) leaves: Vec<u32>,
    /// Leaves that more nodes of a branch lead to, each with the number of such a node.
    pub(crate) shared: Vec<[u32; 2]>,
    /// The number of the node with which the current branch begins.
    branch: u32,
    /// Whether that holds only what no other branch leads to.
    is_last: bool,
}

impl Search {
    /// Searches all that the root leads to.
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

    /// Goes on with an edge that the graph did not have so far. It leads away from the root, or from the
    /// child of the root that was found last, or else to a leaf that nothing led to.
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

    /// Searches from a node that has not been reached, found from another (by number).
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

    /// What a node leads to, where the search will soon look at the first.
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

    /// Looks at an edge, and says whether it leads to where the search is to go on: to a node that is no
    /// leaf and has not been reached. Of others it remembers what matters.
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
