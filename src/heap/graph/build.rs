//! Building the graph: known roots first, then the objects that they do not reach.

use std::sync::Arc;

use super::object_graph::Graph;
use super::search::Search;
use super::unreachable::connect_unreachable;
use crate::heap::capture::copy::Capture;
use crate::heap::trace::discovery::Discovery;
use crate::python::objects::Reader;

impl Graph {
    /// Builds the graph of the objects discovered in a capture, on this many threads, and searches it from
    /// the super-root as [`Dominators`](crate::heap::Dominators) need it.
    pub fn of(capture: &Capture<'_>, discovery: Discovery, threads: usize) -> (Graph, Search) {
        let types = Arc::clone(&discovery.types);
        let mut graph = Graph::of_known_roots(capture, discovery, threads);
        let mut search = Search::of(&graph);
        connect_unreachable(&mut graph, &mut search, Reader::new(capture, &types));
        (graph, search)
    }
}
