//! What the holders of objects tell of their identity: an object that has another holder than before was moved
//! there, or is another.

use std::collections::VecDeque;

use super::clues::Clues;
use super::traits::{FRAME, ROOT};
use super::{Claim, NONE};
use crate::heap::{Flow, NodeId, Precedence, RootKind};

/// A walk through a heap from its roots, shortest paths through what is old first, that asks each object that may
/// be old whether it has the holder that it had.
pub(super) struct Descent<'a> {
    clues: &'a Clues<'a>,
    now: u8,
    pub(super) births: Vec<u8>,
    /// Of each object whose birth is settled, who holds it.
    pub(super) holders: Vec<u32>,
    pub(super) in_hand: Vec<bool>,
    /// Roots that are threads and frames.
    frames: Vec<NodeId>,
    /// Whether those are being followed.
    is_in_hand: bool,
    /// Containers and roots whose references are to be followed, by their birth.
    ready: Vec<VecDeque<NodeId>>,
    /// Roots that give way to others.
    later: Vec<NodeId>,
    /// Objects that have another holder than they had, with it.
    doubtful: VecDeque<(NodeId, u32)>,
    /// Those of them that are not as they were.
    refuted: VecDeque<(NodeId, u32)>,
}

impl Descent<'_> {
    pub(super) fn new<'a>(clues: &'a Clues<'a>, now: u8) -> Descent<'a> {
        let before = clues.before;
        let birth = |index| match clues.claim(index) {
            Claim::New => Some(now),
            _ => before.births.get(clues.then(index)?).copied(),
        };
        let count = clues.matches.len();
        Descent {
            clues,
            now,
            births: (0..count).map(|index| birth(index).unwrap_or(now)).collect(),
            holders: vec![NONE; count],
            in_hand: vec![false; count],
            frames: Vec::new(),
            is_in_hand: false,
            ready: vec![VecDeque::new(); 1 + usize::from(now)],
            later: Vec::new(),
            doubtful: VecDeque::new(),
            refuted: VecDeque::new(),
        }
    }

    pub(super) fn run(&mut self) {
        self.follow(NodeId::ROOT);
        loop {
            if let Some(node) = self.ready.iter_mut().find_map(VecDeque::pop_front) {
                self.follow(node);
            } else if let Some((node, holder)) = self.doubtful.pop_front() {
                match self.clues.index(node) {
                    Some(index) if self.clues.is_moved(index) => self.settle(node, holder),
                    _ => self.refuted.push_back((node, holder)),
                }
            } else if let Some(root) = self.frames.pop() {
                self.is_in_hand = true;
                self.follow(root);
            } else if let Some(root) = self.later.pop() {
                self.is_in_hand = false;
                self.follow(root);
            } else if let Some((node, holder)) = self.refuted.pop_front() {
                self.refute(node, holder);
            } else {
                return;
            }
        }
    }

    /// An object is new if nobody has settled its birth meanwhile; and so is a holder of it that cannot change.
    fn refute(&mut self, node: NodeId, holder: u32) {
        let clues = self.clues;
        let Some(index) = clues.index(node).filter(|&index| !self.is_settled(index)) else {
            return;
        };
        let above = Some(holder as usize).filter(|&above| clues.is_fixed(above));
        for index in [Some(index), above].into_iter().flatten() {
            if let Some(birth) = self.births.get_mut(index) {
                *birth = self.now;
            }
        }
        self.is_in_hand = self.in_hand.get(holder as usize) == Some(&true) || holder == FRAME;
        self.settle(node, holder);
    }

    /// Looks at all that a node leads to.
    fn follow(&mut self, node: NodeId) {
        let (clues, graph) = (self.clues, &self.clues.heap.graph);
        let is_frame = |node| {
            let root = graph.root(node).map(|root| &root.kind);
            matches!(root, Some(RootKind::Thread { .. } | RootKind::Frame { .. }))
        };
        let holder = match clues.index(node) {
            Some(index) => index as u32,
            None if is_frame(node) => FRAME,
            None => ROOT,
        };
        for &next in graph.successors(node) {
            match clues.index(next) {
                None if is_frame(next) => self.frames.push(next),
                None if graph.precedence(next) == Precedence::Known => {
                    self.ready.first_mut().into_iter().for_each(|it| it.push_back(next));
                }
                None => self.later.push(next),
                Some(index) if self.is_settled(index) => {}
                Some(index) if self.is_settled_by(index, holder) => self.settle(next, holder),
                Some(_) => self.doubtful.push_back((next, holder)),
            }
        }
    }

    fn is_settled(&self, index: usize) -> bool {
        self.holders.get(index).is_none_or(|&holder| holder != NONE)
    }

    /// Whether it settles an object's birth that this holds it.
    fn is_settled_by(&self, index: usize, holder: u32) -> bool {
        let clues = self.clues;
        if clues.claim(index) != Claim::Open {
            return true;
        }
        let before = clues.before.traits;
        let then = clues.then(index).and_then(|then| before.holders.get(then)).copied();
        let same_holder = match holder {
            ROOT | FRAME => Some(holder),
            // One that is new now is not the one that was at its place.
            _ if self.births.get(holder as usize) == Some(&self.now) => None,
            _ => clues.then(holder as usize).map(|then| then as u32),
        };
        then.is_some() && then == same_holder
    }

    /// Takes an object's birth for settled.
    fn settle(&mut self, node: NodeId, holder: u32) {
        let Some(index) = self.clues.index(node).filter(|&index| !self.is_settled(index)) else {
            return;
        };
        if let (Some(own), Some(in_hand)) =
            (self.holders.get_mut(index), self.in_hand.get_mut(index))
        {
            *own = holder;
            *in_hand = self.is_in_hand;
        }
        let birth = self.births.get(index).copied().map_or(0, usize::from);
        if index < self.clues.first_leaf
            && let Some(ready) = self.ready.get_mut(birth)
        {
            ready.push_back(node);
        }
    }
}
