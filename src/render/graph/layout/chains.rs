//! Arrows as chains of dummies: one dummy in each layer that an arrow passes, so that it has a place there
//! like a box, and each link spans the distance of two layers.
//!
//! Boxes are in even layers. The odd layers between them have the labels, so each arrow has at least one
//! dummy. An arrow's line follows the left edge of its label.

use super::{ARROW_GAP, Arrow, BOX_GAP, Size};

/// The room to the left of a label, for its arrow, in pixels.
pub const LABEL_INDENT: f64 = 4.0;
/// How far an arrow from a box to itself extends from the box, in pixels.
pub const LOOP_WIDTH: f64 = 22.0;

/// A box or a dummy in its layer.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    /// The number of its layer.
    pub layer: usize,
    /// Its extent to the left of its x.
    pub left: f64,
    /// Its extent to the right of its x.
    pub right: f64,
    /// Its height.
    pub height: f64,
    /// Whether it is a place for an arrow to pass, without a box.
    pub is_dummy: bool,
}

/// An arrow between two boxes.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The index of the arrow.
    pub arrow: usize,
    /// The upper box, dummies, and the lower box.
    pub spots: Vec<usize>,
    /// The dummy that has the label.
    pub label: Option<usize>,
    /// Whether the arrow points up.
    pub is_turned: bool,
}

/// An arrow from a box to itself.
#[derive(Debug, Clone, Copy)]
pub struct Loop {
    /// The index of the arrow.
    pub arrow: usize,
    /// The box.
    pub spot: usize,
    /// How far it extends to the right of the box's x.
    pub out: f64,
}

/// Boxes and dummies in layers. Boxes come first and keep their numbers.
#[derive(Debug)]
pub struct Chains {
    /// Boxes, then dummies.
    pub spots: Vec<Spot>,
    /// Each layer, from left to right.
    pub layers: Vec<Vec<usize>>,
    /// The spots that each is connected to in the layer above.
    pub above: Vec<Vec<usize>>,
    /// The spots that each is connected to in the layer below.
    pub below: Vec<Vec<usize>>,
    /// The arrows between boxes.
    pub chains: Vec<Chain>,
    /// The arrows from boxes to themselves.
    pub loops: Vec<Loop>,
}

impl Chains {
    /// Only boxes, each in its layer.
    pub fn new(boxes: &[Size], layers: &[usize]) -> Chains {
        let count = layers.iter().max().map_or(0, |&last| 2 * last + 1);
        let mut chains = Chains {
            spots: Vec::new(),
            layers: vec![Vec::new(); count],
            above: Vec::new(),
            below: Vec::new(),
            chains: Vec::new(),
            loops: Vec::new(),
        };
        for (size, &layer) in boxes.iter().zip(layers) {
            let half = size.width / 2.0;
            chains.add(Spot {
                layer: 2 * layer,
                left: half,
                right: half,
                height: size.height,
                is_dummy: false,
            });
        }
        chains
    }

    /// The distance of two neighbours in a layer, from x to x.
    pub fn distance(&self, left: usize, right: usize) -> f64 {
        let (left, right) = (&self.spots[left], &self.spots[right]);
        let gap = if left.is_dummy || right.is_dummy { ARROW_GAP } else { BOX_GAP };
        left.right + gap + right.left
    }

    /// Adds arrows, each with its index. A layer gets labels up to a width of `limit`, as long as another
    /// layer can take the rest.
    pub fn add_arrows(&mut self, arrows: &[(usize, Arrow)], is_turned: &[bool], limit: f64) {
        let mut used = vec![0.0; self.layers.len()];
        let mut arrows: Vec<(usize, Arrow, bool)> = arrows
            .iter()
            .zip(is_turned)
            .map(|(&(index, arrow), &is_turned)| (index, arrow, is_turned))
            .collect();
        // Short arrows first: they have no choice where their labels go.
        let length =
            |arrow: &Arrow| self.spots[arrow.from].layer.abs_diff(self.spots[arrow.to].layer);
        arrows.sort_by_key(|(_, arrow, _)| length(arrow));
        for (index, arrow, is_turned) in arrows {
            if arrow.from == arrow.to {
                self.add_loop(index, arrow);
            } else {
                self.add_chain(index, arrow, is_turned, &mut used, limit);
            }
        }
    }

    fn add(&mut self, spot: Spot) -> usize {
        let number = self.spots.len();
        self.layers[spot.layer].push(number);
        self.spots.push(spot);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        number
    }

    fn add_loop(&mut self, index: usize, arrow: Arrow) {
        let spot = &mut self.spots[arrow.from];
        let out = spot.right + LOOP_WIDTH;
        spot.height = spot.height.max(arrow.label.map_or(0.0, |label| label.height));
        spot.right = out + arrow.label.map_or(0.0, |label| label.width + LABEL_INDENT);
        self.loops.push(Loop { arrow: index, spot: arrow.from, out });
    }

    fn add_chain(
        &mut self,
        index: usize,
        arrow: Arrow,
        is_turned: bool,
        used: &mut [f64],
        limit: f64,
    ) {
        let (upper, lower) =
            if is_turned { (arrow.to, arrow.from) } else { (arrow.from, arrow.to) };
        let passed = self.spots[upper].layer + 1..self.spots[lower].layer;
        let labelled = arrow.label.and_then(|label| {
            let width = label.width + LABEL_INDENT + ARROW_GAP;
            let mut choice: Vec<usize> = passed.clone().step_by(2).collect();
            if is_turned {
                choice.reverse();
            }
            let has_room = |layer: &&usize| used[**layer] + width <= limit;
            let least = || choice.iter().min_by(|a, b| used[**a].total_cmp(&used[**b]));
            let layer = choice.iter().find(has_room).or_else(least).copied();
            layer.inspect(|&layer| used[layer] += width)
        });
        let mut chain = Chain { arrow: index, spots: vec![upper], label: None, is_turned };
        for layer in passed {
            let label = arrow.label.filter(|_| Some(layer) == labelled);
            let spot = self.add(Spot {
                layer,
                left: 0.0,
                right: label.map_or(0.0, |label| label.width + LABEL_INDENT),
                height: label.map_or(0.0, |label| label.height),
                is_dummy: true,
            });
            if label.is_some() {
                chain.label = Some(spot);
            }
            chain.spots.push(spot);
        }
        chain.spots.push(lower);
        for pair in chain.spots.windows(2) {
            if let &[one, other] = pair {
                self.below[one].push(other);
                self.above[other].push(one);
            }
        }
        self.chains.push(chain);
    }
}
