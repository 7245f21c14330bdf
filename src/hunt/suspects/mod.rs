//! Leak suspects: objects that grow steadily without a harmless explanation.
//!
//! A [`comparison`] has all the input. [`find`] goes through the accumulation points, [`scoring`] assesses
//! each, and the evidence becomes a [`suspect`], with the help of:
//!
//! | | |
//! |---|---|
//! | [`containers`] | other containers of the same kind, which come, grow and go |
//! | [`bounds`] | limits that collections declare for themselves, or that code keeps to |
//! | [`removal`] | code on the way that removes from what grows |
//! | [`collector`] | garbage that no collection will find in time |
//! | [`uncollectable`] | cycles that no collection can free |
//! | [`leak_kinds`], [`threads`] | which type describes the leak best; objects of running code |
//! | [`names`], [`hints`] | what to call the holder, and the likely cause |

pub(crate) mod bounds;
pub mod collector;
pub(crate) mod comparison;
pub(crate) mod containers;
pub mod find;
pub(crate) mod hints;
pub(crate) mod leak_kinds;
pub(crate) mod names;
pub(crate) mod removal;
pub(crate) mod scoring;
pub mod suspect;
pub(crate) mod threads;
pub(crate) mod uncollectable;
