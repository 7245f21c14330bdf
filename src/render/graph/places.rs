//! Places for the text of arrows: where the layout wants it, or as near as it lies upon nothing else.
//!
//! The layout leaves room for it in its row, but then straightens arrows and may push one text onto another.

/// How far apart the places are that are tried, in pixels, and so many of them in each direction.
const STEP: (f64, f64) = (9.0, 6.0);
const MOST_STEPS: i32 = 40;
/// What has less than this in common does not overlap, in pixels.
const TOUCH: f64 = 0.05;

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

impl Area {
    /// Whether two have more in common than an edge.
    pub fn overlaps(self, other: Area) -> bool {
        self.left + TOUCH < other.right
            && other.left + TOUCH < self.right
            && self.top + TOUCH < other.bottom
            && other.top + TOUCH < self.bottom
    }

    /// The same elsewhere.
    pub fn moved(self, (x, y): (f64, f64)) -> Area {
        Area {
            left: self.left + x,
            top: self.top + y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }
}

/// How far from where it is wanted something can be put, the nearest first.
pub fn offsets() -> Vec<(f64, f64)> {
    let steps = -MOST_STEPS..=MOST_STEPS;
    let place = |x, y| (f64::from(x) * STEP.0, f64::from(y) * STEP.1);
    let mut offsets: Vec<(f64, f64)> =
        steps.clone().flat_map(|x| steps.clone().map(move |y| place(x, y))).collect();
    offsets.sort_by(|one, other| one.0.hypot(one.1).total_cmp(&other.0.hypot(other.1)));
    offsets
}

/// How far an area has to go so that it does not lie upon what is `taken`; not at all if there is no room
/// anywhere near.
pub fn nearest_free(wanted: Area, taken: &[Area], offsets: &[(f64, f64)]) -> (f64, f64) {
    let is_free = |offset: &&(f64, f64)| {
        let area = wanted.moved(**offset);
        !taken.iter().any(|other| area.overlaps(*other))
    };
    offsets.iter().find(is_free).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_passed_on_the_shorter_side() {
        let area = |left, top, right, bottom| Area { left, top, right, bottom };
        let offsets = offsets();
        let free = |taken: &[Area]| nearest_free(area(0.0, 0.0, 30.0, 10.0), taken, &offsets);
        assert_eq!(free(&[]), (0.0, 0.0));
        assert_eq!(free(&[area(30.0, 0.0, 60.0, 10.0)]), (0.0, 0.0));
        assert_eq!(free(&[area(28.0, -50.0, 60.0, 50.0)]), (-9.0, 0.0));
        assert_eq!(free(&[area(-90.0, 5.0, 90.0, 20.0)]), (0.0, -6.0));
        assert_eq!(free(&[area(-1e4, -1e4, 1e4, 1e4)]), (0.0, 0.0));
    }
}
