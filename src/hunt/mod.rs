//! The hunt: which objects pile up, what holds them, who puts them there.
//!
//! Several captures of the heap, some seconds apart, tell what is new and stays
//! ([`snapshot`], [`growth`]), where it is attached ([`places`]) and whether that goes on steadily
//! ([`trend`], [`suspects`]). While the hunt lasts, a write watchpoint on the one word that changes when a
//! holder grows shows every stack that feeds it.

pub mod collector;
pub mod finding;
pub mod growth;
mod hints;
pub mod hunter;
mod names;
mod native;
pub mod places;
pub mod snapshot;
pub mod suspects;
mod threads;
pub mod trend;
pub mod verdict;
