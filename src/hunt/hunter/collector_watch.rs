//! Whether the garbage collector gets anywhere: the same collection, seen in two captures, is held up.

use std::time::Duration;

use crate::heap::Analysis;
use crate::hunt::verdict::BlockedCollector;
use crate::process::Process;
use crate::python::Python;

/// What the captures so far have shown of the collector.
#[derive(Debug, Default)]
pub(super) struct CollectorWatch {
    /// The collection that was running in the last capture: how many there had been before it, and when it was
    /// first seen.
    running: Option<(u64, Duration)>,
    /// The collection that does not finish.
    pub blocked: Option<BlockedCollector>,
}

impl CollectorWatch {
    /// Notes what the heap captured at this time shows. `process` is asked for the stack of a finalizer.
    pub fn see(&mut self, heap: &Analysis<'_>, process: &Process, python: &Python, at: Duration) {
        let count = || Some(python.collections(heap.capture()?).ok()?.iter().sum());
        let Some(count) = heap.facts.collecting.then(count).flatten() else {
            self.running = None;
            return;
        };
        match self.running {
            Some((before, since)) if before == count => {
                self.blocked = Some(BlockedCollector {
                    for_s: at.saturating_sub(since).as_secs_f64(),
                    stack: python.collecting_stack(process).unwrap_or_default(),
                });
            }
            _ => self.running = Some((count, at)),
        }
    }
}
