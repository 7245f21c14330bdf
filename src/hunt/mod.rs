//! Who makes memory grow: the stacks that feed what grows.
//!
//! Of an object that grows, one [word](words) changes at every growth. A process of its own
//! [watches](watch) such words and [tells](messages) of each change with the stack that made it, and
//! [feeders] are what becomes of that.

pub mod feeders;
pub mod messages;
mod newborn;
mod tally;
mod turns;
pub mod watch;
pub mod words;
mod young;
