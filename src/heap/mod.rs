//! The heap of a process: a capture of its memory, the graph of its objects, and figures about both.
//!
//! ```text
//! capture ──▶ trace ──▶ graph ──▶ figures
//!    └──────────────────────────▶ rss
//! ```
//!
//! | | |
//! |---|---|
//! | [`capture`] | the memory that can hold objects, copied in one pause |
//! | [`trace`] | every object in the capture, found and numbered |
//! | [`graph`] | objects and references as arrays; dominators, retained sizes, paths, cycles |
//! | [`figures`] | groups, largest objects, changes; selecting objects by name |
//! | [`rss`] | the resident set divided up: pymalloc, malloc, stacks, files |
//! | [`ids`] | types for the numbers of slots, nodes and roots |
//! | [`names`] | the links between objects: read in the capture, or kept in a file |
//! | [`support`] | large arrays, a work queue, being nice |
//! | [`analysis`] | everything together, for one capture |

pub mod analysis;
pub mod capture;
pub mod figures;
pub mod graph;
pub mod ids;
pub mod names;
pub mod rss;
pub mod support;
pub mod trace;

pub use analysis::{Analysis, HeapError, processors};
pub use capture::{Capture, CaptureError, CaptureFacts, CaptureOptions, Delay, Segments};
pub use figures::{
    Group, Grouping, LargeObject, Owner, ReferenceChain, RootName, RootNames, Selector,
    SelectorError, Summary, UNNAMED_FRAME, groups, largest,
};
pub use graph::{
    Amount, Components, DominatorTree, Dominators, Effort, Flow, Graph, Precedence, Referrers,
    Retained, Search, ShortestPaths, several,
};
pub use ids::{NodeId, RootId, Slot};
pub use names::Names;
pub use rss::{Composition, CompositionError, NativeBlocks, RawResidency, Residency, Verdict};
pub use support::give_memory_back;
pub use trace::{Count, Discovery, Inconsistencies, Root, RootKind, TypeCounts};
