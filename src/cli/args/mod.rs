//! Arguments that several commands share, and what they lead to.

pub mod disclosure;
pub mod heap_source;
pub mod processes;
