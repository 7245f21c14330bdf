//! The sets of groups on the path down to each node, for millions of nodes at the cost of a number each:
//! there are few different sets, and each is an existing one plus one group.
//!
//! A set is a binary tree over the bits of the groups' numbers; it shares all but one path with the set that it
//! was made from. So even sets of thousands of groups are made and asked in a few steps.

use rustc_hash::FxHashMap;

/// The number of the empty set.
pub(crate) const EMPTY: u32 = 0;

/// No tree, and a whole one, at any level.
const NOTHING: u32 = 0;
const LEAF: u32 = 1;

/// Sets of groups, by number.
#[derive(Debug)]
pub(crate) struct GroupSets {
    /// The tree of each set.
    sets: Vec<u32>,
    /// The branches of each tree; the first two stand for nothing and for a leaf.
    trees: Vec<[u32; 2]>,
    /// Answers by question: a set and a group, and the set with the group added.
    asked: FxHashMap<(u32, usize), u32>,
}

impl GroupSets {
    /// Only the empty set.
    pub fn new() -> GroupSets {
        GroupSets { sets: vec![NOTHING], trees: vec![[NOTHING; 2]; 2], asked: FxHashMap::default() }
    }

    /// A set with a group added: the set itself if it has the group.
    #[inline]
    pub fn with(&mut self, set: u32, group: usize) -> u32 {
        match self.asked.get(&(set, group)) {
            Some(known) => *known,
            None => self.find(set, group),
        }
    }

    fn find(&mut self, set: u32, group: usize) -> u32 {
        let tree = self.sets.get(set as usize).copied().unwrap_or(NOTHING);
        let found = match self.path(tree, group) {
            (_, LEAF) => set,
            (path, _) => {
                let tree = self.plant(&path, group);
                self.sets.push(tree);
                self.sets.len() as u32 - 1
            }
        };
        self.asked.insert((set, group), found);
        found
    }

    /// The trees on the way down to a group, and what is at its place.
    fn path(&self, tree: u32, group: usize) -> ([u32; LEVELS], u32) {
        let mut path = [NOTHING; LEVELS];
        let mut tree = tree;
        for (level, place) in path.iter_mut().enumerate() {
            *place = tree;
            let [left, right] = self.trees.get(tree as usize).copied().unwrap_or_default();
            tree = if goes_right(group, level) { right } else { left };
        }
        (path, tree)
    }

    /// A new tree with a group, which shares everything beside this path.
    fn plant(&mut self, path: &[u32; LEVELS], group: usize) -> u32 {
        let mut below = LEAF;
        for (level, tree) in path.iter().enumerate().rev() {
            let [left, right] = self.trees.get(*tree as usize).copied().unwrap_or_default();
            let branches = if goes_right(group, level) { [left, below] } else { [below, right] };
            self.trees.push(branches);
            below = self.trees.len() as u32 - 1;
        }
        below
    }
}

/// The levels of a tree: there are fewer groups than this has numbers.
const LEVELS: usize = 23;

/// Whether the way to a group turns right at a level.
fn goes_right(group: usize, level: usize) -> bool {
    group >> level & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_with() {
        let mut sets = GroupSets::new();
        let one = sets.with(EMPTY, 7);
        let two = sets.with(one, 3);
        assert!(EMPTY != one && one != two);
        assert_eq!([sets.with(two, 7), sets.with(two, 3), sets.with(one, 7)], [two, two, one]);
        assert_eq!(sets.with(EMPTY, 7), one);
        assert_ne!(sets.with(EMPTY, 3), one);
    }

    #[test]
    fn a_set_of_all_groups_is_made_in_no_time() {
        let mut sets = GroupSets::new();
        let all = (0..200_000).fold(EMPTY, |set, group| sets.with(set, group));
        assert!((0..200_000).all(|group| sets.with(all, group) == all));
        assert_ne!(sets.with(all, 200_000), all);
    }
}
