//! Instances that would take less if they shared the names of their attributes, or had slots.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Scene, Spot, WasteKind};
use crate::heap::NodeId;
use crate::python::objects::{Storage, TypeId, TypeInfo};

/// The most names of attributes of a class that are counted: with more, neither sharing nor slots help.
const MOST_NAMES: usize = 64;

/// The names of the attributes of a class.
#[derive(Default)]
struct Names {
    names: Vec<u64>,
    /// The table that was read last: many instances share it.
    last: u64,
}

/// Adds the instances that would take less. Returns the dicts that are counted with them.
pub fn find(scene: Scene<'_>, spots: &mut Vec<Spot>) -> FxHashSet<NodeId> {
    let mut classes: FxHashMap<TypeId, Names> = FxHashMap::default();
    each(scene, |_, info, storage| {
        let class = classes.entry(info.id).or_default();
        if storage.keys != 0 && storage.keys != class.last && class.names.len() <= MOST_NAMES {
            scene.reader.add_names(storage.keys, MOST_NAMES, &mut class.names);
            class.last = storage.keys;
        }
    });
    let mut dicts = FxHashSet::default();
    each(scene, |node, info, storage| {
        let Some(class) = classes.get(&info.id) else { return };
        let count = class.names.len();
        if count == 0 || count > MOST_NAMES {
            return;
        }
        let dict = scene.graph.node(storage.dict);
        let size = scene.graph.size(node) + dict.map_or(0, |dict| scene.graph.size(dict));
        let mut with_shared_keys = size;
        if let (Some(dict), Some(shared)) = (dict, storage.shared(count)) {
            let kind = match storage.is_own {
                true => WasteKind::UnsharedKeys,
                false => WasteKind::InstanceDict,
            };
            let saved = size.saturating_sub(shared);
            if saved > 0 && (storage.is_own || !storage.is_always_a_dict()) {
                spots.push(Spot::new(kind, node, size, saved));
                with_shared_keys = shared;
                dicts.insert(dict);
            }
        }
        let saved = info.slotted(count).map(|slotted| with_shared_keys.saturating_sub(slotted));
        if let Some(saved @ 1..) = saved {
            spots.push(Spot::new(WasteKind::NoSlots, node, size, saved));
        }
    });
    dicts
}

/// Passes on the instances of classes that may have a dict.
fn each(scene: Scene<'_>, mut take: impl FnMut(NodeId, &TypeInfo, Storage)) {
    for node in scene.graph.objects() {
        let Some(info) = scene.graph.type_info(node).filter(|info| info.made_in_python) else {
            continue;
        };
        let address = scene.graph.address(node).unwrap_or_default();
        if let Some(storage) = scene.reader.storage(address, info) {
            take(node, info, storage);
        }
    }
}
