//! Values that several objects have: one would do for all. The bytes of values are hashed; nothing of them is
//! kept.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::{Scene, Spot, WasteKind};
use crate::heap::{Flow, NodeId};
use crate::python::objects::{Contents, Span, TypeId};

/// A buffer of this many bytes is read only if another has the same length.
const LARGE: u64 = 1 << 20;
/// How deep tuples in tuples are compared by value; further in, by identity.
const MOST_LEVELS: usize = 8;

/// The hashes of all values, 0 where an object is no value, or not hashed yet.
struct Hashes {
    first: NodeId,
    hashes: Vec<u64>,
}

impl Hashes {
    fn get(&self, node: NodeId) -> u64 {
        let index = node.index().checked_sub(self.first.index());
        index.and_then(|index| self.hashes.get(index)).copied().unwrap_or_default()
    }

    fn set(&mut self, node: NodeId, hash: u64) {
        let index = node.index().checked_sub(self.first.index());
        if let Some(place) = index.and_then(|index| self.hashes.get_mut(index)) {
            *place = hash;
        }
    }
}

/// Adds the objects that have the value of another, but for `buffers`, which are counted with their views. Of each
/// value, one object is not added.
pub fn find(scene: Scene<'_>, buffers: &FxHashSet<NodeId>, spots: &mut Vec<Spot>) {
    let Scene { graph, .. } = scene;
    let contents: Vec<Option<Contents>> =
        graph.types().iter().map(|info| info.contents()).collect();
    let contents_of = |node| {
        let TypeId(id) = graph.type_id(node)?;
        contents.get(id as usize).copied().flatten()
    };
    let mut hashes = Hashes { first: graph.first_object(), hashes: vec![0; graph.objects().len()] };
    let mut nested = Vec::new();
    let mut large: FxHashMap<(u64, u64), Vec<(NodeId, Span)>> = FxHashMap::default();
    for node in graph.objects() {
        let Some(contents) = contents_of(node) else { continue };
        if matches!(contents, Contents::Items | Contents::Elements) {
            nested.push((node, contents));
            continue;
        }
        let Some(address) = graph.address(node) else { continue };
        let Some(span) = scene.reader.span(address, contents) else { continue };
        if span.length >= LARGE {
            large.entry((span.length, span.meaning)).or_default().push((node, span));
        } else if let Some(hash) = hash(scene, node, span) {
            hashes.set(node, hash);
        }
    }
    for (node, span) in large.into_values().filter(|twins| twins.len() > 1).flatten() {
        if let Some(hash) = hash(scene, node, span) {
            hashes.set(node, hash);
        }
    }
    hash_nested(scene, &mut hashes, nested, |node| contents_of(node).is_some());
    let is_reported = |node| {
        // Numbers are small, and boxed numbers are reported by their lists.
        contents_of(node).is_some_and(|contents| contents.is_more_than_a_number())
            && !buffers.contains(&node)
    };
    let mut sorted: Vec<(u64, NodeId)> = graph
        .objects()
        .filter(|&node| is_reported(node))
        .map(|node| (hashes.get(node), node))
        .filter(|(hash, _)| *hash != 0)
        .collect();
    sorted.sort_unstable();
    let equal = sorted.chunk_by(|one, other| one.0 == other.0);
    for (value, nodes) in (1..).zip(equal.filter(|nodes| nodes.len() > 1)) {
        // Objects of the program's files are there anyway.
        let fixed = nodes.iter().position(|(_, node)| graph.fixed().binary_search(node).is_ok());
        let kept = fixed.unwrap_or_default();
        for (index, &(_, node)) in nodes.iter().enumerate() {
            let size = graph.size(node);
            if index != kept && graph.fixed().binary_search(&node).is_err() {
                spots.push(Spot { value, ..Spot::new(WasteKind::Equal, node, size, size) });
            }
        }
    }
}

/// The hash of a value's bytes and its type.
fn hash(scene: Scene<'_>, node: NodeId, span: Span) -> Option<u64> {
    let hash = scene.reader.hash(span, scene.capture.process())?;
    Some(mix(type_number(scene, node), [hash]))
}

fn type_number(scene: Scene<'_>, node: NodeId) -> u64 {
    scene.graph.type_id(node).map_or(0, |id| u64::from(id.0) + 1)
}

/// A hash of hashes, never 0.
fn mix(seed: u64, hashes: impl IntoIterator<Item = u64>) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(seed);
    hashes.into_iter().for_each(|hash| hasher.write_u64(hash));
    hasher.finish().max(1)
}

/// Hashes tuples and frozensets, level by level. An item that is no value counts by its identity.
fn hash_nested(
    scene: Scene<'_>,
    hashes: &mut Hashes,
    mut nested: Vec<(NodeId, Contents)>,
    is_value: impl Fn(NodeId) -> bool,
) {
    /// What tells an identity from a hash.
    const IDENTITY: u64 = 0x5bd1_e995;
    let graph = scene.graph;
    for level in 0..=MOST_LEVELS {
        let before = nested.len();
        let by_identity = level == MOST_LEVELS;
        nested.retain(|&(node, contents)| {
            let items = graph.successors(node);
            let is_ready = |&item: &NodeId| hashes.get(item) != 0 || !is_value(item);
            if !by_identity && !items.iter().all(is_ready) {
                return true;
            }
            let hash = |&item: &NodeId| match hashes.get(item) {
                0 => mix(IDENTITY, [item.index() as u64]),
                hash => hash,
            };
            let seed = mix(type_number(scene, node), [items.len() as u64]);
            let own = match contents {
                Contents::Elements => {
                    let sum = items.iter().map(|item| mix(1, [hash(item)]));
                    mix(seed, [sum.fold(0, u64::wrapping_add)])
                }
                _ => mix(seed, items.iter().map(hash)),
            };
            hashes.set(node, own);
            false
        });
        if nested.is_empty() || nested.len() == before {
            break;
        }
    }
}
