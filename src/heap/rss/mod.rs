//! What the resident set is made of, to the last page.
//!
//! [`residency`] says which pages are in memory, [`malloc`] walks the chunks of the C library's heap,
//! [`owners`] tells which of its blocks are Python's. [`composition`] adds it all up; [`native_blocks`] is
//! the part that no Python object explains.

pub mod composition;
pub mod malloc;
pub(crate) mod native_blocks;
pub(crate) mod owners;
pub mod residency;

pub use composition::{Composition, CompositionError, Verdict};
pub use native_blocks::NativeBlocks;
