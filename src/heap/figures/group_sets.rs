//! The sets of groups on the path down to each node, for millions of nodes at the cost of a number each:
//! there are few different sets, and each is an existing one plus one group.

use rustc_hash::FxHashMap;

/// The number of the empty set.
pub(crate) const EMPTY: u32 = 0;

/// Sets of groups, by number.
#[derive(Debug)]
pub(crate) struct GroupSets {
    /// Each set as a pair of another set and the group added to it; the first, which is empty, refers to
    /// itself.
    sets: Vec<(u32, usize)>,
    /// Answers by question: a set and a group, and the set with the group added.
    asked: FxHashMap<(u32, usize), u32>,
}

impl GroupSets {
    /// Only the empty set.
    pub fn new() -> GroupSets {
        GroupSets { sets: vec![(EMPTY, usize::MAX)], asked: FxHashMap::default() }
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
        let mut rest = set;
        let found = loop {
            match self.sets.get(rest as usize) {
                Some((_, own)) if *own == group => break set,
                Some((smaller, _)) if rest != EMPTY => rest = *smaller,
                _ => {
                    self.sets.push((set, group));
                    break self.sets.len() as u32 - 1;
                }
            }
        };
        self.asked.insert((set, group), found);
        found
    }
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
}
