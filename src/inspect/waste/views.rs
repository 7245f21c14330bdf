//! Small views that keep large buffers: a copy of what they show would do.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Scene, Spot, WasteKind};
use crate::heap::{NodeId, Referrers};

/// The views of one buffer.
#[derive(Default)]
struct Views {
    first: NodeId,
    /// The bytes that they show together, some of them perhaps twice.
    shown: u64,
}

/// Adds a view of each buffer that only views keep, if they show less than half of it. Returns those buffers.
pub fn find(scene: Scene<'_>, referrers: &Referrers, spots: &mut Vec<Spot>) -> FxHashSet<NodeId> {
    let mut found = FxHashSet::default();
    let Scene { graph, reader, .. } = scene;
    let mut buffers: FxHashMap<NodeId, Views> = FxHashMap::default();
    for node in graph.objects() {
        if !graph.type_info(node).is_some_and(|info| info.may_be_view()) {
            continue;
        }
        let view = graph.address(node).and_then(|address| reader.buffer_view(address));
        let owner = view.and_then(|view| Some((graph.node(view.owner)?, view.length)));
        let Some((owner, length)) = owner else { continue };
        let views = buffers.entry(owner).or_insert(Views { first: node, shown: 0 });
        views.first = views.first.min(node);
        views.shown = views.shown.saturating_add(length);
    }
    let mut buffers: Vec<(NodeId, Views)> = buffers.into_iter().collect();
    buffers.sort_unstable_by_key(|(owner, _)| *owner);
    for (owner, Views { first, shown }) in buffers {
        let is_view = |node: &NodeId| {
            let info = graph.type_info(*node);
            info.is_some_and(|info| info.may_be_view() || info.connects_views())
        };
        let size = graph.size(owner);
        let saved = size.saturating_sub(shown);
        if saved > size / 2 && referrers.of_node(owner).iter().all(is_view) {
            spots.push(Spot::new(WasteKind::View, first, size, saved));
            found.insert(owner);
        }
    }
    found
}
