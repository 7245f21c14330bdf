//! Finding and numbering all objects of a capture.

use std::sync::Arc;

use super::notes::Inconsistencies;
use super::numbering::Numbering;
use super::roots::Root;
use super::trace_log::TraceLog;
use super::tracer::{Traced, trace};
use crate::heap::analysis::HeapError;
use crate::heap::capture::copy::Capture;
use crate::heap::capture::options::CaptureOptions;
use crate::heap::ids::{NodeId, RootId};
use crate::heap::support::nice::politely;
use crate::process::Process;
use crate::python::Python;
use crate::python::gc::{GcError, Generation};
use crate::python::objects::TypeTable;

/// All objects of a capture.
#[derive(Debug)]
pub struct Discovery {
    /// The objects; numbers before the first are for the super-root and the roots.
    pub numbering: Numbering,
    /// The types of all objects.
    pub types: Arc<TypeTable>,
    /// The roots.
    pub roots: Vec<Root>,
    /// The numbers of the objects that the collector tracks, by generation, youngest first.
    pub tracked: [Vec<NodeId>; Generation::ALL.len()],
    /// What did not fit together.
    pub inconsistencies: Inconsistencies,
    /// What was noted about the objects when they were found.
    pub(crate) logs: Vec<TraceLog>,
}

impl Discovery {
    /// Captures the heap of a process, and calls `meanwhile` in the pause; then finds all objects, on this many
    /// threads.
    ///
    /// # Errors
    /// The heap cannot be captured, or the collector's lists cannot be followed.
    pub fn take<'a>(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        threads: usize,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<(Capture<'a>, Discovery), HeapError> {
        Capture::take_for(process, python, options, meanwhile, |capture| {
            let strict = capture.is_strict(options);
            Ok(politely(|| Discovery::of(capture, python, threads, strict))?)
        })
    }

    /// Finds all objects, on this many threads. If `strict`, as for a capture taken in a pause, a list of the
    /// collector that does not close is an error.
    pub fn of(
        capture: &Capture<'_>,
        python: &Python,
        threads: usize,
        strict: bool,
    ) -> Result<Discovery, GcError> {
        let threads = threads.max(1);
        let logs = (0..threads).map(|_| TraceLog::one_of(threads, capture.slots())).collect();
        let traced = trace(capture, python, logs, strict)?;
        let Traced { marks, types, roots, tracked, notes, inconsistencies } = traced;
        let numbering = marks.number(RootId(roots.len() as u32).node());
        let number = |slot| numbering.number(slot);
        let tracked = tracked.map(|slots| slots.into_iter().filter_map(number).collect());
        let types = Arc::new(types);
        Ok(Discovery { numbering, types, roots, tracked, inconsistencies, logs: notes })
    }
}
