//! The heap of a process: a capture of its memory, and what is to be learnt from it.

pub mod analysis;
pub mod buffers;
pub mod capture;
pub mod census;
pub mod changes;
pub mod discovery;
pub mod dominators;
pub mod graph;
pub mod groups;
pub mod largest;
pub mod orphans;
pub mod paths;
pub mod regions;
pub mod retained;
pub mod root_names;
pub mod roots;
pub mod summary;
pub mod taking;
pub mod tree;

pub use analysis::{Analysis, HeapError};
pub use capture::{Capture, Segments};
pub use discovery::{Discovery, Inconsistencies};
pub use dominators::{Dominators, Flow};
pub use graph::Graph;
pub use groups::{Group, Grouping, groups};
pub use largest::{LargeObject, largest};
pub use paths::{Lineage, ShortestPaths};
pub use retained::{Amount, Retained};
pub use root_names::{RootName, RootNames};
pub use roots::{Root, RootKind};
pub use summary::{Owner, Summary};
pub use taking::{CaptureError, CaptureFacts, CaptureOptions};
pub use tree::DominatorTree;
