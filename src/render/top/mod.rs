//! The live view of `leakspy top`.
//!
//! | | |
//! |---|---|
//! | [`state`] | what it knows, and what each key does |
//! | [`screen`] | how it looks |

pub mod screen;
pub mod state;
