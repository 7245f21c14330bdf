//! Objects in groups: by type, by module of the type, by size, by generation of the collector.

use std::fmt;
use std::panic::resume_unwind;
use std::thread;

use rustc_hash::FxHashMap;

use super::group_sets::{EMPTY, GroupSets};
use crate::heap::analysis::Analysis;
use crate::heap::graph::object_graph::Graph;
use crate::heap::graph::search::Flow;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::filled;
use crate::heap::trace::type_counts::TypeCounts;
use crate::python::gc::Generation;
use crate::python::objects::TypeInfo;

/// What objects are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// The type's name.
    #[default]
    Type,
    /// The module of the type.
    Module,
    /// The full size of an object, in classes, each twice as wide as the one before.
    Size,
    /// The collector's list that an object is in, if any.
    Generation,
}

/// A group of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// What its objects have in common.
    pub name: String,
    /// The number of objects.
    pub count: u64,
    /// The number of those that the collector tracks; `None` where that was not determined.
    pub tracked: Option<u64>,
    /// The sum of their own sizes including headers, as `sys.getsizeof` says, in bytes.
    pub shallow: u64,
    /// The bytes that they own elsewhere.
    pub external: u64,
    /// The bytes that they retain, nothing counted twice: at least these would be freed with them. `None`
    /// where no graph was made.
    pub retained: Option<u64>,
}

impl Group {
    /// Their own bytes plus those that they own elsewhere.
    pub fn bytes(&self) -> u64 {
        self.shallow.saturating_add(self.external)
    }
}

/// Size classes: the first has up to 16 bytes.
const SMALLEST_CLASS: u32 = 4;
const SIZE_CLASSES: u32 = u64::BITS - SMALLEST_CLASS + 1;
/// The group of objects that the collector does not track.
const UNTRACKED: u32 = Generation::ALL.len() as u32;
const UNREADABLE: &str = "(unreadable)";

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Generation::Young => "young",
            Generation::Middle => "middle",
            Generation::Old => "old",
            Generation::Permanent => "frozen",
        })
    }
}

/// The group of each object.
struct Membership<'a> {
    graph: &'a Graph,
    names: Vec<String>,
    of: Of,
}

/// What determines the group.
enum Of {
    /// The type, by number; the last entry is for objects that could not be read.
    Type(Vec<u32>),
    /// The size.
    Size,
    /// The collector's list, by container.
    List(Vec<u8>),
}

impl<'a> Membership<'a> {
    fn new(graph: &'a Graph, by: Grouping) -> Membership<'a> {
        match by {
            Grouping::Type => Membership::by_kind(graph, |kind| &kind.name),
            Grouping::Module => Membership::by_kind(graph, |kind| &kind.module),
            Grouping::Size => {
                let names = (0..SIZE_CLASSES).map(size_class_name).collect();
                Membership { graph, names, of: Of::Size }
            }
            Grouping::Generation => {
                let mut lists = vec![UNTRACKED as u8; graph.objects().len()];
                for (list, nodes) in (0..).zip(graph.tracked()) {
                    for &node in nodes {
                        let index = graph.object_index(node);
                        if let Some(place) = index.and_then(|index| lists.get_mut(index)) {
                            *place = list;
                        }
                    }
                }
                let names = Generation::ALL.iter().map(Generation::to_string);
                let names = names.chain(["not tracked".to_owned()]).collect();
                Membership { graph, names, of: Of::List(lists) }
            }
        }
    }

    fn by_kind(graph: &'a Graph, name: fn(&TypeInfo) -> &String) -> Membership<'a> {
        let mut names = Vec::new();
        let mut numbers = FxHashMap::default();
        let mut of = Vec::with_capacity(graph.types().count() + 1);
        let unreadable = UNREADABLE.to_owned();
        for name in graph.types().iter().map(name).chain([&unreadable]) {
            of.push(*numbers.entry(name).or_insert_with(|| {
                names.push(name.clone());
                names.len() as u32 - 1
            }));
        }
        Membership { graph, names, of: Of::Type(of) }
    }

    /// The group of an object.
    fn of(&self, node: NodeId) -> usize {
        let group = match &self.of {
            Of::Type(groups) => {
                let last = groups.len().saturating_sub(1);
                let kind = self.graph.type_id(node).map_or(last, |id| id.0 as usize);
                groups.get(kind).copied().unwrap_or_default()
            }
            Of::Size => size_class(self.graph.size(node)),
            Of::List(lists) => {
                let list = self.graph.object_index(node).and_then(|index| lists.get(index));
                list.map_or(UNTRACKED, |&list| list.into())
            }
        };
        group as usize
    }

    /// Whether an object can be in the same group as one that dominates it. If groups are types, a leaf such
    /// as a string cannot.
    fn can_nest(&self, node: NodeId) -> bool {
        !matches!(self.of, Of::Type(_))
            || self.graph.type_info(node).is_none_or(|info| !info.is_leaf())
    }
}

fn size_class(size: u64) -> u32 {
    (u64::BITS - size.saturating_sub(1).leading_zeros()).saturating_sub(SMALLEST_CLASS)
}

fn size_class_name(class: u32) -> String {
    match class {
        0 => format!("up to {} bytes", 1 << SMALLEST_CLASS),
        _ => {
            let top = 1_u128 << (class + SMALLEST_CLASS);
            format!("{} to {top} bytes", top / 2 + 1)
        }
    }
}

/// The groups of a heap that have members: the largest first in bytes; sizes and generations in their own
/// order.
pub fn groups(heap: &Analysis<'_>, by: Grouping) -> Vec<Group> {
    let graph = &heap.graph;
    let membership = Membership::new(graph, by);
    let (mut groups, retained) = thread::scope(|scope| {
        let retained = scope.spawn(|| retained(heap, &membership));
        let groups = members(graph, &membership);
        (groups, retained.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    for (group, retained) in groups.iter_mut().zip(retained) {
        group.retained = Some(retained);
    }
    groups.retain(|group| group.count > 0);
    if matches!(by, Grouping::Type | Grouping::Module) {
        groups.sort_by(|a, b| b.bytes().cmp(&a.bytes()).then_with(|| a.name.cmp(&b.name)));
    }
    groups
}

/// The same for objects that were only counted: by type or by module, without retained sizes.
pub fn counted(counts: &TypeCounts, by: Grouping) -> Vec<Group> {
    let mut groups: FxHashMap<&str, Group> = FxHashMap::default();
    for (kind, count) in counts.by_type().filter(|(_, count)| count.objects > 0) {
        let name = if by == Grouping::Module { &kind.module } else { &kind.name };
        let group = groups.entry(name).or_default();
        group.name.clone_from(name);
        group.count += count.objects;
        group.shallow = group.shallow.saturating_add(count.shallow);
        group.external = group.external.saturating_add(count.external);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| b.bytes().cmp(&a.bytes()).then_with(|| a.name.cmp(&b.name)));
    groups
}

/// The members of each group, counted.
fn members(graph: &Graph, membership: &Membership<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = membership
        .names
        .iter()
        .map(|name| Group { name: name.clone(), tracked: Some(0), ..Group::default() })
        .collect();
    for node in graph.objects() {
        if let Some(group) = groups.get_mut(membership.of(node)) {
            group.count += 1;
            let (size, external) = (graph.size(node), graph.external(node));
            group.shallow = group.shallow.saturating_add(size.saturating_sub(external));
            group.external = group.external.saturating_add(external);
        }
    }
    for &node in graph.tracked().iter().flatten() {
        if let Some(group) = groups.get_mut(membership.of(node)) {
            *group.tracked.get_or_insert_default() += 1;
        }
    }
    groups
}

/// The retained size of each group: the sum over its objects that no other of them dominates.
fn retained(heap: &Analysis<'_>, membership: &Membership<'_>) -> Vec<u64> {
    let Analysis { graph, dominators, .. } = heap;
    let (first, first_leaf) = (graph.first_object(), graph.first_leaf());
    let mut sums = vec![0_u64; membership.names.len()];
    let mut add = |group: usize, node: NodeId| {
        if let Some(sum) = sums.get_mut(group) {
            *sum = sum.saturating_add(heap.amount(node).bytes);
        }
    };
    let mut sets = GroupSets::new();
    // For each node that is not a leaf, the groups on the path from the root down to it.
    let mut above = filled(EMPTY, first_leaf.index());
    let set_of = |above: &[u32], node: NodeId| above.get(node.index()).copied().unwrap_or(EMPTY);
    for &node in dominators.order() {
        let Some(dominator) = dominators.immediate(node) else { continue };
        let mut set = set_of(&above, dominator);
        if node >= first {
            let group = membership.of(node);
            let with = sets.with(set, group);
            if with != set {
                add(group, node);
            }
            set = with;
        }
        if let Some(place) = above.get_mut(node.index()) {
            *place = set;
        }
    }
    for node in first_leaf.up_to(graph.end()) {
        let group = membership.of(node);
        let is_nested = membership.can_nest(node)
            && dominators.immediate(node).is_some_and(|dominator| {
                let set = set_of(&above, dominator);
                sets.with(set, group) == set
            });
        if !is_nested {
            add(group, node);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_the_class_that_names_it() {
        for (size, class) in [
            (0, "up to 16 bytes"),
            (16, "up to 16 bytes"),
            (17, "17 to 32 bytes"),
            (32, "17 to 32 bytes"),
            (33, "33 to 64 bytes"),
            (1 << 20, "524289 to 1048576 bytes"),
        ] {
            assert_eq!(size_class_name(size_class(size)), class);
        }
        assert!(size_class(1 << 63) < SIZE_CLASSES);
    }
}
