//! Whether what grows has a limit, and how soon that is reached: a collection that is filling grows like one
//! that leaks.

use super::comparison::Comparison;
use crate::heap::NodeId;
use crate::hunt::inserts::growth_counters::growth_word;
use crate::memory::Memory;
use crate::python::objects::Bound;

/// What is full so soon, in seconds, is a cache that is being filled, and no leak.
const SOON_S: f64 = 3600.0;
/// The same of a bound that is guessed by its name: if it is none, the next hunt finds more than it allows.
const SOON_IF_GUESSED_S: f64 = 300.0;
/// Above a collection its owner stands, perhaps with its `__dict__` between.
const STEPS: usize = 2;
/// Who holds so many times more than the limit does not heed it.
const SLACK: f64 = 1.25;

/// A bound that has not been reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filling {
    /// The bound.
    pub bound: Bound,
    /// In how many seconds it is reached, at this pace.
    pub full_in_s: f64,
}

impl Filling {
    /// Whether it will be full so soon that it is no leak.
    pub fn is_soon_over(&self) -> bool {
        self.full_in_s < if self.bound.is_certain { SOON_S } else { SOON_IF_GUESSED_S }
    }
}

impl Comparison<'_> {
    /// The bound of a container that grows by so much a second, if it has one.
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
