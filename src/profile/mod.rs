//! Profiles: stacks with weights.
//!
//! This layer gets its frames from [`python`](crate::python) and does not know how a profile is drawn;
//! [`render`](crate::render) does that.
//!
//! | | |
//! |---|---|
//! | [`stacks`] | the profile itself: a sum of weighted stacks |
//! | [`recorder`], [`recording`] | sampled allocations, leakspy's side, and the result |
//! | [`sampler`] | the guardian's side: breakpoints on the allocator |
//! | [`samples`] | its reports |
//! | [`calls`], [`bursts`], [`account`] | where and when to set breakpoints, and at what pace the target allocates |
//! | [`ticking`] | random instants at which the target allocates: where most bursts begin |
//! | [`estimate`], [`precision`], [`yardstick`] | from samples to totals and shares, and how far they may be off |
//! | [`stack_recorder`] | stacks without memory, where nothing may be paused |
//! | [`tracemalloc`] | the exact profile that a target with tracemalloc keeps itself |
//! | [`thread_names`] | the names of threads |

pub mod account;
pub mod bursts;
pub mod calls;
pub mod estimate;
pub mod precision;
pub mod recorder;
pub mod recording;
pub(crate) mod sampler;
pub mod samples;
pub mod stack_recorder;
pub mod stacks;
pub mod thread_names;
pub mod ticking;
pub mod tracemalloc;
pub mod yardstick;

pub use stacks::{By, Profile, Stack, Weight, process_root};
