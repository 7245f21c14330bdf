//! The y of each layer, and the lines of arrows.
//!
//! In a layer a line is vertical, at the x of its dummy; between layers, where nothing else is, it is a curve
//! that is vertical at both ends. At a box, lines end side by side, in the order of their other ends.

use super::chains::{Chain, Chains, LABEL_INDENT, LOOP_WIDTH, Loop};
use super::{Area, Arrow, Layout, Piece, Point, Route, Size};

/// The space between two layers, in pixels: at least, at most, and per pixel that a line moves sideways in
/// it.
const LEAST_GAP: f64 = 18.0;
const MOST_GAP: f64 = 64.0;
const GAP_ASIDE: f64 = 0.08;
/// The distance of line ends at a box, in pixels, if there is room, and the part of the box's width that they
/// may take.
const PORT_GAP: f64 = 12.0;
const PORT_PART: f64 = 0.8;
/// The distance from the middle of a box to each end of an arrow to itself, in pixels.
const LOOP_HALF: f64 = 9.0;

/// Turns places in layers into areas and lines.
pub fn draw(chains: &Chains, x: &[f64], boxes: &[Size], arrows: &[Arrow]) -> Layout {
    let ports = Ports::new(chains, x, boxes);
    let bands = Bands::new(chains, x, &ports);
    let areas: Vec<Area> = boxes
        .iter()
        .enumerate()
        .map(|(spot, size)| {
            let (x, y) = (x[spot], bands.middle(chains.spots[spot].layer));
            around(x - size.width / 2.0, y, *size)
        })
        .collect();
    let mut routes: Vec<Option<Route>> = vec![None; arrows.len()];
    for chain in &chains.chains {
        routes[chain.arrow] =
            Some(route(chain, chains, x, &ports, &bands, &areas, arrows[chain.arrow].label));
    }
    for around_box in &chains.loops {
        let label = arrows[around_box.arrow].label;
        routes[around_box.arrow] = Some(loop_route(around_box, &areas[around_box.spot], label));
    }
    let covered = chains.spots.iter().zip(x).map(|(spot, x)| x + spot.right);
    let size = Size {
        width: covered.reduce(f64::max).unwrap_or_default(),
        height: bands.ends.last().map_or(0.0, |&(_, bottom)| bottom),
    };
    Layout { boxes: areas, arrows: routes, size }
}

/// The area of a size with this left edge and vertical middle.
fn around(left: f64, middle: f64, size: Size) -> Area {
    Area {
        left,
        top: middle - size.height / 2.0,
        right: left + size.width,
        bottom: middle + size.height / 2.0,
    }
}

/// The ends of lines at boxes: an x for each dummy next to a box above or below it.
struct Ports {
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Ports {
    fn new(chains: &Chains, x: &[f64], boxes: &[Size]) -> Ports {
        let mut ports = Ports { above: x.to_vec(), below: x.to_vec() };
        for (spot, size) in boxes.iter().enumerate() {
            for (sides, neighbours) in
                [(&mut ports.above, &chains.below[spot]), (&mut ports.below, &chains.above[spot])]
            {
                let mut dummies = neighbours.clone();
                dummies.sort_by(|one, other| x[*one].total_cmp(&x[*other]));
                let wanted: Vec<f64> = dummies.iter().map(|&dummy| x[dummy]).collect();
                let places = side_by_side(&wanted, x[spot], size.width * PORT_PART);
                for (dummy, place) in dummies.into_iter().zip(places) {
                    sides[dummy] = place;
                }
            }
        }
        ports
    }
}

/// Places as near to the `wanted` ones, which are sorted, as the width around the middle allows.
fn side_by_side(wanted: &[f64], middle: f64, width: f64) -> Vec<f64> {
    let between = wanted.len().saturating_sub(1) as f64;
    let gap = if between > 0.0 { PORT_GAP.min(width / between) } else { 0.0 };
    // No wider than the lines need to be told apart, so that a few lines stay near the middle.
    let half = (width / 2.0).min(gap * between);
    let mut places = Vec::with_capacity(wanted.len());
    let mut least = middle - half;
    for (number, wanted) in wanted.iter().enumerate() {
        let most = middle + half - gap * (between - number as f64);
        let place = wanted.clamp(least, most.max(least));
        places.push(place);
        least = place + gap;
    }
    places
}

/// The top and the bottom of each layer.
struct Bands {
    ends: Vec<(f64, f64)>,
}

impl Bands {
    fn new(chains: &Chains, x: &[f64], ports: &Ports) -> Bands {
        // The largest sideways distance of a line between each layer and the next.
        let mut aside = vec![0.0_f64; chains.layers.len()];
        for chain in &chains.chains {
            for (layer, from, to) in steps(chain, chains, x, ports) {
                aside[layer] = aside[layer].max((from - to).abs());
            }
        }
        let mut top = 0.0;
        let ends = chains
            .layers
            .iter()
            .zip(&aside)
            .map(|(layer, aside)| {
                let height = layer.iter().map(|&spot| chains.spots[spot].height);
                let bottom = top + height.fold(0.0, f64::max);
                let ends = (top, bottom);
                top = bottom + (aside * GAP_ASIDE).clamp(LEAST_GAP, MOST_GAP);
                ends
            })
            .collect();
        Bands { ends }
    }

    fn middle(&self, layer: usize) -> f64 {
        let (top, bottom) = self.ends[layer];
        (top + bottom) / 2.0
    }
}

/// For each space that a chain passes, from the top: the layer above it, the x there and the x below.
fn steps<'a>(
    chain: &'a Chain,
    chains: &'a Chains,
    x: &'a [f64],
    ports: &'a Ports,
) -> impl Iterator<Item = (usize, f64, f64)> + 'a {
    chain.spots.windows(2).filter_map(move |pair| {
        let &[upper, lower] = pair else { return None };
        let is_dummy = |spot: usize| chains.spots[spot].is_dummy;
        let from = if is_dummy(upper) { x[upper] } else { ports.above[lower] };
        let to = if is_dummy(lower) { x[lower] } else { ports.below[upper] };
        Some((chains.spots[upper].layer, from, to))
    })
}

/// The line of an arrow between two boxes.
fn route(
    chain: &Chain,
    chains: &Chains,
    x: &[f64],
    ports: &Ports,
    bands: &Bands,
    boxes: &[Area],
    label: Option<Size>,
) -> Route {
    let mut points: Vec<Point> = Vec::with_capacity(2 * chain.spots.len());
    for (layer, from, to) in steps(chain, chains, x, ports) {
        points.push(Point { x: from, y: bands.ends[layer].1 });
        points.push(Point { x: to, y: bands.ends[layer + 1].0 });
    }
    let edge = |spot: Option<&usize>| spot.and_then(|&spot| boxes.get(spot));
    let first = points.first().copied().unwrap_or(Point { x: 0.0, y: 0.0 });
    let last = points.last().copied().unwrap_or(first);
    let mut start =
        Point { y: edge(chain.spots.first()).map_or(first.y, |area| area.bottom), ..first };
    let mut end = Point { y: edge(chain.spots.last()).map_or(last.y, |area| area.top), ..last };
    if chain.is_turned {
        points.reverse();
        std::mem::swap(&mut start, &mut end);
    }
    let mut pieces: Vec<Piece> = Vec::with_capacity(points.len() + 1);
    let mut at = start;
    for pair in points.chunks_exact(2) {
        let &[from, to] = pair else { continue };
        line(&mut pieces, &mut at, from);
        if from.x == to.x {
            line(&mut pieces, &mut at, to);
        } else {
            let middle = (from.y + to.y) / 2.0;
            let control = |point: Point| Point { y: middle, ..point };
            pieces.push(Piece::Curve(control(from), control(to), to));
            at = to;
        }
    }
    line(&mut pieces, &mut at, end);
    let label = label.zip(chain.label).map(|(size, spot)| {
        around(x[spot] + LABEL_INDENT, bands.middle(chains.spots[spot].layer), size)
    });
    Route { start, pieces, label }
}

/// Adds a vertical line, or extends the one before.
fn line(pieces: &mut Vec<Piece>, at: &mut Point, to: Point) {
    match pieces.last_mut() {
        _ if *at == to => {}
        Some(Piece::Line(end)) => *end = to,
        _ => pieces.push(Piece::Line(to)),
    }
    *at = to;
}

/// The line of an arrow from a box to itself: out of its right side and back.
fn loop_route(around_box: &Loop, area: &Area, label: Option<Size>) -> Route {
    let middle = (area.top + area.bottom) / 2.0;
    let half = LOOP_HALF.min((area.bottom - area.top) / 3.0);
    let x = (area.left + area.right) / 2.0 + around_box.out;
    let at = |x: f64, y: f64| Point { x, y };
    let inner = (x - LOOP_WIDTH / 2.0).max(area.right);
    Route {
        start: at(area.right, middle - half),
        pieces: vec![
            Piece::Line(at(inner, middle - half)),
            Piece::Curve(at(x, middle - half), at(x, middle - half), at(x, middle)),
            Piece::Curve(at(x, middle + half), at(x, middle + half), at(inner, middle + half)),
            Piece::Line(at(area.right, middle + half)),
        ],
        label: label.map(|size| around(x + LABEL_INDENT, middle, size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_come_from_or_side_by_side() {
        assert_eq!(side_by_side(&[500.0], 100.0, 80.0), [100.0]);
        assert_eq!(side_by_side(&[0.0, 100.0, 101.0], 100.0, 80.0), [76.0, 100.0, 112.0]);
        assert_eq!(side_by_side(&[0.0, 1.0, 2.0], 100.0, 8.0), [96.0, 100.0, 104.0]);
        assert_eq!(side_by_side(&[200.0, 201.0], 100.0, 80.0), [100.0, 112.0]);
    }
}
