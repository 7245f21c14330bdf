//! Objects that no known root reaches.
//!
//! If the reference count of such an object exceeds the references found, native code holds it: a local
//! variable of a C function, a static variable of an extension module. (Native code may also hold an object
//! that a known root reaches. That is not examined, since a count too high by one would detach the object
//! from its holder.) The others are garbage.

use super::object_graph::Graph;
use super::search::{Flow, Search};
use crate::heap::capture::copy::Capture;
use crate::heap::ids::NodeId;
use crate::heap::trace::roots::RootKind;
use crate::python::objects::{Reader, ReferenceCount};

/// The type name of the table of interned strings.
const DICT: &str = "dict";

/// Gives each object that no known root reaches a root of its own, and continues the search, which has
/// finished with the known roots.
pub(crate) fn connect_unreachable(
    graph: &mut Graph,
    search: &mut Search,
    reader: Reader<'_, Capture<'_>>,
) {
    let roots = [RootKind::Interned, RootKind::Native, RootKind::Garbage];
    let [Some(interned), Some(native), Some(garbage)] = roots.map(|kind| graph.node_of_kind(&kind))
    else {
        return;
    };
    connect(graph, search, NodeId::ROOT, interned);

    let containers = graph.first_object().up_to(graph.first_leaf());
    let unreached: Vec<NodeId> = containers.filter(|&node| !search.reaches(node)).collect();
    let counts = references_among(graph, &unreached);
    connect(graph, search, NodeId::ROOT, native);
    for (&node, &count) in unreached.iter().zip(&counts) {
        if is_held(graph, reader, node, count) {
            connect(graph, search, native, node);
        }
    }
    connect(graph, search, NodeId::ROOT, garbage);
    for node in unreached {
        if !search.reaches(node) {
            connect(graph, search, garbage, node);
        }
    }
    // The rest are leaves without referrers.
    for node in graph.first_leaf().up_to(graph.end()) {
        if !search.reaches(node) {
            let is_interned = is_interned(graph, reader, node);
            connect(graph, search, if is_interned { interned } else { native }, node);
        }
    }
}

/// Adds an edge from a root to a node.
fn connect(graph: &mut Graph, search: &mut Search, from: NodeId, to: NodeId) {
    graph.add_root_edge(from, to);
    search.add_edge(graph, from, to);
}

/// Whether an object is an interned string, or the table of interned strings. The table does not count as a
/// holder of the strings and so refers to nothing.
fn is_interned(graph: &Graph, reader: Reader<'_, Capture<'_>>, node: NodeId) -> bool {
    let Some(address) = graph.address(node) else { return false };
    match graph.type_info(node).is_some_and(|info| info.name == DICT) {
        true => reader.is_interned_strings(address),
        false => reader.is_interned(address).unwrap_or_default(),
    }
}

/// The number of references to each of these nodes, which are in order. No other node refers to them.
fn references_among(graph: &Graph, nodes: &[NodeId]) -> Vec<u32> {
    let mut counts = vec![0_u32; nodes.len()];
    for &node in nodes {
        for next in graph.successors(node) {
            if let Ok(index) = nodes.binary_search(next)
                && let Some(count) = counts.get_mut(index)
            {
                *count = count.saturating_add(1);
            }
        }
    }
    counts
}

/// Whether an object's reference count exceeds the references found.
fn is_held(graph: &Graph, reader: Reader<'_, Capture<'_>>, node: NodeId, references: u32) -> bool {
    let count = graph.address(node).map(|object| reader.reference_count(object));
    match count {
        Some(Ok(ReferenceCount::Counted(count))) => count > references.into(),
        Some(Ok(ReferenceCount::Immortal)) => true,
        Some(Err(_)) | None => false,
    }
}
