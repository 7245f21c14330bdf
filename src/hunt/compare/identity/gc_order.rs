//! What the order of the collector's lists tells of the identity of objects: objects are appended, and survivors
//! keep their order until the list is collected.

use super::Claim;
use super::traits::Place;
use crate::python::gc::Generation;

/// A list of the collector, read from its oldest object to its newest.
pub(super) struct List {
    pub(super) generation: Generation,
    /// The oldest generation that has been collected since the capture before.
    pub(super) collected: Option<usize>,
    /// The last place, in the list as it was, that was found again.
    pub(super) last: Option<Place>,
}

/// What the place of an object in a list says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is where it must be, behind those that were before it.
    InOrder,
    /// It was not in this list, or elsewhere.
    OutOfOrder,
    /// Nothing: the list was collected, or it was not tracked. A dict is when it gets its first container.
    Nothing,
    /// It cannot have been there: a collection would have moved it on.
    New,
}

impl List {
    /// Marks the next object. `then` is the place of the object that had its address and type, if there was one.
    pub(super) fn mark(&mut self, then: Option<Place>, is_dict: bool) -> Mark {
        let Some(place) = then else { return Mark::OutOfOrder };
        let Some(generation) = place.generation() else { return Mark::Nothing };
        let [was, is] = [generation as usize, self.generation as usize];
        let [old, permanent] = [Generation::Old as usize, Generation::Permanent as usize];
        let is_thawed = was != is && (was == permanent || is == permanent);
        // What was collected must have gone to the next list, where it stands anywhere.
        if is_thawed || self.collected.is_some_and(|collected| was <= collected) {
            let at_least = self.collected.map_or(0, |collected| (collected + 1).min(old));
            let came_back = is_dict && self.collected == Some(old);
            let is_new = !is_thawed && !came_back && is < at_least;
            return if is_new { Mark::New } else { Mark::Nothing };
        }
        if was != is || Some(place) < self.last {
            return Mark::OutOfOrder;
        }
        self.last = Some(place);
        Mark::InOrder
    }

    /// What the marks of a whole list tell of each object. New objects stand at the end, behind the place that
    /// parts those in order from those that are not best. In front of it an object out of order is an exception,
    /// such as one that has changed its class, and from there on order alone is no proof.
    pub(super) fn claims(marks: &[(usize, Mark)]) -> impl Iterator<Item = Claim> {
        let (mut score, mut best, mut end) = (0_i64, 0, 0);
        for (place, (_, mark)) in (1..).zip(marks) {
            score += match mark {
                Mark::InOrder => 1,
                Mark::OutOfOrder => -1,
                Mark::Nothing | Mark::New => 0,
            };
            if score > best {
                (best, end) = (score, place);
            }
        }
        let is_exception = |(_, mark): &(usize, Mark)| *mark == Mark::OutOfOrder;
        let proven = marks.iter().position(is_exception).unwrap_or(marks.len());
        (0..).zip(marks).map(move |(place, (_, mark))| match mark {
            Mark::New => Claim::New,
            Mark::Nothing => Claim::Open,
            Mark::InOrder | Mark::OutOfOrder if place >= end => Claim::New,
            Mark::InOrder if place < proven => Claim::Same,
            Mark::InOrder | Mark::OutOfOrder => Claim::Open,
        })
    }
}
