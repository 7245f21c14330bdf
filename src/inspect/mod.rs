//! Questions about one heap: what lives, why it lives, what it is part of.
//!
//! Everything here takes an [`Analysis`](crate::heap::Analysis) and gives an answer that
//! [`render`](crate::render) can show.
//!
//! | | |
//! |---|---|
//! | [`live`] | every live object in one tree of named branches: the live flamegraph |
//! | [`dominator_tree`] | what retains how much |
//! | [`why`] | reference chains from GC roots, merged where they read alike |
//! | [`cycles`] | objects that refer to each other, and what the collector does about them |
//! | [`difference`] | two heaps of one process, object by object |
//! | [`waste`] | what is alive and needless: equal values, empty room, dicts of instances
//! | [`object`] | everything about one object |
//! | [`subgraph`] | a few objects and their references, as a picture |

pub mod cycles;
pub mod difference;
pub mod dominator_tree;
pub mod live;
pub mod object;
pub mod subgraph;
pub mod waste;
pub mod why;
