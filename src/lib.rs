//! leakspy: where the memory of a running Python process is, read from outside.
pub mod memory;
pub mod python;
pub mod target;
