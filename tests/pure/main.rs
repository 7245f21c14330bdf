//! Tests that need no interpreter: the command line, the forms that profiles are written in, and what reading
//! makes of random bytes.

// A test fails where something is not as it expects.
#![allow(clippy::expect_used, clippy::panic)]

mod cli;
mod facts;
mod hostile;
mod junk;
mod render;
mod snapshot_container;
