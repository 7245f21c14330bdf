//! A condition of `leakspy watch`: a figure of a process, of its descendants or of its control group above a
//! limit.

use std::collections::VecDeque;
use std::time::Duration;

use super::pace::Pace;
use super::sample::Sample;
use super::slope::{Trend, TrendKind};
use super::trigger::{Edge, Trigger};

/// Of the time over which growth is measured, so much must have passed.
const WINDOW_LEAST: f64 = 0.8;

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A resident set of more than so many bytes.
    Rss(u64),
    /// A resident set that grows by more than so many bytes a second, over so much time.
    Growth {
        /// Bytes a second.
        per_second: f64,
        /// What the growth is measured over.
        window: Duration,
    },
    /// More than so many bytes in the arenas of Python's allocator.
    Arenas(u64),
    /// More than this part of what the control group may have.
    Group(f64),
    /// More than so many objects of a type.
    Objects {
        /// The type: `module.qualname`, or the name alone.
        kind: String,
        /// How many.
        count: u64,
        /// How often they are counted, at most: that pauses the process.
        every: Duration,
    },
}

/// A condition, and how far it is.
#[derive(Debug)]
pub struct Watched {
    /// What is waited for.
    pub condition: Condition,
    trigger: Trigger,
    window: VecDeque<(f64, f64)>,
    pace: Pace,
}

/// What there is to look at.
pub struct Now<'a> {
    /// The process, or the sum over its tree.
    pub sample: &'a Sample,
    /// What part of its limit the control group has used.
    pub group: &'a dyn Fn() -> Option<f64>,
    /// How many objects there are of a type.
    pub objects: &'a dyn Fn(&str) -> Option<u64>,
}

impl Watched {
    /// Begins to wait for a condition.
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

    /// Looks at what there is: what has happened, and the figure. `None` where there is no figure now.
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

/// How much the resident set has grown by the second, over a window; 0 where it did not for sure.
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
