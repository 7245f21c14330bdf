//! A heap in figures: what `leakspy heap` shows, saves and compares.

use std::time::{Duration, SystemTime};

use rustc_hash::FxHashMap;

use super::groups::{Group, Grouping, counted, groups};
use super::largest::LargeObject;
use crate::heap::analysis::Analysis;
use crate::heap::capture::copy::Capture;
use crate::heap::capture::options::CaptureFacts;
use crate::heap::trace::type_counts::TypeCounts;

/// A heap in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its interpreter.
    pub python: String,
    /// When it was captured.
    pub time: SystemTime,
    /// How long it was paused for that.
    pub pause: Duration,
    /// The bytes that were copied.
    pub copied: u64,
    /// Its resident set, in bytes; zero if it is not known.
    pub rss: u64,
    /// References and objects that contradict each other: hardly any if the process was paused.
    pub inconsistencies: u64,
    /// Its objects by type, the type with the most bytes first.
    pub types: Vec<Group>,
    /// Its objects in other groups, if requested.
    pub groups: Option<Vec<Group>>,
    /// The objects with the largest retained sizes, if requested.
    pub largest: Vec<LargeObject>,
}

/// The process that a heap belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its interpreter.
    pub python: String,
}

impl Summary {
    /// The figures of a heap just captured.
    pub fn of(heap: &Analysis<'_>, owner: Owner, by: Grouping) -> Summary {
        Summary {
            inconsistencies: heap.graph.inconsistencies().count(),
            types: groups(heap, Grouping::Type),
            groups: (by != Grouping::Type).then(|| groups(heap, by)),
            ..Summary::blank(heap.facts, owner)
        }
    }

    /// The figures of a heap just captured whose objects were only counted: by type, or by module too.
    pub fn of_counts(
        capture: &Capture<'_>,
        counts: &TypeCounts,
        owner: Owner,
        by: Grouping,
    ) -> Summary {
        Summary {
            inconsistencies: counts.inconsistencies.count(),
            types: counted(counts, Grouping::Type),
            groups: (by != Grouping::Type).then(|| counted(counts, by)),
            ..Summary::blank(capture.facts, owner)
        }
    }

    /// The summary before any object is known.
    fn blank(facts: CaptureFacts, owner: Owner) -> Summary {
        Summary {
            pid: owner.pid,
            command: owner.command,
            python: owner.python,
            time: SystemTime::now(),
            pause: facts.paused,
            copied: facts.copied,
            rss: facts.rss,
            inconsistencies: 0,
            types: Vec::new(),
            groups: None,
            largest: Vec::new(),
        }
    }

    /// The combined figures of several processes. Facts about a single process are those of the first.
    pub fn together(all: &[Summary]) -> Option<Summary> {
        let mut sum = all.first()?.clone();
        for other in all.iter().skip(1) {
            sum.pause = sum.pause.saturating_add(other.pause);
            sum.copied = sum.copied.saturating_add(other.copied);
            sum.rss = sum.rss.saturating_add(other.rss);
            sum.inconsistencies = sum.inconsistencies.saturating_add(other.inconsistencies);
        }
        sum.types = merged(all.iter().map(|one| one.types.as_slice()));
        sum.types.sort_by(|a, b| b.bytes().cmp(&a.bytes()).then_with(|| a.name.cmp(&b.name)));
        let parts: Option<Vec<&[Group]>> = all.iter().map(|one| one.groups.as_deref()).collect();
        sum.groups = parts.map(|parts| merged(parts.into_iter()));
        sum.largest = all.iter().flat_map(|one| one.largest.iter().cloned()).collect();
        sum.largest.sort_by_key(|object| std::cmp::Reverse(object.retained));
        sum.largest.truncate(all.iter().map(|one| one.largest.len()).max().unwrap_or_default());
        Some(sum)
    }

    /// All its objects as one group.
    pub fn total(&self) -> Group {
        let mut total = Group::default();
        for group in &self.types {
            add(&mut total, group);
        }
        total
    }
}

/// Merges groups of the same name, at the place of the first.
fn merged<'a>(parts: impl Iterator<Item = &'a [Group]>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = FxHashMap::default();
    for group in parts.flatten() {
        let place = *places.entry(&group.name).or_insert_with(|| {
            let (tracked, retained) = (group.tracked.map(|_| 0), group.retained.map(|_| 0));
            groups.push(Group { name: group.name.clone(), tracked, retained, ..Group::default() });
            groups.len() - 1
        });
        if let Some(sum) = groups.get_mut(place) {
            add(sum, group);
        }
    }
    groups
}

fn add(sum: &mut Group, group: &Group) {
    sum.count = sum.count.saturating_add(group.count);
    sum.tracked = sum.tracked.zip(group.tracked).map(|(a, b)| a.saturating_add(b));
    sum.shallow = sum.shallow.saturating_add(group.shallow);
    sum.external = sum.external.saturating_add(group.external);
    sum.retained = sum.retained.zip(group.retained).map(|(a, b)| a.saturating_add(b));
}
