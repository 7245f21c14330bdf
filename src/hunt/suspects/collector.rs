//! The garbage collector: whether it will ever free the garbage found.

use crate::heap::{Analysis, NodeId};
use crate::hunt::compare::growth::Growth;
use crate::hunt::compare::interpreter::Interpreter;
use crate::python::collector::USUAL_THRESHOLDS;
use crate::python::gc::Generation;

/// A generation is collected too rarely if a collection takes more allocations than this, less deallocations:
/// many times more than with the [usual](USUAL_THRESHOLDS) thresholds.
const RARE: [i64; 3] = [50_000, 500_000, 5_000_000];

/// The collector's settings, and the generation where garbage piles up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collector {
    /// Whether it runs by itself (`gc.isenabled()`).
    pub enabled: bool,
    /// `gc.get_threshold()`. The first is the surplus of allocations over deallocations that starts a
    /// collection; 0 means that none starts.
    pub thresholds: [i32; 3],
    /// The generation in which most of the new garbage is.
    pub garbage: Generation,
    /// Whether a collection does not finish.
    pub is_blocked: bool,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector {
            enabled: true,
            thresholds: USUAL_THRESHOLDS,
            garbage: Generation::Young,
            is_blocked: false,
        }
    }
}

impl Collector {
    /// The collector of the main interpreter; the usual settings where they cannot be read.
    pub fn of(heap: &Analysis<'_>, interpreter: Interpreter<'_>, growth: &Growth) -> Collector {
        let states = interpreter.collectors(heap);
        let garbage = where_garbage_is(heap, growth);
        let is_blocked = heap.facts.collecting;
        let usual = Collector { garbage, is_blocked, ..Collector::default() };
        match states.first() {
            Some(state) => {
                Collector { enabled: state.enabled, thresholds: state.thresholds, ..usual }
            }
            None => usual,
        }
    }

    /// Whether it will find the garbage soon enough.
    pub fn comes_by(self) -> bool {
        let older = match self.garbage {
            Generation::Young => 0,
            Generation::Middle => 1,
            Generation::Old => 2,
            Generation::Permanent => return false,
        };
        let [young, rest @ ..] = self.thresholds.map(i64::from);
        let collections = rest.iter().take(older).map(|&threshold| threshold.max(1));
        let allocations = collections.fold(young, i64::saturating_mul);
        let rare = RARE.get(older).copied().unwrap_or_default();
        self.enabled && !self.is_blocked && (1..=rare).contains(&allocations)
    }
}

/// The generation in which most of the new garbage is.
fn where_garbage_is(heap: &Analysis<'_>, growth: &Growth) -> Generation {
    let garbage = heap.graph.garbage();
    let in_garbage = |node: &&NodeId| garbage.is_some() && growth.holder(**node) == garbage;
    let generations = Generation::ALL.into_iter().zip(heap.graph.tracked());
    let counted = generations.map(|(it, nodes)| (nodes.iter().filter(in_garbage).count(), it));
    counted.max().filter(|(count, _)| *count > 0).map_or(Generation::Young, |(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_by_where_it_runs_often_enough() {
        let usual = Collector::default();
        let within = |garbage| Collector { garbage, ..usual };
        let [young, middle, old, permanent] = Generation::ALL.map(|it| within(it).comes_by());
        assert!(young && middle && old && !permanent);
        assert!(!Collector { enabled: false, ..usual }.comes_by());
        assert!(!Collector { is_blocked: true, ..usual }.comes_by());
        assert!(!Collector { thresholds: [0, 10, 10], ..usual }.comes_by());
        assert!(!Collector { thresholds: [1_000_000, 10, 10], ..usual }.comes_by());
        let starved = Collector { thresholds: [700, 10, 100_000], ..usual };
        assert!(starved.comes_by(), "for the young");
        assert!(!Collector { garbage: Generation::Old, ..starved }.comes_by());
        // A last threshold of 0 is exceeded every time.
        let eager = Collector { thresholds: [700, 10, 0], garbage: Generation::Old, ..usual };
        assert!(eager.comes_by());
    }
}
