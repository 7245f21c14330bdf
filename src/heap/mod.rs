//! The heap of a process: a capture of its memory, and what is to be learnt from it.

mod assembly;
pub mod buffers;
pub mod capture;
pub mod census;
pub mod discovery;
pub mod dominators;
pub mod economy;
pub mod graph;
mod ledger;
mod orphans;
pub mod regions;
pub mod retained;
pub mod roots;
pub mod search;
pub mod taking;
pub mod tally;
mod tasks;
mod tracing;

pub use capture::{Capture, Segments};
pub use discovery::{Discovery, Inconsistencies};
pub use dominators::Dominators;
pub use economy::give_memory_back;
pub use graph::Graph;
pub use retained::{Amount, Retained};
pub use roots::{Root, RootKind};
pub use search::{Flow, Search};
pub use taking::{CaptureError, CaptureFacts, CaptureOptions};
pub use tally::{Count, Tally};
