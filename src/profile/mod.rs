//! Answers as stacks with weights: what was allocated, and by which stack.
//!
//! This layer gets its frames from [`python`](crate::python) and knows nothing of how a profile is
//! drawn; [`render`](crate::render) does that. Allocations are sampled by a process of its own: its
//! work is [`sampler`], what it says are [`messages`], and what becomes of them is [`recorder`]'s.

pub mod account;
pub mod bursts;
pub mod calls;
pub mod cycles;
pub mod live;
pub mod messages;
pub mod newcomers;
pub mod outbox;
pub mod picture;
pub mod recorder;
pub mod recording;
pub mod sampler;
pub mod show;
pub mod stack_recorder;
pub mod stacks;
pub mod tally;
pub mod thread_names;
pub mod traced;
pub mod tree;
pub mod trouble;
pub mod why;

pub use stacks::{By, Profile, Stack, Weight, process_root};
