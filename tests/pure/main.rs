//! Tests that need no interpreter: the command line, the forms that profiles are written in, and what reading
//! makes of random bytes.

mod cli;
mod hostile;
mod render;
mod snapshot_container;
