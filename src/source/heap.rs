//! The objects of a process at one moment, as a source gives them.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime};

use crate::heap::{Analysis, Owner, RootNames};
use crate::memory::ReadError;
use crate::python::Python;
use crate::python::collector::Collector;
use crate::python::tracemalloc::{Traces, TracesError};

/// A heap from a [`Source`](super::Source).
#[derive(Debug)]
pub struct Heap<'a> {
    /// The objects, their references, and all that is computed of them.
    pub analysis: Analysis<'a>,
    /// Of which process and moment it is.
    pub provenance: Provenance,
    python: &'a Python,
    names: OnceCell<RootNames>,
}

/// Of which process and moment a heap is, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// Whose heap it is.
    pub owner: Owner,
    /// When it was captured.
    pub time: SystemTime,
    /// How long the process stood still for it.
    pub pause: Duration,
    /// References and objects that did not fit together.
    pub inconsistencies: u64,
}

impl<'a> Heap<'a> {
    /// A heap that was captured just now.
    pub fn new(analysis: Analysis<'a>, python: &'a Python, owner: Owner) -> Heap<'a> {
        let provenance = Provenance {
            owner,
            time: SystemTime::now(),
            pause: analysis.capture.facts.paused,
            inconsistencies: analysis.graph.inconsistencies().count(),
        };
        Heap { analysis, provenance, python, names: OnceCell::new() }
    }

    /// The names of its roots: threads and frames, modules. Found when they are first asked for.
    pub fn names(&self) -> &RootNames {
        self.names.get_or_init(|| RootNames::of(&self.analysis, self.python))
    }

    /// What its collectors keep of themselves: one for each interpreter, or one for all.
    ///
    /// # Errors
    /// Their state cannot be read.
    pub fn collectors(&self) -> Result<Vec<Collector>, ReadError> {
        self.python.collectors(self.analysis.reader())
    }

    /// Where its objects were allocated, as far as tracemalloc knows; `None` if that is off.
    ///
    /// # Errors
    /// tracemalloc's tables cannot be read.
    pub fn traces(&self) -> Result<Option<Traces>, TracesError> {
        self.python.traces(&self.analysis.capture)
    }
}
