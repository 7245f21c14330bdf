//! What changed between two heaps, or two moments of one, by group.

use rustc_hash::FxHashMap;

use super::groups::Group;

/// How a group changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The group before; empty if it is new.
    pub before: Group,
    /// The group after; empty if it is gone.
    pub after: Group,
}

impl Change {
    /// The name of the group.
    pub fn name(&self) -> &str {
        if self.after.name.is_empty() { &self.before.name } else { &self.after.name }
    }

    /// The growth in objects.
    pub fn count(&self) -> i64 {
        difference(self.before.count, self.after.count)
    }

    /// The growth in bytes, shallow and owned elsewhere.
    pub fn bytes(&self) -> i64 {
        difference(self.before.bytes(), self.after.bytes())
    }

    /// The growth in retained bytes; `None` unless known for both.
    pub fn retained(&self) -> Option<i64> {
        let of = |group: &Group| match group.name.as_str() {
            "" => Some(0),
            _ => group.retained,
        };
        Some(difference(of(&self.before)?, of(&self.after)?))
    }
}

/// All groups that changed, those that grew by the most bytes first.
pub fn changes(before: &[Group], after: &[Group]) -> Vec<Change> {
    let mut rest: FxHashMap<&str, &Group> =
        before.iter().map(|group| (group.name.as_str(), group)).collect();
    let mut changes: Vec<Change> = after
        .iter()
        .map(|group| Change {
            before: rest.remove(group.name.as_str()).cloned().unwrap_or_default(),
            after: group.clone(),
        })
        .collect();
    let gone = rest.into_values().cloned();
    changes.extend(gone.map(|before| Change { before, after: Group::default() }));
    changes.retain(|change| change.before != change.after);
    changes.sort_by(|a, b| {
        let growth = |change: &Change| (change.bytes(), change.count());
        growth(b).cmp(&growth(a)).then_with(|| a.name().cmp(b.name()))
    });
    changes
}

fn difference(before: u64, after: u64) -> i64 {
    let distance = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after >= before { distance } else { -distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, count: u64, shallow: u64) -> Group {
        Group { name: name.into(), count, shallow, retained: Some(shallow), ..Group::default() }
    }

    #[test]
    fn what_grew_most_is_first_and_what_is_the_same_is_left_out() {
        let before = [group("dict", 5, 500), group("gone", 1, 40), group("same", 2, 20)];
        let after = [group("dict", 6, 560), group("new", 10, 1000), group("same", 2, 20)];
        let changes = changes(&before, &after);
        let rows: Vec<_> =
            changes.iter().map(|row| (row.name(), row.count(), row.bytes())).collect();
        assert_eq!(rows, [("new", 10, 1000), ("dict", 1, 60), ("gone", -1, -40)]);
        assert_eq!(changes[2].retained(), Some(-40));
    }

    #[test]
    fn what_is_not_known_of_both_is_not_known() {
        let quick = Group { retained: None, ..group("dict", 6, 560) };
        assert_eq!(changes(&[group("dict", 5, 500)], &[quick])[0].retained(), None);
    }
}
