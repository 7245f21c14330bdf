//! leakspy: where the memory of a running Python process is, read from outside.
pub mod cli;
pub mod memory;
pub mod profile;
pub mod python;
pub mod render;
pub mod target;
