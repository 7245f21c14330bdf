//! The objects of a process at one moment, as a source gives them.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime};

use crate::heap::{Analysis, Owner, RootNames};
use crate::memory::ReadError;
use crate::python::Python;
use crate::python::collector::Collector;
use crate::python::tracemalloc::{Traces, TracesError};
use crate::snapshot::Snapshot;

/// A heap from a [`Source`](super::Source).
#[derive(Debug)]
pub struct Heap<'a> {
    /// The objects, their references, and everything computed from them.
    pub analysis: Analysis<'a>,
    /// Which process and moment it is from.
    pub provenance: Provenance,
    origin: Origin<'a>,
    names: OnceCell<RootNames>,
}

/// Where to find what is not in the graph.
#[derive(Debug)]
enum Origin<'a> {
    /// The interpreter, in the memory that was captured.
    Captured(&'a Python),
    /// The snapshot file, which has kept the state of the collectors.
    Kept(Vec<Collector>),
}

/// Which process and moment a heap is from, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The process.
    pub owner: Owner,
    /// When it was captured.
    pub time: SystemTime,
    /// How long the process was paused for it.
    pub pause: Duration,
    /// References and objects that contradict each other.
    pub inconsistencies: u64,
}

impl<'a> Heap<'a> {
    /// A heap just captured.
    pub fn new(analysis: Analysis<'a>, python: &'a Python, owner: Owner) -> Heap<'a> {
        let provenance = Provenance {
            owner,
            time: SystemTime::now(),
            pause: analysis.facts.paused,
            inconsistencies: analysis.graph.inconsistencies().count(),
        };
        let origin = Origin::Captured(python);
        Heap { analysis, provenance, origin, names: OnceCell::new() }
    }

    /// A heap from a snapshot file.
    pub fn kept(snapshot: Snapshot) -> Heap<'a> {
        let Snapshot { analysis, names, collectors, facts } = snapshot;
        let provenance = Provenance {
            owner: facts.owner(),
            time: facts.time(),
            pause: facts.paused,
            inconsistencies: facts.inconsistencies().count(),
        };
        let origin = Origin::Kept(collectors);
        Heap { analysis, provenance, origin, names: OnceCell::from(names) }
    }

    /// The names of its roots: threads and frames, modules. Found on first use.
    pub fn names(&self) -> &RootNames {
        self.names.get_or_init(|| match self.origin {
            Origin::Captured(python) => RootNames::of(&self.analysis, python),
            // Set on creation, so this is never reached.
            Origin::Kept(_) => RootNames::kept(Vec::new()),
        })
    }

    /// The state of its collectors: one for each interpreter, or one for all.
    ///
    /// # Errors
    /// Their state cannot be read.
    pub fn collectors(&self) -> Result<Vec<Collector>, ReadError> {
        match (&self.origin, self.analysis.reader()) {
            (Origin::Captured(python), Some(reader)) => python.collectors(reader),
            (Origin::Captured(_), None) => Ok(Vec::new()),
            (Origin::Kept(collectors), _) => Ok(collectors.clone()),
        }
    }

    /// The allocation sites of its objects, as far as tracemalloc knows them; `None` if tracemalloc is off.
    ///
    /// # Errors
    /// tracemalloc's tables cannot be read.
    pub fn traces(&self) -> Result<Option<Traces>, TracesError> {
        match (&self.origin, self.analysis.capture()) {
            (Origin::Captured(python), Some(capture)) => python.traces(capture),
            _ => Ok(None),
        }
    }
}
