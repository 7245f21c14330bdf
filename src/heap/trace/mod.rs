//! Tracing: every object in a capture is found and gets a number.
//!
//! The [`tracer`] follows references from the [`roots`] and the collector's lists, on several threads, and
//! sweeps pymalloc's pools and malloc's [`chunks`] for the rest, of which [`recognition`] tells what is an object. Each thread writes a [`trace_log`], or only [`type_counts`] where
//! that is enough; [`numbering`] gives the objects their numbers. [`discovery`] runs all of this.

mod chunks;
pub mod discovery;
pub(crate) mod notes;
pub mod numbering;
mod recognition;
pub mod roots;
pub(crate) mod trace_log;
pub(crate) mod tracer;
pub mod type_counts;

pub use discovery::Discovery;
pub use notes::Inconsistencies;
pub use roots::{Root, RootKind};
pub use type_counts::{Count, TypeCounts};
