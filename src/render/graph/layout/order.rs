//! The order within layers, chosen so that few arrows cross.
//!
//! Layers are ordered by barycenters, downwards and upwards in turn, and neighbours are exchanged where that
//! removes crossings. The best order found is kept. The number of sweeps is bounded.

use super::chains::Chains;

/// The maximum number of sweeps, and of those in a row without improvement.
const MOST_SWEEPS: usize = 24;
const MOST_IN_VAIN: usize = 6;
/// A large graph gets fewer sweeps: this many spots are ordered in all.
const MOST_WORK: usize = 200_000;
const LEAST_SWEEPS: usize = 4;
/// The maximum number of rounds over all pairs of neighbours in a layer.
const MOST_EXCHANGES: usize = 4;

/// Orders all layers.
pub fn order(chains: &mut Chains) {
    let sweeps = (MOST_WORK / chains.spots.len().max(1)).clamp(LEAST_SWEEPS, MOST_SWEEPS);
    let mut best: Option<(u64, Vec<Vec<usize>>)> = None;
    // Starting at the top, then at the bottom.
    for first in 0..2 {
        let mut order = Order::new(chains);
        let mut in_vain = 0;
        for sweep in first..first + sweeps {
            order.sweep(sweep % 2 == 0);
            let crossings = order.crossings();
            in_vain += 1;
            if best.as_ref().is_none_or(|(least, _)| crossings < *least) {
                best = Some((crossings, order.layers.clone()));
                in_vain = 0;
            }
            if crossings == 0 || in_vain >= MOST_IN_VAIN {
                break;
            }
        }
    }
    if let Some((_, layers)) = best {
        chains.layers = layers;
    }
}

struct Order<'a> {
    chains: &'a Chains,
    layers: Vec<Vec<usize>>,
    /// The position of each spot in its layer.
    place: Vec<usize>,
}

impl<'a> Order<'a> {
    fn new(chains: &'a Chains) -> Order<'a> {
        let layers = chains.layers.iter().map(|layer| dummies_in_the_middle(chains, layer));
        let mut order =
            Order { chains, layers: layers.collect(), place: vec![0; chains.spots.len()] };
        for layer in 0..order.layers.len() {
            order.note_places(layer);
        }
        order
    }

    fn note_places(&mut self, layer: usize) {
        for (place, &spot) in self.layers[layer].iter().enumerate() {
            self.place[spot] = place;
        }
    }

    /// Orders each layer by the one above it, or below it.
    fn sweep(&mut self, is_downwards: bool) {
        let count = self.layers.len();
        let fixed = if is_downwards { &self.chains.above } else { &self.chains.below };
        for step in 1..count {
            let layer = if is_downwards { step } else { count - 1 - step };
            self.sort(layer, fixed);
        }
        for step in 0..count {
            self.exchange(if is_downwards { step } else { count - 1 - step });
        }
    }

    /// Orders a layer by the mean position of the neighbours of each spot. A spot without neighbours stays
    /// where it is.
    fn sort(&mut self, layer: usize, fixed: &[Vec<usize>]) {
        let mean = |spot: usize| {
            let neighbours = &fixed[spot];
            let sum: usize = neighbours.iter().map(|&other| self.place[other]).sum();
            sum as f64 / neighbours.len() as f64
        };
        let spots = &self.layers[layer];
        let mut connected: Vec<(f64, usize)> = spots
            .iter()
            .filter(|&&spot| !fixed[spot].is_empty())
            .map(|&spot| (mean(spot), spot))
            .collect();
        connected.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut connected = connected.into_iter().map(|(_, spot)| spot);
        let sorted = spots
            .iter()
            .map(|&spot| match fixed[spot].is_empty() {
                true => spot,
                false => connected.next().unwrap_or(spot),
            })
            .collect();
        self.layers[layer] = sorted;
        self.note_places(layer);
    }

    /// Exchanges neighbours in a layer where that removes crossings.
    fn exchange(&mut self, layer: usize) {
        let mut spots = std::mem::take(&mut self.layers[layer]);
        let sorted = |list: &[usize]| {
            let mut places: Vec<usize> = list.iter().map(|&other| self.place[other]).collect();
            places.sort_unstable();
            places
        };
        let mut lists: Vec<[Vec<usize>; 2]> = spots
            .iter()
            .map(|&spot| [sorted(&self.chains.above[spot]), sorted(&self.chains.below[spot])])
            .collect();
        let crossings = |left: &[Vec<usize>; 2], right: &[Vec<usize>; 2]| -> u64 {
            left.iter().zip(right).map(|(left, right)| crossings_of_two(left, right)).sum()
        };
        for _ in 0..MOST_EXCHANGES {
            let mut is_better = false;
            for left in 0..spots.len().saturating_sub(1) {
                let (one, other) = (&lists[left], &lists[left + 1]);
                if crossings(one, other) > crossings(other, one) {
                    lists.swap(left, left + 1);
                    spots.swap(left, left + 1);
                    is_better = true;
                }
            }
            if !is_better {
                break;
            }
        }
        self.layers[layer] = spots;
        self.note_places(layer);
    }

    /// The number of crossings.
    fn crossings(&self) -> u64 {
        self.layers.iter().skip(1).map(|layer| self.crossings_above(layer)).sum()
    }

    /// The number of crossings between a layer and the one above: pairs whose order above differs from that
    /// below.
    fn crossings_above(&self, layer: &[usize]) -> u64 {
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for (lower, &spot) in layer.iter().enumerate() {
            ends.extend(self.chains.above[spot].iter().map(|&upper| (self.place[upper], lower)));
        }
        ends.sort_unstable();
        // A Fenwick tree of the arrows already passed, by their lower end.
        let mut tree = vec![0_u64; layer.len() + 1];
        let mut count = 0;
        for (passed, &(_, lower)) in ends.iter().enumerate() {
            let (mut at, mut not_right) = (lower + 1, 0);
            while at > 0 {
                not_right += tree[at];
                at &= at - 1;
            }
            count += passed as u64 - not_right;
            at = lower + 1;
            while at < tree.len() {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
        count
    }
}

/// Half of the boxes of a layer, the dummies, and the other boxes: where a passing arrow could go to either
/// side, there are boxes on both sides of it.
fn dummies_in_the_middle(chains: &Chains, layer: &[usize]) -> Vec<usize> {
    let (dummies, boxes): (Vec<usize>, Vec<usize>) =
        layer.iter().partition(|&&spot| chains.spots[spot].is_dummy);
    let (left, right) = boxes.split_at(boxes.len() / 2);
    [left, &dummies, right].concat()
}

/// How often the arrows of two spots cross, one left of the other; `left` and `right` are the positions of
/// their other ends, sorted.
fn crossings_of_two(left: &[usize], right: &[usize]) -> u64 {
    let mut passed = 0;
    let mut count = 0;
    for place in left {
        while right.get(passed).is_some_and(|other| other < place) {
            passed += 1;
        }
        count += passed as u64;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::{Arrow, Size};
    use super::*;

    fn chains(layers: &[usize], ends: &[(usize, usize)]) -> Chains {
        let boxes = vec![Size { width: 10.0, height: 10.0 }; layers.len()];
        let mut chains = Chains::new(&boxes, layers);
        let arrows: Vec<(usize, Arrow)> =
            ends.iter().map(|&(from, to)| Arrow { from, to, label: None }).enumerate().collect();
        chains.add_arrows(&arrows, &vec![false; ends.len()], 1e6);
        chains
    }

    #[test]
    fn what_can_be_untangled_is() {
        let mut tangled = chains(&[0, 0, 0, 1, 1, 1], &[(0, 5), (1, 4), (2, 3), (0, 4)]);
        assert!(Order::new(&tangled).crossings() > 0);
        order(&mut tangled);
        assert_eq!(Order::new(&tangled).crossings(), 0);
    }

    #[test]
    fn crossings_are_those_of_pairs() {
        // All arrows between two sets of three: each pair of one set crosses once with each pair of the
        // other.
        let ends: Vec<(usize, usize)> =
            (0..3).flat_map(|from| (3..6).map(move |to| (from, to))).collect();
        let mut full = chains(&[0, 0, 0, 1, 1, 1], &ends);
        order(&mut full);
        assert_eq!(Order::new(&full).crossings(), 9);
        assert_eq!(crossings_of_two(&[0, 1, 2], &[0, 1, 2]), 3);
    }
}
