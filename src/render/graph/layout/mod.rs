//! A layered layout of a directed graph: where its boxes, arrows and labels go.
//!
//! The method is Sugiyama's: arrows point down, boxes are in layers, and few arrows cross. Every arrow has a
//! place of its own in each layer that it passes, so an arrow never runs through a box or a label, and those
//! never overlap. The result depends on the input alone. Nothing here knows what is drawn or how.
//!
//! | file | step |
//! |---|---|
//! | `cycles` | turns as few arrows as possible around, so that no cycle is left |
//! | `layers` | gives each box a layer below those that refer to it, and breaks layers that are too wide |
//! | `chains` | makes each arrow a chain of dummies, one in each layer between its ends; labels are dummies too |
//! | `order` | orders each layer so that few arrows cross |
//! | `coordinates` | gives each box and dummy an x, so that arrows are nearly vertical |
//! | `routes` | gives each layer a y, and turns chains into curves |
//!
//! Indices into slices are numbers made here, or checked on entry.

mod chains;
mod coordinates;
mod cycles;
mod layers;
mod order;
mod routes;

use chains::Chains;

/// The maximum number of boxes.
pub const MOST_BOXES: usize = 500;
/// The maximum number of arrows: more are unreadable.
pub const MOST_ARROWS: usize = 1500;
/// The maximum number of dummies in all: it bounds the time of the layout.
const MOST_DUMMIES: usize = 40_000;
/// The minimum free space beside boxes, and beside arrows and labels, in pixels.
const BOX_GAP: f64 = 24.0;
const ARROW_GAP: f64 = 9.0;
/// A layer is broken up when it is wider than this, in pixels, and than [`ASPECT`] asks for.
const LEAST_LIMIT: f64 = 1500.0;
/// The approximate width of a large picture over its height.
const ASPECT: f64 = 1.5;
/// The height that [`ASPECT`] assumes for the space between two layers of boxes, in pixels.
const TYPICAL_GAP: f64 = 70.0;

/// The size of a box or a label, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// A place, in pixels; y grows downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left edge.
    pub x: f64,
    /// From the upper edge.
    pub y: f64,
}

/// A rectangle, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// The least x.
    pub left: f64,
    /// The least y.
    pub top: f64,
    /// The largest x.
    pub right: f64,
    /// The largest y.
    pub bottom: f64,
}

/// An arrow to be laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrow {
    /// The index of the box at its start.
    pub from: usize,
    /// The index of the box at its tip, which may be the same: each box has at most one such arrow.
    pub to: usize,
    /// The size of its label, if it has one.
    pub label: Option<Size>,
}

/// A piece of an arrow's line, from where the piece before it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Piece {
    /// A straight line.
    Line(Point),
    /// A cubic Bézier curve: two control points and the end.
    Curve(Point, Point, Point),
}

/// The path of an arrow.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Where it leaves its box.
    pub start: Point,
    /// Its line; the last piece ends at the other box.
    pub pieces: Vec<Piece>,
    /// Where its label goes.
    pub label: Option<Area>,
}

/// The place of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The boxes, in their order.
    pub boxes: Vec<Area>,
    /// The arrows, in their order; `None` for one with a box that does not exist.
    pub arrows: Vec<Option<Route>>,
    /// The size of the picture, which begins at (0, 0).
    pub size: Size,
}

/// There is too much to lay out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{boxes} boxes with {arrows} arrows between them are too many to draw")]
pub struct TooLarge {
    /// The number of boxes.
    pub boxes: usize,
    /// The number of arrows.
    pub arrows: usize,
}

/// Finds a place for everything.
///
/// # Errors
///
/// If there is more than can be read when drawn, or laid out quickly.
pub fn lay_out(boxes: &[Size], arrows: &[Arrow]) -> Result<Layout, TooLarge> {
    let too_large = TooLarge { boxes: boxes.len(), arrows: arrows.len() };
    if boxes.len() > MOST_BOXES || arrows.len() > MOST_ARROWS {
        return Err(too_large);
    }
    let between: Vec<(usize, Arrow)> = arrows
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, arrow)| arrow.from.max(arrow.to) < boxes.len())
        .collect();
    let ends: Vec<(usize, usize)> =
        between.iter().map(|(_, arrow)| (arrow.from, arrow.to)).collect();
    let is_turned = cycles::turned(boxes.len(), &ends);
    let downwards: Vec<(usize, usize)> = ends
        .iter()
        .zip(&is_turned)
        .map(|(&(from, to), &is_turned)| if is_turned { (to, from) } else { (from, to) })
        .collect();
    let limit = width_limit(boxes);
    let layers = layers::assign(boxes, &downwards, limit);
    let dummies: usize = downwards
        .iter()
        .map(|&(upper, lower)| (2 * (layers[lower] - layers[upper])).saturating_sub(1))
        .sum();
    if dummies > MOST_DUMMIES {
        return Err(too_large);
    }
    let mut chains = Chains::new(boxes, &layers);
    chains.add_arrows(&between, &is_turned, limit);
    order::order(&mut chains);
    let x = coordinates::assign(&chains);
    Ok(routes::draw(&chains, &x, boxes, arrows))
}

/// The width up to which a layer is not broken up, in pixels.
fn width_limit(boxes: &[Size]) -> f64 {
    let cell = |size: &Size| (size.width + BOX_GAP) * (size.height + TYPICAL_GAP);
    let area: f64 = boxes.iter().map(cell).sum();
    (area * ASPECT).sqrt().max(LEAST_LIMIT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Areas with less than this in common do not overlap, in pixels.
    const TOUCH: f64 = 0.01;

    impl Area {
        fn overlaps(&self, other: &Area) -> bool {
            self.left + TOUCH < other.right
                && other.left + TOUCH < self.right
                && self.top + TOUCH < other.bottom
                && other.top + TOUCH < self.bottom
        }

        fn has(&self, point: Point) -> bool {
            (self.left + TOUCH..self.right - TOUCH).contains(&point.x)
                && (self.top + TOUCH..self.bottom - TOUCH).contains(&point.y)
        }
    }

    impl Route {
        /// Points on the line, both ends included, close to each other.
        fn points(&self) -> Vec<Point> {
            let mut points = vec![self.start];
            let mut at = self.start;
            for piece in &self.pieces {
                let (one, other, end) = match *piece {
                    Piece::Line(end) => (at, end, end),
                    Piece::Curve(one, other, end) => (one, other, end),
                };
                points.extend((1..=20).map(|part| {
                    let t = f64::from(part) / 20.0;
                    let u = 1.0 - t;
                    let mix = |a: f64, b: f64, c: f64, d: f64| {
                        u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d
                    };
                    Point {
                        x: mix(at.x, one.x, other.x, end.x),
                        y: mix(at.y, one.y, other.y, end.y),
                    }
                }));
                at = end;
            }
            points
        }
    }

    /// The first fault of a layout.
    fn fault(boxes: &[Size], arrows: &[Arrow], layout: &Layout) -> Option<String> {
        let size = |area: &Area| (area.right - area.left, area.bottom - area.top);
        let is_near = |one: f64, other: f64| (one - other).abs() < TOUCH;
        let has_size = |area: &Area, wanted: &Size| {
            is_near(size(area).0, wanted.width) && is_near(size(area).1, wanted.height)
        };
        if layout.boxes.len() != boxes.len() || layout.arrows.len() != arrows.len() {
            return Some("something is missing".into());
        }
        if let Some((area, _)) =
            layout.boxes.iter().zip(boxes).find(|(area, size)| !has_size(area, size))
        {
            return Some(format!("{area:?} has another size"));
        }
        let mut solid: Vec<Area> = layout.boxes.clone();
        for (arrow, route) in arrows.iter().zip(&layout.arrows) {
            let Some(route) = route else { return Some(format!("{arrow:?} has no way")) };
            match (arrow.label, route.label) {
                (None, None) => {}
                (Some(size), Some(area)) if has_size(&area, &size) => solid.push(area),
                other => return Some(format!("{other:?} is no place for a label")),
            }
        }
        let whole =
            Area { left: 0.0, top: 0.0, right: layout.size.width, bottom: layout.size.height };
        for (index, one) in solid.iter().enumerate() {
            if let Some(other) = solid.iter().skip(index + 1).find(|other| one.overlaps(other)) {
                return Some(format!("{one:?} lies upon {other:?}"));
            }
            if one.left < -TOUCH
                || one.top < -TOUCH
                || one.right > whole.right + TOUCH
                || one.bottom > whole.bottom + TOUCH
            {
                return Some(format!("{one:?} leaves {whole:?}"));
            }
        }
        for (arrow, route) in arrows.iter().zip(layout.arrows.iter().flatten()) {
            let points = route.points();
            let upon = points.iter().find(|point| solid.iter().any(|area| area.has(**point)));
            if let Some(point) = upon {
                return Some(format!("{arrow:?} runs through something at {point:?}"));
            }
            let on_edge = |point: Option<&Point>, spot: usize| {
                let (Some(point), Some(area)) = (point, layout.boxes.get(spot)) else {
                    return false;
                };
                let inside = (area.left..=area.right).contains(&point.x)
                    && (area.top - TOUCH..=area.bottom + TOUCH).contains(&point.y);
                inside && !area.has(*point)
            };
            if !on_edge(points.first(), arrow.from) || !on_edge(points.last(), arrow.to) {
                return Some(format!("{arrow:?} does not end at its boxes: {route:?}"));
            }
        }
        None
    }

    #[track_caller]
    fn assert_laid_out(boxes: &[Size], arrows: &[Arrow]) -> Layout {
        let layout = lay_out(boxes, arrows).expect("it is not too large");
        assert_eq!(fault(boxes, arrows, &layout), None);
        assert_eq!(lay_out(boxes, arrows).as_ref(), Ok(&layout));
        layout
    }

    const BOX: Size = Size { width: 140.0, height: 46.0 };
    const LABEL: Option<Size> = Some(Size { width: 30.0, height: 14.0 });

    fn all_to_all(count: usize) -> Vec<Arrow> {
        let others = |from| (0..count).filter(move |&to| to != from);
        let arrow = |from| others(from).map(move |to| Arrow { from, to, label: LABEL });
        (0..count).flat_map(arrow).collect()
    }

    fn sizes() -> impl Strategy<Value = Size> {
        (1.0..300.0_f64, 1.0..90.0_f64).prop_map(|(width, height)| Size { width, height })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Nothing overlaps, and arrows go from box to box without running through anything.
        #[test]
        fn everything_has_a_place_of_its_own(
            boxes in prop::collection::vec(sizes(), 1..40),
            ends in prop::collection::vec(
                (0..40_usize, 0..40_usize, prop::option::of(sizes())), 0..80),
        ) {
            let arrow = |(from, to, label)| Arrow {
                from: from % boxes.len(),
                to: to % boxes.len(),
                label,
            };
            let mut arrows: Vec<Arrow> = ends.into_iter().map(arrow).collect();
            let mut is_looped = vec![false; boxes.len()];
            arrows.retain(|arrow| {
                let is_loop = arrow.from == arrow.to;
                !is_loop || !std::mem::replace(&mut is_looped[arrow.from], true)
            });
            let layout = lay_out(&boxes, &arrows).expect("it is not too large");
            let fault = fault(&boxes, &arrows, &layout);
            prop_assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        }
    }

    #[test]
    fn twenty_boxes_that_all_refer_to_each_other_are_laid_out() {
        assert_laid_out(&[BOX; 20], &all_to_all(20));
    }

    #[test]
    fn a_hundred_boxes_are_no_wider_than_needed() {
        let star: Vec<Arrow> = (1..100).map(|from| Arrow { from, to: 0, label: LABEL }).collect();
        let layout = assert_laid_out(&[BOX; 100], &star);
        assert!(layout.size.width < 4000.0, "{:?}", layout.size);
        let top = |index: usize| layout.boxes.get(index).map(|area| area.top);
        assert!((1..100).all(|referrer| top(referrer) < top(0)));
    }

    #[test]
    fn as_many_as_are_allowed_are_laid_out_and_more_are_refused() {
        // Each refers to its multiples and so on, modulo the number of boxes.
        let arrow = |number: usize| Arrow {
            from: number % MOST_BOXES,
            to: (number * 7 + number / MOST_BOXES * 31 + 1) % MOST_BOXES,
            label: LABEL,
        };
        let arrows: Vec<Arrow> = (0..=MOST_ARROWS).map(arrow).collect();
        let boxes = [BOX; MOST_BOXES + 1];
        let [allowed, more] = [&boxes[1..], &boxes];
        match lay_out(allowed, &arrows[1..]) {
            Ok(layout) => assert_eq!(fault(allowed, &arrows[1..], &layout), None),
            Err(error) => assert_eq!(error, TooLarge { boxes: MOST_BOXES, arrows: MOST_ARROWS }),
        }
        let refused = TooLarge { boxes: MOST_BOXES, arrows: MOST_ARROWS + 1 };
        assert_eq!(lay_out(allowed, &arrows), Err(refused));
        assert_eq!(lay_out(more, &[]), Err(TooLarge { boxes: MOST_BOXES + 1, arrows: 0 }));
        assert_laid_out(allowed, &[]);
    }

    #[test]
    fn a_chain_is_straight_and_what_closes_a_cycle_points_up() {
        let arrow = |from, to| Arrow { from, to, label: None };
        let arrows = [arrow(0, 1), arrow(1, 2), arrow(2, 0), arrow(9, 0)];
        let layout = lay_out(&[BOX; 3], &arrows).expect("it is not too large");
        let tops: Vec<f64> = layout.boxes.iter().map(|area| area.top).collect();
        assert!(tops.is_sorted_by(|one, other| one < other), "{tops:?}");
        let ends = |index: usize| {
            let points = layout.arrows.get(index).and_then(Option::as_ref).map(Route::points);
            points.and_then(|points| Some((points.first()?.y, points.last()?.y)))
        };
        assert!(ends(0).is_some_and(|(from, to)| from < to));
        assert!(ends(2).is_some_and(|(from, to)| from > to));
        assert_eq!(layout.arrows.last(), Some(&None));
    }
}
