//! The objects that retain the most, each with its reference chain.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::reference_chain::ReferenceChain;
use super::root_names::RootNames;
use crate::heap::analysis::Analysis;
use crate::heap::graph::shortest_paths::ShortestPaths;
use crate::heap::ids::NodeId;
use crate::heap::trace::roots::RootKind;
use crate::python::objects::Disclosure;

/// An object with a large retained size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObject {
    /// Its address.
    pub address: u64,
    /// The name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own size including the header before it, as `sys.getsizeof` says, in bytes.
    pub shallow: u64,
    /// The bytes that it owns elsewhere.
    pub external: u64,
    /// Its retained size, in bytes.
    pub retained: u64,
    /// The number of objects it retains, itself included.
    pub objects: u32,
    /// A shortest path to it from a root.
    #[serde(flatten)]
    pub lineage: ReferenceChain,
}

/// The `count` objects with the largest retained sizes, largest first. Modules and their dicts, which retain
/// everything global, are left out. `disclosure` says how much of keys may be shown.
pub fn largest(
    heap: &Analysis<'_>,
    names: &RootNames,
    count: usize,
    disclosure: Disclosure,
) -> Vec<LargeObject> {
    let graph = &heap.graph;
    let mut best = BinaryHeap::new();
    let modules: FxHashSet<NodeId> = graph
        .roots()
        .iter()
        .filter(|root| matches!(root.kind, RootKind::Module { .. }))
        .flat_map(|root| &root.objects)
        .filter_map(|&object| graph.node(object))
        .collect();
    for node in graph.objects().filter(|node| !modules.contains(node)) {
        let bytes = heap.amount(node).bytes;
        let is_among = |worst: &Reverse<(u64, Reverse<NodeId>)>| bytes > worst.0.0;
        if best.len() < count || best.peek().is_some_and(is_among) {
            best.push(Reverse((bytes, Reverse(node))));
            if best.len() > count {
                best.pop();
            }
        }
    }
    let paths = ShortestPaths::of(graph);
    let describe = |Reverse((retained, Reverse(node)))| LargeObject {
        address: graph.address(node).unwrap_or_default(),
        kind: graph.type_info(node).map(|info| info.name.clone()).unwrap_or_default(),
        shallow: graph.shallow(node).saturating_add(graph.header(node)),
        external: graph.external(node),
        retained,
        objects: heap.amount(node).objects,
        lineage: ReferenceChain::of(heap, names, &paths.between(NodeId::ROOT, node), disclosure),
    };
    best.into_sorted_vec().into_iter().map(describe).collect()
}
