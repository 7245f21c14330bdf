//! A condition of `leakspy watch`: a figure of a process, of its descendants or of its control group above a
//! limit.

use std::collections::VecDeque;
use std::time::Duration;

use super::pace::Pace;
use super::sample::Sample;
use super::slope::{Trend, TrendKind};
use super::trigger::{Edge, Trigger};

/// The part of the window that must have passed before growth is measured.
const WINDOW_LEAST: f64 = 0.8;

/// What to wait for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A resident set of more than this many bytes.
    Rss(u64),
    /// A resident set that grows faster than this over the window.
    Growth {
        /// Bytes a second.
        per_second: f64,
        /// The time over which growth is measured.
        window: Duration,
    },
    /// More than this many bytes in the arenas of Python's allocator.
    Arenas(u64),
    /// A control group that uses more than this part of its limit.
    Group(f64),
    /// More than this many objects of a type.
    Objects {
        /// The type: `module.qualname`, or the name alone.
        kind: String,
        /// The number of objects.
        count: u64,
        /// The shortest time between two counts: each pauses the process.
        every: Duration,
    },
}

/// A condition and its state.
#[derive(Debug)]
pub struct Watched {
    /// What to wait for.
    pub condition: Condition,
    trigger: Trigger,
    window: VecDeque<(f64, f64)>,
    pace: Pace,
}

/// The current figures.
pub struct Now<'a> {
    /// The process, or the sum over its tree.
    pub sample: &'a Sample,
    /// The part of its limit that the control group uses.
    pub group: &'a dyn Fn() -> Option<f64>,
    /// The number of objects of a type.
    pub objects: &'a dyn Fn(&str) -> Option<u64>,
}

impl Watched {
    /// Starts watching a condition.
    pub fn new(condition: Condition) -> Watched {
        let (limit, every) = match condition {
            Condition::Rss(bytes) | Condition::Arenas(bytes) => (bytes as f64, Duration::ZERO),
            Condition::Growth { per_second, .. } => (per_second, Duration::ZERO),
            Condition::Group(part) => (part, Duration::ZERO),
            Condition::Objects { count, every, .. } => (count as f64, every),
        };
        Watched {
            condition,
            trigger: Trigger::new(limit),
            window: VecDeque::new(),
            pace: Pace::new(every),
        }
    }

    /// Checks the condition: what has happened, and the figure. `None` if there is no figure now.
    pub fn see(&mut self, now: &Now<'_>) -> Option<(Edge, f64)> {
        let figure = match &self.condition {
            Condition::Rss(_) => now.sample.rss_bytes as f64,
            Condition::Arenas(_) => now.sample.arena_bytes? as f64,
            Condition::Group(_) => (now.group)()?,
            Condition::Objects { kind, .. } => {
                let count = self.pace.when_due(|| (now.objects)(kind))?;
                count? as f64
            }
            Condition::Growth { window, .. } => {
                let window = window.as_secs_f64();
                growth(&mut self.window, window, now.sample)?
            }
        };
        Some((self.trigger.see(figure), figure))
    }
}

/// The growth of the resident set over a window, in bytes a second; 0 unless it certainly grew.
fn growth(points: &mut VecDeque<(f64, f64)>, window: f64, sample: &Sample) -> Option<f64> {
    let now = sample.time_s;
    points.push_back((now, sample.rss_bytes as f64));
    while points.front().is_some_and(|point| point.0 < now - window) {
        points.pop_front();
    }
    let begin = points.front()?.0;
    if now - begin < window * WINDOW_LEAST {
        return None;
    }
    let trend = Trend::of(points.make_contiguous())?;
    Some(if trend.kind == TrendKind::Grows { trend.slope } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(watched: &mut Watched, of: impl Fn(f64) -> u64) -> Vec<f64> {
        let mut crossed = Vec::new();
        for tick in 0..600 {
            let time_s = f64::from(tick) / 10.0;
            let sample = Sample { time_s, rss_bytes: of(time_s), ..Sample::default() };
            let now = Now { sample: &sample, group: &|| None, objects: &|_| None };
            if let Some((Edge::Crossed, _)) = watched.see(&now) {
                crossed.push(time_s);
            }
        }
        crossed
    }

    #[test]
    fn growth_is_noticed_within_its_window_and_once() {
        let condition = Condition::Growth { per_second: 1e6, window: Duration::from_secs(10) };
        let mut watched = Watched::new(condition.clone());
        let grows = |time: f64| 50_000_000 + (3e6 * (time - 20.0).max(0.0)) as u64;
        let crossed = edges(&mut watched, grows);
        assert!(matches!(*crossed, [time] if (20.0..30.0).contains(&time)), "{crossed:?}");
        let one_step = |time| if time < 20.0 { 50_000_000 } else { 55_000_000 };
        let slow = |time: f64| 50_000_000 + (5e5 * time) as u64;
        assert!(edges(&mut Watched::new(condition.clone()), slow).is_empty());
        assert!(edges(&mut Watched::new(condition), one_step).is_empty());
    }

    #[test]
    fn a_limit_is_crossed_when_it_is() {
        let mut watched = Watched::new(Condition::Rss(60_000_000));
        let crossed = edges(&mut watched, |time| 50_000_000 + (1e6 * time) as u64);
        assert_eq!(crossed, [10.1]);
    }
}
