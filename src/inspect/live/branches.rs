//! The branches of the live view: a tree of names, each with its objects.
//!
//! There are many objects and few names, but names come from the target. The depth of the tree, the children
//! per branch and the number of branches are therefore bounded: what exceeds a bound is put on the last
//! branch within it. A name that already occurs twice on the way down is not added a third time: a linked
//! list of a million nodes is one branch, not a million.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::profile::{Profile, Stack, Weight};
use crate::python::Frame;

/// The maximum depth of a branch below the frames.
const DEEPEST: u32 = 100;
/// The maximum number of children of a branch.
const MOST_CHILDREN: u32 = 2_000;
/// The maximum number of branches.
const MOST: usize = 500_000;
/// The maximum number of parts of all branches together, the frames of a deep recursion included.
const MOST_PARTS: usize = 20_000_000;
/// How often a name may occur between the root and a branch.
const REPEATS: usize = 2;

/// The number of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Branch(u32);

/// The branch from which all others grow.
pub const TOP: Branch = Branch(0);

/// What a branch stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it is the top.
    Top,
    /// A root other than a frame.
    Root(Arc<str>),
    /// A frame.
    Frame(Frame),
    /// Objects, and how they are held.
    Holder(Arc<str>),
    /// The allocation site of objects.
    Birth(Arc<str>),
}

#[derive(Debug)]
struct Node {
    parent: Branch,
    part: Part,
    depth: u32,
    /// The number of branches on the way to it, itself included.
    length: usize,
    children: u32,
    bytes: u64,
    objects: u64,
}

/// All branches.
#[derive(Debug)]
pub struct Branches {
    nodes: Vec<Node>,
    by_name: FxHashMap<(Branch, Arc<str>), Branch>,
    /// The lengths of all branches together.
    parts: usize,
}

impl Default for Branches {
    fn default() -> Branches {
        let mut branches = Branches { nodes: Vec::new(), by_name: FxHashMap::default(), parts: 0 };
        branches.push(TOP, Part::Top, 0);
        branches
    }
}

impl Branches {
    /// A new branch for a root or a frame, or its parent where there is no room.
    pub fn root(&mut self, parent: Branch, part: Part) -> Branch {
        match self.has_room(parent) {
            true => self.push(parent, part, 0),
            false => parent,
        }
    }

    /// The child of a branch with the name of a holder, or the branch that takes its objects instead.
    pub fn child(&mut self, parent: Branch, name: &Arc<str>) -> Branch {
        self.named(parent, name, Part::Holder)
    }

    /// The same with an allocation site.
    pub fn birth(&mut self, parent: Branch, place: &Arc<str>) -> Branch {
        self.named(parent, place, Part::Birth)
    }

    fn named(&mut self, parent: Branch, name: &Arc<str>, part: fn(Arc<str>) -> Part) -> Branch {
        let key = (parent, Arc::clone(name));
        if let Some(known) = self.by_name.get(&key) {
            return *known;
        }
        let child = match (self.repeated(parent, name), self.node(parent)) {
            (Some(above), _) => above,
            (None, Some(node))
                if node.depth < DEEPEST
                    && node.children < MOST_CHILDREN
                    && self.nodes.len() < MOST
                    && self.has_room(parent) =>
            {
                let depth = node.depth + 1;
                self.push(parent, part(Arc::clone(name)), depth)
            }
            // Not remembered: there may be any number of such names.
            _ => return parent,
        };
        self.by_name.insert(key, child);
        child
    }

    /// Adds an object to a branch.
    pub fn add(&mut self, branch: Branch, bytes: u64) {
        if let Some(node) = self.nodes.get_mut(branch.0 as usize) {
            node.bytes = node.bytes.saturating_add(bytes);
            node.objects += 1;
        }
    }

    fn node(&self, branch: Branch) -> Option<&Node> {
        self.nodes.get(branch.0 as usize)
    }

    fn push(&mut self, parent: Branch, part: Part, depth: u32) -> Branch {
        let branch = Branch(self.nodes.len() as u32);
        let length = 1 + self.length(parent);
        self.parts = self.parts.saturating_add(length);
        if let Some(node) = self.nodes.get_mut(parent.0 as usize) {
            node.children += 1;
        }
        self.nodes.push(Node { parent, part, depth, length, children: 0, bytes: 0, objects: 0 });
        branch
    }

    fn length(&self, branch: Branch) -> usize {
        self.node(branch).map_or(0, |node| node.length)
    }

    /// Whether there is room for a branch below this one.
    fn has_room(&self, parent: Branch) -> bool {
        self.parts.saturating_add(self.length(parent)) < MOST_PARTS
    }

    /// The nearest branch with this name on the way up, if the name occurs there often enough.
    fn repeated(&self, from: Branch, name: &str) -> Option<Branch> {
        let above = self.way_up(from).take_while(|(_, node)| node.depth > 0);
        let mut same = above.filter_map(|(branch, node)| match &node.part {
            Part::Holder(other) if **other == *name => Some(branch),
            _ => None,
        });
        let nearest = same.next()?;
        (same.count() + 1 >= REPEATS).then_some(nearest)
    }

    /// A branch and all its ancestors, without the top.
    fn way_up(&self, from: Branch) -> impl Iterator<Item = (Branch, &Node)> {
        let mut next = from;
        std::iter::from_fn(move || {
            let node = self.node(next).filter(|_| next != TOP)?;
            let branch = next;
            next = node.parent;
            Some((branch, node))
        })
    }

    /// All branches that have objects, as stacks.
    pub fn into_profile(self) -> Profile {
        let mut profile = Profile::new();
        for (number, node) in (0..).zip(&self.nodes) {
            if node.objects == 0 {
                continue;
            }
            let mut stack = Stack::default();
            for (_, above) in self.way_up(Branch(number)) {
                match &above.part {
                    Part::Top => {}
                    Part::Root(words) => stack.roots.push(Arc::clone(words)),
                    Part::Frame(frame) => stack.frames.push(frame.clone()),
                    Part::Holder(words) => stack.path.push(Arc::clone(words)),
                    Part::Birth(place) => stack.leaf = Some(Arc::clone(place)),
                }
            }
            stack.roots.reverse();
            stack.path.reverse();
            let weight = Weight { bytes: node.bytes as f64, objects: node.objects as f64 };
            profile.add(stack, weight);
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(branches: Branches) -> Vec<(String, f64)> {
        let profile = branches.into_profile();
        let path = |stack: &Stack| stack.path.join(" › ");
        profile.sorted().into_iter().map(|(stack, w)| (path(stack), w.objects)).collect()
    }

    #[test]
    fn a_long_list_is_one_branch() {
        let mut branches = Branches::default();
        let mut branch = branches.child(TOP, &"head Node".into());
        for _ in 0..1000 {
            branch = branches.child(branch, &".next Node".into());
            branches.add(branch, 64);
        }
        let twice = "head Node › .next Node › .next Node".to_owned();
        assert_eq!(paths(branches), [("head Node › .next Node".to_owned(), 1.0), (twice, 999.0)]);
    }

    #[test]
    fn names_without_end_stay_within_bounds() {
        let mut branches = Branches::default();
        for number in 0..2 * MOST_CHILDREN {
            let mut branch = branches.child(TOP, &number.to_string().into());
            for level in 0..2 * DEEPEST {
                branch = branches.child(branch, &format!("{number} {level}").into());
            }
            branches.add(branch, 1);
        }
        let paths = paths(branches);
        assert!(paths.len() <= MOST_CHILDREN as usize + 1);
        assert_eq!(paths.iter().map(|path| path.1).sum::<f64>(), f64::from(2 * MOST_CHILDREN));
    }

    #[test]
    fn a_deep_recursion_stays_within_bounds() {
        let frame = || Frame::new("f", "f.py", Some(1));
        let (mut branches, mut branch) = (Branches::default(), TOP);
        for _ in 0..100_000 {
            branch = branches.root(branch, Part::Frame(frame()));
            branches.add(branch, 1);
        }
        assert!(branches.parts < MOST_PARTS);
        let total = branches.into_profile().total();
        assert_eq!((total.bytes, total.objects), (100_000.0, 100_000.0));
    }
}
