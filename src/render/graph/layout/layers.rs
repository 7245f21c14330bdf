//! The layer of each box: below all boxes that point to it, with arrows as short as possible, and layers no
//! wider than a limit.

use super::{BOX_GAP, Size};

/// The maximum number of rounds in which boxes move to shorten their arrows.
const MOST_ROUNDS: usize = 8;

/// Gives each box a layer, 0 at the top, so that all arrows point down. An arrow is an upper box and a lower
/// one, and there is no cycle but arrows from a box to itself. Each layer has a box.
pub fn assign(boxes: &[Size], arrows: &[(usize, usize)], limit: f64) -> Vec<usize> {
    let graph = Adjacent::new(boxes.len(), arrows);
    let order = graph.top_to_bottom();
    let mut layers = vec![0; boxes.len()];
    for &node in &order {
        layers[node] = graph.highest(node, &layers);
    }
    for _ in 0..MOST_ROUNDS {
        if !graph.shorten(&order, &mut layers) {
            break;
        }
    }
    break_up(boxes, &graph, &layers, limit)
}

/// The predecessors and successors of each box.
struct Adjacent {
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

impl Adjacent {
    fn new(count: usize, arrows: &[(usize, usize)]) -> Adjacent {
        let (mut above, mut below) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for &(upper, lower) in arrows.iter().filter(|(upper, lower)| upper != lower) {
            above[lower].push(upper);
            below[upper].push(lower);
        }
        Adjacent { above, below }
    }

    /// The boxes in an order in which all arrows point forwards.
    fn top_to_bottom(&self) -> Vec<usize> {
        let mut missing: Vec<usize> = self.above.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..missing.len()).filter(|&node| missing[node] == 0).collect();
        let mut done = 0;
        while let Some(&node) = order.get(done) {
            done += 1;
            for &next in &self.below[node] {
                missing[next] -= 1;
                if missing[next] == 0 {
                    order.push(next);
                }
            }
        }
        order
    }

    /// The highest layer that a box can have below its predecessors.
    fn highest(&self, node: usize, layers: &[usize]) -> usize {
        self.above[node].iter().map(|&upper| layers[upper] + 1).max().unwrap_or(0)
    }

    /// Moves each box with at least as many outgoing as incoming arrows down as far as possible, and the
    /// others up. Returns whether any box moved. The sum of all lengths never grows.
    fn shorten(&self, order: &[usize], layers: &mut [usize]) -> bool {
        let mut has_moved = false;
        let mut put = |node: usize, layer: usize, layers: &mut [usize]| {
            has_moved |= layers[node] != layer;
            layers[node] = layer;
        };
        for &node in order.iter().rev() {
            if self.below[node].len() >= self.above[node].len() {
                let lowest = self.below[node].iter().map(|&lower| layers[lower] - 1).min();
                put(node, lowest.unwrap_or(layers[node]), layers);
            }
        }
        for &node in order {
            if self.above[node].len() > self.below[node].len() {
                put(node, self.highest(node, layers), layers);
            }
        }
        has_moved
    }
}

/// Numbers the layers that have boxes, and splits those that would be too wide: boxes that are pointed to
/// come first, those that only point to others last.
fn break_up(boxes: &[Size], graph: &Adjacent, layers: &[usize], limit: f64) -> Vec<usize> {
    let count = layers.iter().max().map_or(0, |&last| last + 1);
    let mut members = vec![Vec::new(); count];
    for (node, &layer) in layers.iter().enumerate() {
        members[layer].push(node);
    }
    let mut result = vec![0; boxes.len()];
    let mut next = 0;
    for mut members in members.into_iter().filter(|members| !members.is_empty()) {
        let width = |node: usize| boxes[node].width + BOX_GAP;
        let whole: f64 = members.iter().map(|&node| width(node)).sum();
        let share = whole / (whole / limit).ceil().max(1.0);
        members
            .sort_by_key(|&node| graph.below[node].len() as i64 - graph.above[node].len() as i64);
        let mut used = 0.0;
        for node in members {
            // The last box goes where the layer comes closer to its share.
            if used > 0.0 && used + width(node) / 2.0 > share {
                next += 1;
                used = 0.0;
            }
            used += width(node);
            result[node] = next;
        }
        next += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size { width: 76.0, height: 20.0 };

    #[test]
    fn a_source_is_just_above_what_it_points_to() {
        let arrows = [(0, 1), (1, 2), (3, 2), (0, 2), (4, 5), (5, 2)];
        assert_eq!(assign(&[BOX; 6], &arrows, 1e6), [0, 1, 2, 1, 0, 1]);
    }

    #[test]
    fn a_wide_layer_becomes_several_and_arrows_point_down_all_the_same() {
        let arrows: Vec<(usize, usize)> = (1..=30).map(|lower| (0, lower)).collect();
        let layers = assign(&[BOX; 31], &arrows, 1000.0);
        assert_eq!(layers[0], 0);
        for layer in 1..=3 {
            assert_eq!(layers.iter().filter(|&&other| other == layer).count(), 10);
        }
    }
}
