//! The settings of the cycle collector: whether it will ever free garbage.

use crate::heap::Analysis;
use crate::python::Python;

/// A first threshold above this makes collections so rare that they do not count. CPython's own is 700 up
/// to 3.12 and 2,000 from 3.13 on (Modules/gcmodule.c, Python/gc.c).
const RARE: i32 = 50_000;

/// The collector's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collector {
    /// Whether it runs by itself (`gc.isenabled()`).
    pub enabled: bool,
    /// How many more allocations than deallocations make it run; 0: it does not.
    pub threshold: i32,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector { enabled: true, threshold: 700 }
    }
}

impl Collector {
    /// Those of the main interpreter; the usual ones where they cannot be read.
    pub fn of(heap: &Analysis<'_>, python: &Python) -> Collector {
        let states = python.collectors(&heap.capture, heap.graph.decoder()).unwrap_or_default();
        let settings = states
            .first()
            .map(|state| Collector { enabled: state.enabled, threshold: state.thresholds[0] });
        settings.unwrap_or_default()
    }

    /// Whether garbage will be found in due time.
    pub fn is_on(self) -> bool {
        self.enabled && (1..=RARE).contains(&self.threshold)
    }
}
