//! Which code allocates native memory that stays: calls of malloc and its relatives, or of mmap, are followed to
//! the blocks they return.
//!
//! | | |
//! |---|---|
//! | [`functions`] | which functions those are |
//! | [`follow`], [`blocks`] | in the guardian: breakpoints on the allocator, a stack for each block |
//! | [`turns`] | which functions have the breakpoint that is left |
//! | [`fates`] | what has become of the blocks of each stack |
//! | [`survivors`] | blocks that are still in use at the end |
//! | [`native_feeders`] | the stacks that asked for them |

pub mod blocks;
pub(crate) mod fates;
pub(crate) mod follow;
pub mod functions;
pub mod native_feeders;
pub(crate) mod survivors;
pub(crate) mod turns;
