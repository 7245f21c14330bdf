//! Who adds to what grows: of each growing object one word changes at every insertion, and a write
//! breakpoint on that word stops the thread right behind the instruction that inserts.
//!
//! | | |
//! |---|---|
//! | [`growth_counters`] | which word counts what an object holds |
//! | [`watch`], [`hits`] | in the guardian: breakpoints on these words, a stack for each hit |
//! | [`schedule`] | whose turn it is, with four registers for many words |
//! | [`instance_creation`], [`survival`] | for instances of a class: was one made, and does it stay |
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
