//! Finding all objects of a capture, and numbering them.

use super::numbering::Census;
use super::roots::Root;
use super::trace_log::Ledger;
use super::tracer::{Traced, trace};
use crate::heap::capture::copy::Capture;
use crate::python::Python;
use crate::python::gc::{GcError, Generation};
use crate::python::objects::TypeTable;

/// All objects of a capture.
#[derive(Debug)]
pub struct Discovery {
    /// The objects; numbers before the first are for the root of all and the roots.
    pub census: Census,
    /// The types of all objects.
    pub types: TypeTable,
    /// The roots.
    pub roots: Vec<Root>,
    /// The numbers of the objects that the collector tracks: those of each generation, youngest first.
    pub tracked: [Vec<u32>; Generation::ALL.len()],
    /// What did not fit together.
    pub inconsistencies: Inconsistencies,
    /// What was noted of the objects when they were found.
    pub(crate) ledgers: Vec<Ledger>,
}

/// What does not fit together in a capture. In one that was made in a pause there is hardly any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inconsistencies {
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that lead to what is no object.
    pub dangling: u64,
    /// Objects that could not be read whole.
    pub unreadable: u64,
}

impl Inconsistencies {
    /// All of them together.
    pub fn count(&self) -> u64 {
        self.open_lists + self.dangling + self.unreadable
    }
}

impl Discovery {
    /// Finds all objects, with so many threads. Lists of the collector that do not close are an error if
    /// it is to be `strict`, as for a capture that was made in a pause.
    pub fn of(
        capture: &Capture<'_>,
        python: &Python,
        threads: usize,
        strict: bool,
    ) -> Result<Discovery, GcError> {
        let threads = threads.max(1);
        let ledgers = (0..threads).map(|_| Ledger::one_of(threads, capture.slots())).collect();
        let traced = trace(capture, python, ledgers, strict)?;
        let Traced { marks, types, roots, tracked, notes, inconsistencies } = traced;
        let census = marks.number(1 + roots.len() as u32);
        let number = |slot| census.number(slot);
        let tracked = tracked.map(|slots| slots.into_iter().filter_map(number).collect());
        Ok(Discovery { census, types, roots, tracked, inconsistencies, ledgers: notes })
    }
}
