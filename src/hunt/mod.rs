//! The hunt: which objects pile up, what holds them, who puts them there.
//!
//! Several captures of the heap, some seconds apart, tell what is new and stays
//! ([`snapshot`], [`growth`]), where it is attached ([`places`]) and whether that goes on steadily
//! ([`trend`], [`suspects`]).
//!
//! Of an object that grows, one [word](words) changes at every growth. A process of its own
//! [watches](watch) such words and [tells](messages) of each change with the stack that made it, and
//! [feeders] are what becomes of that. For native memory, which has no such word, calls of the allocator
//! are [followed](follow) instead ([`native_feeders`]). The [`hunter`] leads through it all, to the
//! [`verdict`].

mod bounds;
mod budget;
pub mod collector;
pub mod feeders;
pub mod finding;
pub mod follow;
pub mod growth;
mod guard;
pub mod guarded;
mod hints;
pub mod hunter;
mod judge;
mod kinds;
pub mod messages;
mod names;
mod native;
pub mod native_feeders;
mod newborn;
mod others;
pub mod places;
pub mod snapshot;
mod survivors;
pub mod suspects;
mod tally;
mod threads;
mod trails;
pub mod trend;
mod turns;
pub mod verdict;
pub mod watch;
pub mod words;
mod young;
