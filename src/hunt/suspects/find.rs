//! Finds leak suspects in successive heaps of one process.
//!
//! New objects are attributed to [holders](crate::hunt::compare::growth) and gathered in
//! [accumulation points](crate::hunt::compare::accumulation_points), which are [assessed](super::scoring).
//! In addition there is growth [without new objects](super::containers).

use rustc_hash::{FxHashMap, FxHashSet};

use super::comparison::Comparison;
use super::leak_kinds::is_weak;
use super::removal::Codes;
use super::suspect::{Key, Suspect};
use crate::heap::{Analysis, Flow, NodeId};
use crate::hunt::compare::accumulation_points::accumulation_points;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::interpreter::Interpreter;
use crate::hunt::finding::{Feeder, LeakKind};

/// The leak suspects of a process whose heap was captured several times, the fastest-growing first; the last
/// of the snapshots is of this heap. `feeders` gives the stacks seen to feed a suspect so far.
pub fn suspects<'a>(
    heap: &'a Analysis<'_>,
    interpreter: impl Into<Interpreter<'a>>,
    snapshots: &'a [HeapColumns],
    feeders: impl Fn(Key) -> Vec<Feeder>,
) -> Vec<Suspect> {
    Comparison::of(heap, interpreter.into(), snapshots).suspects(feeders)
}

/// For how many suspects, the fastest first, code that removes is looked for.
const MOST_CONSIDERED: usize = 10;
/// How many weak references are followed to see what they refer to.
const MOST_EXAMPLES: usize = 32;

impl Comparison<'_> {
    fn suspects(&self, feeders: impl Fn(Key) -> Vec<Feeder>) -> Vec<Suspect> {
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
                    weak.insert(suspect.key, &point.holders);
                }
                found.push(suspect);
            }
        }
        self.containers(&mut found, &holders, threads.is_some());
        // Weak references to objects that leak do not hold them.
        let leaks = |node: NodeId| {
            let suspect = self.growth.holder(node).and_then(|it| found.get(*holders.get(&it)?));
            suspect.is_some_and(|it| it.is_steady && !is_weak(&it.finding.grown))
        };
        let only_see_leaks = |suspect: &Suspect| {
            let holders = weak.get(&suspect.key).copied().unwrap_or_default();
            let items = holders.iter().flat_map(|&it| self.heap.graph.successors(it)).copied();
            let new = items.filter(|&item| self.growth.holder(item).is_some());
            let referents: Vec<NodeId> =
                new.filter_map(|item| self.referent(item)).take(MOST_EXAMPLES).collect();
            2 * referents.iter().filter(|it| leaks(**it)).count() > referents.len()
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
        // A suspect that is reported comes before one that is only watched, whatever its size.
        found.sort_by(|a, b| {
            let bytes = |suspect: &Suspect| suspect.finding.bytes_per_s;
            b.is_steady.cmp(&a.is_steady).then(bytes(b).total_cmp(&bytes(a)))
        });
        self.consider_removals(&mut found, feeders);
        // A growth that levels off is no mistake to explain.
        let is_mistake = |it: &&mut Suspect| it.level.as_ref().is_none_or(|it| it.limit.is_some());
        found.iter_mut().filter(is_mistake).for_each(|suspect| self.explain(suspect));
        found
    }

    /// Looks for code that removes from what grows.
    fn consider_removals(&self, found: &mut [Suspect], feeders: impl Fn(Key) -> Vec<Feeder>) {
        let mut codes = None;
        let is_collection = |it: &&mut Suspect| {
            it.is_steady && matches!(it.finding.kind, LeakKind::Container | LeakKind::Spread)
        };
        for suspect in found.iter_mut().filter(is_collection).take(MOST_CONSIDERED) {
            if codes.is_none() {
                codes = Codes::of(self);
            }
            let Some(codes) = &codes else { return };
            let feeders = feeders(suspect.key);
            if let Some(removal) = self.removal(&suspect.finding.holder, &feeders, codes) {
                self.consider(suspect, removal);
            }
        }
    }

    /// The object that a weak reference refers to; `None` for anything else.
    fn referent(&self, node: NodeId) -> Option<NodeId> {
        is_weak(&self.heap.graph.type_info(node)?.name).then_some(())?;
        let address = self.heap.graph.address(node)?;
        self.heap.graph.node(self.heap.reader()?.weakly_referred(address)?)
    }
}
