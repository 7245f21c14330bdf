//! The x of each box and dummy, in the order of its layer.
//!
//! Arrows are like springs: the layout minimizes the sum of the squares of their sideways distances, with a
//! small weight between boxes and a larger one along the dummies of an arrow. For a single layer that is an
//! isotonic regression, which has an exact solution in linear time (pool adjacent violators), so neighbours
//! always keep their distance. A few sweeps over all layers come close enough. At last arrows that are nearly
//! straight are made straight where nothing is in their way.

use super::chains::Chains;

/// The number of sweeps, down and up: first those in which layers follow only the layer before, then those in
/// which they follow both neighbours.
const FIRST_SWEEPS: usize = 2;
const SWEEPS: usize = 12;
/// How often arrows are straightened: each time may make room for others.
const STRAIGHTENINGS: usize = 3;
/// The pull between two dummies, relative to that of a box.
const STRAIGHT: f64 = 8.0;
/// The pull of a spot towards its current place.
const INERTIA: f64 = 1e-3;

/// The x of each spot. The leftmost edge is at 0.
pub fn assign(chains: &Chains) -> Vec<f64> {
    let mut x = vec![0.0; chains.spots.len()];
    for layer in &chains.layers {
        for (&spot, place) in layer.iter().zip(offsets(chains, layer)) {
            x[spot] = place;
        }
    }
    let count = chains.layers.len();
    for sweep in 0..FIRST_SWEEPS + SWEEPS {
        let is_first = sweep < FIRST_SWEEPS;
        for layer in &chains.layers {
            relax(chains, layer, &mut x, true, !is_first);
        }
        for layer in chains.layers.iter().rev().skip(usize::from(count > 1)) {
            relax(chains, layer, &mut x, !is_first, true);
        }
    }
    for _ in 0..STRAIGHTENINGS {
        straighten(chains, &mut x);
    }
    let covered = chains.spots.iter().zip(&x).map(|(spot, x)| x - spot.left);
    let left = covered.reduce(f64::min).unwrap_or_default();
    x.iter_mut().for_each(|x| *x -= left);
    x
}

/// The x of each spot of a layer if they are as close as possible, from 0.
fn offsets(chains: &Chains, layer: &[usize]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(layer.len());
    let mut last: Option<(usize, f64)> = None;
    for &spot in layer {
        let place = last.map_or(0.0, |(left, place)| place + chains.distance(left, spot));
        offsets.push(place);
        last = Some((spot, place));
    }
    offsets
}

/// Moves the spots of a layer to where their arrows to the layer above, below, or both pull them.
fn relax(chains: &Chains, layer: &[usize], x: &mut [f64], is_above: bool, is_below: bool) {
    let offsets = offsets(chains, layer);
    // Runs of spots that are as close as possible: the place of the run, relative to the offsets, the weight
    // of all its spots and their number.
    let mut runs: Vec<(f64, f64, usize)> = Vec::with_capacity(layer.len());
    for (&spot, offset) in layer.iter().zip(&offsets) {
        let (mut weight, mut sum) = (INERTIA, INERTIA * x[spot]);
        let sides = [(is_above, &chains.above), (is_below, &chains.below)];
        for other in sides.iter().filter(|side| side.0).flat_map(|(_, side)| &side[spot]) {
            let is_straight = chains.spots[spot].is_dummy && chains.spots[*other].is_dummy;
            let pull = if is_straight { STRAIGHT } else { 1.0 };
            weight += pull;
            sum += pull * x[*other];
        }
        let mut run = (sum / weight - offset, weight, 1);
        while let Some(&(place, weight, count)) = runs.last() {
            if place <= run.0 {
                break;
            }
            runs.pop();
            let both = weight + run.1;
            run = ((place * weight + run.0 * run.1) / both, both, count + run.2);
        }
        runs.push(run);
    }
    let places = runs.iter().flat_map(|&(place, _, count)| std::iter::repeat_n(place, count));
    for ((&spot, offset), place) in layer.iter().zip(&offsets).zip(places) {
        x[spot] = place + offset;
    }
}

/// Moves the dummies of each arrow to one x, or to as few as there is room for.
fn straighten(chains: &Chains, x: &mut [f64]) {
    let count = chains.spots.len();
    let (mut left, mut right) = (vec![None; count], vec![None; count]);
    for layer in &chains.layers {
        for pair in layer.windows(2) {
            if let &[one, other] = pair {
                right[one] = Some(other);
                left[other] = Some(one);
            }
        }
    }
    for chain in &chains.chains {
        let [_, dummies @ .., _] = &chain.spots[..] else { continue };
        let mut run: Vec<usize> = Vec::new();
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        for &dummy in dummies {
            let from = left[dummy]
                .map_or(f64::NEG_INFINITY, |other: usize| x[other] + chains.distance(other, dummy));
            let to = right[dummy]
                .map_or(f64::INFINITY, |other: usize| x[other] - chains.distance(dummy, other));
            if from.max(least) > to.min(most) {
                put(&run, (least, most), x);
                run.clear();
                (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
            }
            run.push(dummy);
            (least, most) = (least.max(from), most.min(to));
        }
        put(&run, (least, most), x);
    }
}

/// Puts spots at one x within a range, as near as possible to their places.
fn put(run: &[usize], (least, most): (f64, f64), x: &mut [f64]) {
    let mean = run.iter().map(|&spot| x[spot]).sum::<f64>() / run.len().max(1) as f64;
    // Rounding may leave an empty range for a spot without room.
    let place = mean.max(least).min(most);
    if least <= most {
        run.iter().for_each(|&spot| x[spot] = place);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arrow, Size};
    use super::*;

    #[test]
    fn what_refers_to_several_is_in_the_middle_and_a_long_arrow_is_straight() {
        let boxes = [Size { width: 50.0, height: 10.0 }; 6];
        let mut chains = Chains::new(&boxes, &[0, 1, 1, 1, 0, 3]);
        let ends = [(0, 1), (0, 2), (0, 3), (4, 5)];
        let arrows: Vec<(usize, Arrow)> = ends
            .map(|(from, to)| Arrow { from, to, label: None })
            .into_iter()
            .enumerate()
            .collect();
        chains.add_arrows(&arrows, &[false; 4], 1e6);
        let x = assign(&chains);
        assert!((x[0] - x[2]).abs() < 1.0, "{x:?}");
        let straight = chains.chains.iter().find(|chain| chain.arrow == 3).expect("it is there");
        let [_, dummies @ .., _] = &straight.spots[..] else { panic!("it is a chain") };
        assert!(dummies.iter().all(|&dummy| (x[dummy] - x[dummies[0]]).abs() < 1e-9), "{x:?}");
    }
}
