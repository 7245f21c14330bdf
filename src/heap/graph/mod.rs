//! The object graph, and what follows from its shape alone.
//!
//! [`build`] makes arrays of the trace logs, [`object_graph`] gives access to them, and [`mod@unreachable`]
//! connects what no known root leads to. One depth-first [`search`] serves both that and the
//! [`dominators`].
//!
//! | | |
//! |---|---|
//! | [`dominators`], [`dominator_tree`], [`retained`] | what would be freed with an object |
//! | [`referrers`] | the graph turned around |
//! | [`shortest_paths`], [`several_paths`] | reference chains from the GC roots |
//! | [`csr`] | rows of different lengths in two arrays, for most of these |
//! | [`components`] | cycles: strongly connected components |

pub(crate) mod build;
pub mod components;
pub(crate) mod csr;
pub mod dominator_tree;
pub mod dominators;
pub mod object_graph;
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
pub use retained::{Amount, Retained, retained_together};
pub use search::{Flow, Search};
pub use several_paths::several;
pub use shortest_paths::{Lineage, ShortestPaths};
