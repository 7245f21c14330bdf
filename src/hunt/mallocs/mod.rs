//! Which code allocates native memory that stays: calls of malloc and its relatives are followed to the
//! blocks they return.
//!
//! | | |
//! |---|---|
//! | [`follow`], [`blocks`] | in the guardian: breakpoints on the allocator, a stack for each block |
//! | [`survivors`] | blocks that are still in use at the end |
//! | [`native_feeders`] | the stacks that asked for them |

pub mod blocks;
pub(crate) mod follow;
pub mod native_feeders;
pub(crate) mod survivors;
