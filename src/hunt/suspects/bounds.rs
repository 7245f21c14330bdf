//! Whether a growing collection has a limit, and how soon it is reached: a cache that is filling grows like a
//! leak.

use super::comparison::Comparison;
use super::suspect::{Level, Suspect};
use crate::heap::NodeId;
use crate::hunt::finding::{Limit, Removal, Until};
use crate::hunt::inserts::growth_counters::{Meaning, growth_word};
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
/// Items that are older than their age by this factor are not removed.
const LATE: f64 = 1.5;

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
    /// How many items a collection has, if it counts them in a word.
    fn size(&self, address: u64) -> Option<f64> {
        let reader = self.heap.reader()?;
        let word = growth_word(reader, address).filter(|word| word.meaning == Meaning::Size)?;
        reader.memory().u64(word.address).ok().map(|size| size as f64)
    }

    /// Considers the code that removes from what a suspect grows in: the level that it keeps, if it says one.
    /// Code that should have removed by now, and has not, does not count.
    pub fn consider(&self, suspect: &mut Suspect, removal: Removal) {
        let finding = &mut suspect.finding;
        let rate = finding.objects_per_s;
        let level = match removal.until {
            None => {
                finding.removal = Some(removal);
                return;
            }
            Some(Until::Items(limit)) => {
                let size = finding.holder.address.and_then(|it| self.size(it));
                let Some(size) = size.filter(|size| *size <= SLACK * limit as f64) else { return };
                let name = format!("{} in {}", removal.call, removal.place);
                let limit_read = Limit { items: limit, name, is_certain: false };
                (Some(limit_read), (limit as f64 - size).max(0.0) / rate)
            }
            Some(Until::AgeS(age)) => {
                let watched = self.snapshots.last().map_or(0.0, |it| it.at.as_secs_f64());
                if watched > LATE * age {
                    return;
                }
                (None, (age - watched).max(0.0))
            }
        };
        finding.removal = Some(removal);
        let (limit, in_s) = level;
        if in_s < SOON_S {
            let bytes = finding.bytes_per_s * in_s;
            suspect.level = Some(Level { limit, in_s, bytes });
            suspect.is_steady = false;
        }
    }

    /// The bound of a container that grows by `per_second` items a second, if it has one.
    pub fn filling(&self, node: NodeId, per_second: f64) -> Option<Filling> {
        let reader = self.heap.reader()?;
        let (address, _) = self.identity(node)?;
        let size = self.size(address)?;
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
