//! Containers with more room than their items need.

use rustc_hash::FxHashSet;

use super::{Scene, Spot, WasteKind};
use crate::heap::NodeId;
use crate::python::objects::RoomKind;

/// Adds the containers that would be smaller if they were made anew, but for `dicts`, which are counted with
/// their instances.
pub fn find(scene: Scene<'_>, dicts: &FxHashSet<NodeId>, spots: &mut Vec<Spot>) {
    let Scene { graph, reader, .. } = scene;
    for node in graph.objects() {
        let Some(info) = graph.type_info(node).filter(|info| info.has_room()) else { continue };
        let room = graph.address(node).and_then(|address| reader.room(address, info));
        let Some(room) = room.filter(|room| room.spare > 0 && !dicts.contains(&node)) else {
            continue;
        };
        let kind = match room.kind {
            RoomKind::List | RoomKind::ByteArray => WasteKind::Overallocated,
            RoomKind::Dict | RoomKind::Set => WasteKind::Sparse,
        };
        spots.push(Spot::new(kind, node, graph.size(node), room.spare));
    }
}
