//! What is known of a heap's interpreter beside its objects: asked in the captured memory, or kept in a snapshot file.

use crate::heap::{Analysis, RootNames};
use crate::python::collector::Collector;
use crate::python::gc::lists_keep_order;
use crate::python::{Python, Version};

/// The interpreter of a heap.
#[derive(Debug, Clone, Copy)]
pub enum Interpreter<'a> {
    /// It can be asked.
    Captured(&'a Python),
    /// A file has kept what it said.
    Kept(KeptInterpreter<'a>),
}

/// What a file has kept.
#[derive(Debug, Clone, Copy)]
pub struct KeptInterpreter<'a> {
    /// The names of the roots.
    pub names: &'a RootNames,
    /// The state of the cycle collectors.
    pub collectors: &'a [Collector],
    /// The version.
    pub version: Version,
}

impl<'a> From<&'a Python> for Interpreter<'a> {
    fn from(python: &'a Python) -> Interpreter<'a> {
        Interpreter::Captured(python)
    }
}

impl<'a> Interpreter<'a> {
    /// The interpreter, if it can be asked.
    pub fn python(self) -> Option<&'a Python> {
        match self {
            Interpreter::Captured(python) => Some(python),
            Interpreter::Kept(_) => None,
        }
    }

    /// The names of the roots of a heap.
    pub fn names(self, heap: &Analysis<'_>) -> RootNames {
        match self {
            Interpreter::Captured(python) => RootNames::of(heap, python),
            Interpreter::Kept(kept) => kept.names.clone(),
        }
    }

    /// The states of the collectors; none if they cannot be read.
    pub fn collectors(self, heap: &Analysis<'_>) -> Vec<Collector> {
        match self {
            Interpreter::Captured(python) => {
                let states = heap.reader().map(|reader| python.collectors(reader));
                states.and_then(Result::ok).unwrap_or_default()
            }
            Interpreter::Kept(kept) => kept.collectors.to_vec(),
        }
    }

    /// The number of collections of each generation, if the order of the collector's lists means something.
    pub fn collections(self, heap: &Analysis<'_>) -> Option<[u64; 3]> {
        if heap.graph.inconsistencies().open_lists != 0 {
            return None;
        }
        match self {
            Interpreter::Captured(python) => {
                let capture = heap.capture()?;
                python.gc_lists_keep_order(capture).then_some(())?;
                python.collections(capture).ok()
            }
            Interpreter::Kept(kept) => {
                let [only] = kept.collectors else { return None };
                let counts = || only.collections.each_ref().map(|it| it.count);
                lists_keep_order(kept.version).then(counts)
            }
        }
    }
}
