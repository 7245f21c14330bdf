//! The object graph, and everything that follows from its shape alone.
//!
//! [`object_table`] turns the trace logs into arrays; [`object_graph`] is nodes and edges on top of them. To
//! [`build`] a graph also means to connect what no known root reaches ([`mod@unreachable`]). One depth-first
//! [`search`] serves both that and the [`dominators`].
//!
//! | | |
//! |---|---|
//! | [`dominators`], [`dominator_tree`], [`retained`] | what would be freed with an object |
//! | [`referrers`] | the transposed graph |
//! | [`shortest_paths`], [`several_paths`] | reference chains from the GC roots |
//! | [`csr`] | rows of different lengths in two arrays, for most of these |
//! | [`components`] | cycles: strongly connected components |

pub(crate) mod build;
pub mod components;
pub(crate) mod csr;
pub mod dominator_tree;
pub mod dominators;
pub mod object_graph;
pub(crate) mod object_table;
pub mod referrers;
pub mod retained;
pub mod search;
pub mod several_paths;
pub mod shortest_paths;
pub(crate) mod unreachable;

pub use components::Components;
pub use dominator_tree::DominatorTree;
pub use dominators::Dominators;
pub use object_graph::Graph;
pub use referrers::Referrers;
pub use retained::{Amount, Retained};
pub use search::{Flow, Precedence, Search};
pub use several_paths::{Effort, several};
pub use shortest_paths::ShortestPaths;
