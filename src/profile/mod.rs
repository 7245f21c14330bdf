//! Stacks with weights, and how they are sampled.

pub mod account;
pub mod messages;
pub mod sampler;
pub mod windows;
