//! Heap summaries, and the changes between two: as tables for a terminal and as JSON.

pub mod json;
pub mod table;
