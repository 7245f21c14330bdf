//! Lists of numbers that an array would hold, and arrays with items wider than their values.

use super::{Scene, Spot, WasteKind};
use crate::heap::{Flow, NodeId};

/// A list with fewer numbers is not worth an array.
const FEWEST_NUMBERS: usize = 16;
/// A smaller array is not searched for wide items, in bytes.
const LEAST_ARRAY: u64 = 1 << 10;

/// Adds the lists whose items are all floats, or all small ints, with the bytes of those numbers that only the
/// list holds. An array of eight-byte items is as large as the list without them.
pub fn find_boxed(scene: Scene<'_>, spots: &mut Vec<Spot>) {
    let Scene { graph, reader, heap, .. } = scene;
    let mut items: Vec<NodeId> = Vec::new();
    for node in graph.objects() {
        if !graph.type_info(node).is_some_and(|info| info.is_list() && !info.made_in_python) {
            continue;
        }
        let numbers = graph.successors(node);
        if numbers.len() < FEWEST_NUMBERS {
            continue;
        }
        let number = |item| reader.boxed(graph.address(item)?, graph.type_info(item)?);
        let first = numbers.first().and_then(|&item| number(item));
        if first.is_none() || !numbers.iter().all(|&item| number(item) == first) {
            continue;
        }
        items.clear();
        items.extend(numbers.iter().filter(|&&it| heap.dominators.immediate(it) == Some(node)));
        items.sort_unstable();
        items.dedup();
        let saved = items.iter().map(|&item| graph.size(item)).sum();
        if saved > 0 {
            spots.push(Spot::new(WasteKind::BoxedNumbers, node, graph.size(node) + saved, saved));
        }
    }
}

/// Adds the arrays whose values all fit into smaller items.
pub fn find_wide(scene: Scene<'_>, spots: &mut Vec<Spot>) {
    let Scene { graph, reader, capture, .. } = scene;
    for node in graph.objects() {
        let Some(info) = graph.type_info(node).filter(|info| info.has_numbers()) else { continue };
        let size = graph.size(node);
        if size < LEAST_ARRAY {
            continue;
        }
        let address = graph.address(node).unwrap_or_default();
        if let Some((narrow, count)) = reader.narrow(address, info, capture.process()) {
            let saved = count.saturating_mul(narrow.saves());
            let spot = Spot::new(WasteKind::WideItems, node, size, saved);
            spots.push(Spot { narrow: Some(narrow), ..spot });
        }
    }
}
