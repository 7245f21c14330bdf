//! Tests that need no interpreter: the command line, the forms of profiles, and reading random bytes.

// A test panics where a result is unexpected.
#![allow(clippy::expect_used, clippy::panic)]

mod cli;
mod core_builder;
mod crafted_cores;
mod crafted_heaps;
mod facts;
mod hostile;
mod junk;
mod render;
mod screens;
mod shells;
mod snapshot_container;
mod top;
