//! The allocation sites of objects, from tracemalloc's tables.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::python::short_path;
use crate::python::tracemalloc::{TracebackId, Traces};

/// The allocation site of an object that tracemalloc does not know.
const UNKNOWN: &str = "allocated before tracemalloc saw it";

/// The allocation sites of blocks.
pub struct Births<'a> {
    traces: &'a Traces,
    places: FxHashMap<TracebackId, Arc<str>>,
    unknown: Arc<str>,
}

impl<'a> Births<'a> {
    /// From the traces of tracemalloc.
    pub fn of(traces: &'a Traces) -> Births<'a> {
        Births { traces, places: FxHashMap::default(), unknown: UNKNOWN.into() }
    }

    /// The allocation site of a block, in words.
    pub fn place(&mut self, block: u64) -> Arc<str> {
        let Some(trace) = self.traces.trace_of(block) else { return Arc::clone(&self.unknown) };
        let place = self.places.entry(trace.traceback).or_insert_with(|| {
            let innermost = self.traces.traceback(trace.traceback).frames().next();
            let place = innermost.and_then(|frame| {
                let file = short_path(frame.file);
                Some(format!("allocated at {file}:{}", frame.line?).into())
            });
            place.unwrap_or_else(|| Arc::clone(&self.unknown))
        });
        Arc::clone(place)
    }
}
