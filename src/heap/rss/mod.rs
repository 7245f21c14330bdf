//! The parts of the resident set, to the last page.
//!
//! [`residency`] says which pages are in memory, [`malloc`] walks the chunks of the C library's heap,
//! [`owners`] tells which of its blocks are Python's, [`stacks`] finds the stacks of threads. The
//! [`division`] adds everything up to a [`composition`]; [`native_blocks`] is the part that no Python object
//! explains.

pub mod composition;
pub(crate) mod division;
pub mod malloc;
pub(crate) mod native_blocks;
pub(crate) mod owners;
pub mod residency;
pub(crate) mod stacks;

pub use composition::{Composition, CompositionError, Verdict};
pub use native_blocks::NativeBlocks;
pub use residency::{RawResidency, Residency};
