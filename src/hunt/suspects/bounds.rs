//! Whether a growing collection has a limit, and how soon it is reached: a cache that is filling grows like a
//! leak.

use super::comparison::Comparison;
use crate::heap::NodeId;
use crate::hunt::inserts::growth_counters::growth_word;
use crate::memory::Memory;
use crate::python::objects::Bound;

/// A collection that is full within this many seconds is a cache that is filling, not a leak.
const SOON_S: f64 = 3600.0;
/// The same for a bound guessed by its name: if it is not a bound, the next hunt finds the collection above
/// it.
const SOON_IF_GUESSED_S: f64 = 300.0;
/// A collection's owner is above it, perhaps with its `__dict__` in between.
const STEPS: usize = 2;
/// A collection larger than its limit by this factor does not respect it. Some are pruned only when they are half
/// as large again (SQLAlchemy's `LRUCache`, its `size_threshold`).
const SLACK: f64 = 2.0;

/// A bound that has not been reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filling {
    /// The bound.
    pub bound: Bound,
    /// In how many seconds it is reached at this pace.
    pub full_in_s: f64,
}

impl Filling {
    /// Whether it will be full so soon that it is not a leak.
    pub fn is_soon_over(&self) -> bool {
        self.full_in_s < if self.bound.is_certain { SOON_S } else { SOON_IF_GUESSED_S }
    }
}

impl Comparison<'_> {
    /// The bound of a container that grows by `per_second` items a second, if it has one.
    pub fn filling(&self, node: NodeId, per_second: f64) -> Option<Filling> {
        let reader = self.heap.reader()?;
        let (address, _) = self.identity(node)?;
        let word = growth_word(reader, address)?;
        let size = reader.memory().u64(word.address).ok()? as f64;
        let path = self.told_path(node);
        let owners = path.iter().rev().take(1 + STEPS).filter_map(|&node| self.identity(node));
        let mut bounds = owners.filter_map(|(owner, _)| reader.bound(owner, address));
        bounds.find_map(|bound| {
            let limit = bound.limit as f64;
            let full_in_s = (limit - size).max(0.0) / per_second;
            (size <= SLACK * limit).then_some(Filling { bound, full_in_s })
        })
    }
}
