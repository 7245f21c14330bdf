//! A heap with everything computed from it: the capture, the graph, dominators and retained sizes.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use super::capture::copy::Capture;
use super::capture::options::{CaptureError, CaptureFacts, CaptureOptions};
use super::graph::dominators::Dominators;
use super::graph::object_graph::Graph;
use super::graph::retained::{Amount, Retained, retained_together};
use super::ids::NodeId;
use super::names::Names;
use super::names::kept::{Kept, KeptNames};
use super::support::nice::politely;
use super::trace::discovery::Discovery;
use super::trace::notes::Inconsistencies;
use super::trace::type_counts::TypeCounts;
use crate::memory::ReadError;
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::{Process, Target};
use crate::python::Python;
use crate::python::gc::GcError;
use crate::python::objects::{Reader, TypeTable};

/// Why a heap could not be analysed.
#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    /// It could not be captured.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Its objects cannot be found.
    #[error(transparent)]
    Objects(#[from] GcError),
}

impl Obstructed for HeapError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            HeapError::Capture(error) => error.obstacle(),
            HeapError::Objects(error) => error.obstacle(),
        }
    }
}

/// Where the links between objects are found.
#[derive(Debug)]
enum Origin<'a> {
    /// In the captured memory, with the types to read it.
    Captured(Box<Capture<'a>>, Arc<TypeTable>),
    /// In a snapshot file, which has kept them.
    Kept(Box<KeptNames>),
}

/// A captured heap, and everything computed from it.
#[derive(Debug)]
pub struct Analysis<'a> {
    origin: Origin<'a>,
    /// How the capture was made.
    pub facts: CaptureFacts,
    /// The objects and their references.
    pub graph: Graph,
    /// The immediate dominators.
    pub dominators: Dominators,
    /// The retained size of each object.
    pub retained: Retained,
}

impl<'a> Analysis<'a> {
    /// Captures the heap of a process and computes everything.
    pub fn of(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Analysis<'a>, HeapError> {
        Analysis::of_while(process, python, options, &mut || ())
    }

    /// The same; calls `meanwhile` in each pause.
    pub fn of_while(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Analysis<'a>, HeapError> {
        let (capture, discovery) =
            Discovery::take(process, python, options, processors(), meanwhile)?;
        Analysis::of_discovery(process, capture, discovery)
    }

    /// Computes everything for a capture that was not taken from a living process. It is `strict` if the process stood
    /// still.
    pub fn of_capture(
        process: &'a dyn Target,
        python: &Python,
        capture: Capture<'a>,
        strict: bool,
    ) -> Result<Analysis<'a>, HeapError> {
        let discovery = politely(|| Discovery::of(&capture, python, processors(), strict))?;
        Analysis::of_discovery(process, capture, discovery)
    }

    /// Computes everything from the objects of a capture.
    pub fn of_discovery(
        process: &'a dyn Target,
        capture: Capture<'a>,
        discovery: Discovery,
    ) -> Result<Analysis<'a>, HeapError> {
        politely(|| {
            let types = Arc::clone(&discovery.types);
            let (graph, search) = Graph::of(&capture, discovery, processors());
            let dominators = Dominators::of(search);
            let retained = Retained::of(&graph, &dominators);
            check_alive(process, graph.inconsistencies())?;
            let facts = capture.facts;
            let origin = Origin::Captured(Box::new(capture), types);
            Ok(Analysis { origin, facts, graph, dominators, retained })
        })
    }

    /// A heap computed step by step from one capture.
    pub fn captured(
        capture: Capture<'a>,
        types: Arc<TypeTable>,
        graph: Graph,
        dominators: Dominators,
        retained: Retained,
    ) -> Analysis<'a> {
        let facts = capture.facts;
        Analysis {
            origin: Origin::Captured(Box::new(capture), types),
            facts,
            graph,
            dominators,
            retained,
        }
    }

    /// Returns the capture and drops the rest; `None` for a heap from a file.
    pub fn into_capture(self) -> Option<Capture<'a>> {
        match self.origin {
            Origin::Captured(capture, _) => Some(*capture),
            Origin::Kept(_) => None,
        }
    }

    /// A heap loaded from a snapshot file.
    pub(crate) fn kept(
        graph: Graph,
        dominators: Dominators,
        facts: CaptureFacts,
        names: KeptNames,
    ) -> Analysis<'a> {
        let retained = Retained::of(&graph, &dominators);
        Analysis { origin: Origin::Kept(Box::new(names)), facts, graph, dominators, retained }
    }

    /// The capture; `None` for a heap from a file.
    pub fn capture(&self) -> Option<&Capture<'a>> {
        match &self.origin {
            Origin::Captured(capture, _) => Some(capture),
            Origin::Kept(_) => None,
        }
    }

    /// A reader of its objects; `None` for a heap from a file.
    pub fn reader(&self) -> Option<Reader<'_, Capture<'a>>> {
        match &self.origin {
            Origin::Captured(capture, types) => Some(Reader::new(capture, types)),
            Origin::Kept(_) => None,
        }
    }

    /// The links between its objects.
    pub fn names(&self) -> Names<'_> {
        match &self.origin {
            Origin::Captured(capture, types) => Names::Captured(Reader::new(capture, types)),
            Origin::Kept(names) => Names::Kept(Kept { names, graph: &self.graph }),
        }
    }

    /// The retained size of a node: [`Retained::amount`].
    pub fn amount(&self, node: NodeId) -> Amount {
        self.retained.amount(&self.graph, node)
    }

    /// What would be freed with these objects: their retained sizes, nothing counted twice.
    pub fn retained_together(&self, nodes: &[NodeId]) -> Amount {
        retained_together(&self.graph, &self.dominators, &self.retained, nodes)
    }

    /// All bytes and objects of the heap.
    pub fn total(&self) -> Amount {
        self.amount(NodeId::ROOT)
    }
}

impl TypeCounts {
    /// Captures the heap of a process and counts its objects by type.
    pub fn take<'a>(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<(Capture<'a>, TypeCounts), HeapError> {
        let (capture, counts) =
            Capture::take_for(process, python, options, &mut || (), |capture| {
                let strict = capture.is_strict(options);
                let counts = politely(|| TypeCounts::of(capture, python, processors(), strict));
                counts.map_err(HeapError::from)
            })?;
        check_alive(process, counts.inconsistencies)?;
        Ok((capture, counts))
    }

    /// Counts the objects of a capture by type. It is `strict` if the process was paused for it.
    pub fn of_capture(
        process: &dyn Target,
        python: &Python,
        capture: &Capture<'_>,
        strict: bool,
    ) -> Result<TypeCounts, HeapError> {
        let counts = politely(|| TypeCounts::of(capture, python, processors(), strict))?;
        check_alive(process, counts.inconsistencies)?;
        Ok(counts)
    }
}

/// Whether inconsistencies come from the end of the process: the names of types in its program files are not
/// captured, but read when they are needed.
fn check_alive(process: &dyn Target, found: Inconsistencies) -> Result<(), HeapError> {
    match found.count() > 0 && !process.is_readable() {
        true => Err(CaptureError::from(ReadError::Ended).into()),
        false => Ok(()),
    }
}

/// How many threads to use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
