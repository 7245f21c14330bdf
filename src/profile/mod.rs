//! Answers as stacks with weights: what was allocated, and by which stack.
//!
//! This layer gets its frames from [`python`](crate::python) and knows nothing of how a profile is
//! drawn; [`render`](crate::render) does that.

pub mod stacks;

pub use stacks::{By, Profile, Stack, Weight};
