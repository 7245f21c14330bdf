//! The history of a figure that is sampled without end: its last values, and enough of the earlier ones to
//! compute its slope.

use std::collections::VecDeque;

use super::series::Peak;
use super::slope::Trend;

/// How many of the last values are kept.
const LAST: usize = 40;
/// Beyond this many points every other one is dropped.
const MOST: usize = 8192;

/// The remembered values of a figure.
#[derive(Debug, Clone, Default)]
pub struct History {
    last: VecDeque<f64>,
    points: Vec<(f64, f64)>,
    /// One in `2^stride` values is kept as a point; `seen` counts all values.
    stride: u32,
    seen: u64,
    peak: Option<Peak>,
}

impl History {
    /// Adds a value: seconds, and bytes.
    pub fn add(&mut self, time: f64, bytes: u64) {
        if self.peak.is_none_or(|peak| bytes > peak.bytes) {
            self.peak = Some(Peak { time, bytes });
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(bytes as f64);
        if self.seen.trailing_zeros() >= self.stride {
            self.points.push((time, bytes as f64));
            if self.points.len() > MOST {
                let mut number = 0;
                self.points.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.stride += 1;
            }
        }
        self.seen += 1;
    }

    /// The last values, in bytes.
    pub fn last(&self) -> impl DoubleEndedIterator<Item = f64> + Clone {
        self.last.iter().copied()
    }

    /// The largest value.
    pub fn peak(&self) -> Option<Peak> {
        self.peak
    }

    /// How it has grown since the beginning.
    pub fn trend(&self) -> Option<Trend> {
        Trend::of(&self.points)
    }

    /// The number of values added.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_is_thinned_and_stays_right() {
        let mut history = History::default();
        for tick in 0..200_000_u64 {
            history.add(tick as f64 / 10.0, 1_000_000 + 500 * tick);
        }
        assert!(history.points.len() <= MOST);
        let steps = history.points.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(steps.clone().all(|step| (step - 6.4).abs() < 1e-6 || (step - 3.2).abs() < 1e-6));
        let trend = history.trend().expect("there are points");
        assert!((trend.slope - 5000.0).abs() < 1e-3, "{trend:?}");
        assert_eq!(history.peak().map(|peak| peak.bytes), Some(1_000_000 + 500 * 199_999));
        assert_eq!((history.last().count(), history.seen()), (LAST, 200_000));
    }
}
