//! Finds leak suspects in successive heaps of one process.
//!
//! New objects are attributed to [holders](crate::hunt::compare::growth) and gathered in
//! [accumulation points](crate::hunt::compare::accumulation_points), which are [assessed](super::scoring).
//! In addition there is growth [without new objects](super::containers).

use rustc_hash::FxHashMap;

use super::comparison::Comparison;
use super::leak_kinds::is_weak;
use super::suspect::Suspect;
use crate::heap::{Analysis, NodeId};
use crate::hunt::compare::accumulation_points::accumulation_points;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::python::Python;

/// The leak suspects of a process whose heap was captured several times, the fastest-growing first; the last
/// of the snapshots is of this heap.
pub fn suspects(heap: &Analysis<'_>, python: &Python, snapshots: &[HeapColumns]) -> Vec<Suspect> {
    Comparison::of(heap, python, snapshots).suspects()
}

impl Comparison<'_> {
    fn suspects(&self) -> Vec<Suspect> {
        let mut found = Vec::new();
        let threads = self.threads();
        let points = accumulation_points(self.heap, &self.paths, &self.growth);
        let mut holders: FxHashMap<NodeId, usize> = FxHashMap::default();
        for point in &points {
            if threads.is_some() && self.is_of_threads(point.node) {
                continue;
            }
            if let Some(suspect) = self.assess(point) {
                for &holder in point.holders.iter().chain([&point.node]) {
                    holders.insert(holder, found.len());
                }
                found.push(suspect);
            }
        }
        self.containers(&mut found, &holders, threads.is_some());
        found.extend(self.resizable());
        found.extend(threads);
        let weak = |suspect: &Suspect| is_weak(&suspect.finding.grown);
        if found.iter().any(|suspect| !weak(suspect)) {
            // Weak references to the leaking objects, which do not hold them.
            found.retain(|suspect| !weak(suspect));
        }
        let bytes = |suspect: &Suspect| suspect.finding.bytes_per_s;
        found.sort_by(|a, b| bytes(b).total_cmp(&bytes(a)));
        found.iter_mut().for_each(|suspect| self.explain(suspect));
        found
    }
}
