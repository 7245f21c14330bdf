//! Which code adds to a growing object: one word of the object changes at every insertion, and a write
//! breakpoint on that word stops the thread right behind the inserting instruction.
//!
//! | | |
//! |---|---|
//! | [`growth_counters`] | which word counts what an object holds |
//! | [`watch`], [`hits`] | in the guardian: breakpoints on these words, a stack for each hit |
//! | [`schedule`] | which words are watched when, with four registers for many words |
//! | [`instance_creation`], [`survival`] | for instances of a class: whether one was created, and whether it stays |
//! | [`insert_counts`], [`feeders`] | the hits added up by stack |
//! | [`watched_suspects`] | which suspects are watched, and when that ends |

pub mod feeders;
pub mod growth_counters;
pub mod hits;
pub mod insert_counts;
pub(crate) mod instance_creation;
pub(crate) mod schedule;
pub(crate) mod survival;
pub(crate) mod watch;
pub(crate) mod watched_suspects;
