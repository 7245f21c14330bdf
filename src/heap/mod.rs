//! The heap of a process: a capture of its memory, and what is to be learnt from it.

pub mod buffers;
pub mod capture;
pub mod census;
pub mod discovery;
pub mod dominators;
pub mod graph;
pub mod orphans;
pub mod regions;
pub mod retained;
pub mod roots;
pub mod taking;

pub use capture::{Capture, Segments};
pub use discovery::{Discovery, Inconsistencies};
pub use dominators::{Dominators, Flow};
pub use graph::Graph;
pub use retained::{Amount, Retained};
pub use roots::{Root, RootKind};
pub use taking::{CaptureError, CaptureFacts, CaptureOptions};
