//! From successive heaps of one process to its leak suspects.
//!
//! What is new is attributed to [holders](crate::hunt::compare::growth), and gathered in
//! [accumulation points](crate::hunt::compare::accumulation_points), which are [assessed](super::scoring).
//! Beside those there is what grows [without new objects](super::containers).

use rustc_hash::{FxHashMap, FxHashSet};

use super::comparison::Comparison;
use super::leak_kinds::is_weak;
use super::suspect::{Key, Suspect};
use crate::heap::{Analysis, NodeId};
use crate::hunt::compare::accumulation_points::accumulation_points;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::python::Python;

/// What seems to leak in a process whose heap was looked at several times; the last of the snapshots is
/// of this heap. Those that take most come first.
pub fn suspects(heap: &Analysis<'_>, python: &Python, snapshots: &[HeapColumns]) -> Vec<Suspect> {
    Comparison::of(heap, python, snapshots).suspects()
}

impl Comparison<'_> {
    fn suspects(&self) -> Vec<Suspect> {
        let mut found = Vec::new();
        let threads = self.threads().filter(|threads| threads.is_steady);
        let points = accumulation_points(self.heap, &self.paths, &self.growth);
        let mut holders: FxHashMap<NodeId, usize> = FxHashMap::default();
        let mut weak: FxHashMap<Key, &[NodeId]> = FxHashMap::default();
        for point in &points {
            if threads.is_some() && self.is_of_threads(point.node) {
                continue;
            }
            if let Some(suspect) = self.assess(point) {
                for &holder in point.holders.iter().chain([&point.node]) {
                    holders.insert(holder, found.len());
                }
                if is_weak(&suspect.finding.grown) {
                    weak.insert(suspect.key, &point.accumulated.examples);
                }
                found.push(suspect);
            }
        }
        self.containers(&mut found, &holders, threads.is_some());
        // What is seen of a leak through weak references, which do not hold it.
        let leaks = |node: NodeId| {
            let suspect = self.growth.holder(node).and_then(|it| found.get(*holders.get(&it)?));
            suspect.is_some_and(|it| it.is_steady && !is_weak(&it.finding.grown))
        };
        let only_see_leaks = |suspect: &Suspect| {
            let some = weak.get(&suspect.key).copied().unwrap_or_default();
            let seen = some.iter().filter(|&&node| self.referent(node).is_some_and(leaks));
            2 * seen.count() > some.len()
        };
        let echoes: FxHashSet<Key> =
            found.iter().filter(|it| only_see_leaks(it)).map(|it| it.key).collect();
        found.retain(|suspect| !echoes.contains(&suspect.key));
        found.extend(self.resizable());
        found.extend(threads);
        if let Some(suspect) = self.uncollectable() {
            let of_garbage = self.snapshots.last().map(|it| it.totals);
            if of_garbage.is_some_and(|it| 2 * it.uncollectable.objects >= it.garbage.objects) {
                found.retain(|other| other.key != Key::Garbage);
            }
            found.push(suspect);
        }
        // What is told comes before what may only be watched, however much that is.
        found.sort_by(|a, b| {
            let bytes = |suspect: &Suspect| suspect.finding.bytes_per_s;
            b.is_steady.cmp(&a.is_steady).then(bytes(b).total_cmp(&bytes(a)))
        });
        found
    }

    /// What a weak reference refers to.
    fn referent(&self, node: NodeId) -> Option<NodeId> {
        let address = self.heap.graph.address(node)?;
        self.heap.graph.node(self.heap.reader()?.weakly_referred(address)?)
    }
}
