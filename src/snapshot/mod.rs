//! Snapshots: what one capture showed, kept in a file.
//!
//! ```text
//! Analysis ──write──▶ container ──▶ file ──▶ container ──load──▶ Analysis
//! ```
//!
//! What is kept is the finished graph and the words for it, and no byte of the target's memory: types, sizes,
//! references with what they are called, roots with their names, dominators, and what else the analyses ask.
//! They get the same answers from a file as from the capture that it was made of.
//!
//! | | |
//! |---|---|
//! | [`container`] | the file format: named columns, compressed and checked |
//! | [`columns`] | which columns there are, and what each means |
//! | [`facts`] | of which process and moment a file is |
//! | [`records`] | roots and roles as JSON |
//! | [`runs`] | places of objects as small numbers |
//! | [`write`], [`roles`] | from a heap to a file |
//! | [`load`], [`names`] | from a file to a heap |

mod columns;
pub mod container;
pub mod facts;
pub mod load;
mod names;
mod records;
mod roles;
mod runs;
pub mod write;

pub use container::{FORMAT_VERSION, FileError};
pub use facts::Facts;
pub use load::Snapshot;
pub use write::{Heap, write};
