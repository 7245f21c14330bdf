//! Who allocates native memory that stays: calls of malloc and its relatives are [followed](follow) to the
//! blocks they return; [`survivors`] are blocks still in use at the end, and [`native_feeders`] the stacks
//! that asked for them.

pub mod follow;
pub mod native_feeders;
pub(crate) mod survivors;
