//! A timeline: the samples of each process in order, and queries on them.

use rustc_hash::FxHashMap;

use super::sample::{Measure, Sample, Who};
use super::slope::Trend;

/// The samples of one process, or of the sum over all.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The process.
    pub who: Who,
    /// In order of time; at least one.
    pub samples: Vec<Sample>,
}

/// The samples of processes over some time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// The sum over all first, then each process in order of its PID.
    pub series: Vec<Series>,
    places: FxHashMap<Who, usize>,
}

/// The largest value of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// When, in seconds since 1970.
    pub time: f64,
    /// How much, in bytes.
    pub bytes: u64,
}

impl Timeline {
    /// Adds a sample. Invalid times and sizes are left out.
    pub(super) fn add(&mut self, sample: Sample) {
        if !sample.time_s.is_finite() {
            return;
        }
        let who = sample.who();
        let place = *self.places.entry(who).or_insert_with(|| {
            self.series.push(Series { who, samples: Vec::new() });
            self.series.len() - 1
        });
        if let Some(series) = self.series.get_mut(place) {
            series.samples.push(sample);
        }
    }

    /// Sorts everything.
    pub(super) fn finish(&mut self) {
        for series in &mut self.series {
            series.samples.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
        }
        self.series.sort_by_key(|series| series.who);
        self.places =
            self.series.iter().enumerate().map(|(place, series)| (series.who, place)).collect();
    }

    /// When the first sample was taken, in seconds since 1970.
    pub fn begin(&self) -> f64 {
        let times = self.series.iter().filter_map(|series| series.samples.first());
        times.map(|sample| sample.time_s).reduce(f64::min).unwrap_or_default()
    }

    /// The samples from `from` to `to` seconds after the first.
    pub fn part(mut self, from: Option<f64>, to: Option<f64>) -> Timeline {
        let begin = self.begin();
        let range = from.unwrap_or(f64::NEG_INFINITY)..=to.unwrap_or(f64::INFINITY);
        for series in &mut self.series {
            series.samples.retain(|sample| range.contains(&(sample.time_s - begin)));
        }
        self.series.retain(|series| !series.samples.is_empty());
        self.finish();
        self
    }

    /// The series that stands for the whole: the sum over all, or the first process where there is none.
    pub fn whole(&self) -> Option<&Series> {
        self.series.first()
    }
}

impl Series {
    /// Its last command line.
    pub fn command(&self) -> &str {
        self.samples.last().map(|sample| &*sample.command).unwrap_or_default()
    }

    /// A figure over time: seconds since 1970, and bytes.
    pub fn points(&self, measure: Measure) -> impl Iterator<Item = (f64, u64)> {
        self.samples.iter().filter_map(move |sample| Some((sample.time_s, sample.bytes(measure)?)))
    }

    /// The largest value of a figure, when it was first reached.
    pub fn peak(&self, measure: Measure) -> Option<Peak> {
        let peaks = self.points(measure).map(|(time, bytes)| Peak { time, bytes });
        peaks.reduce(|most, next| if next.bytes > most.bytes { next } else { most })
    }

    /// How a figure grows.
    pub fn trend(&self, measure: Measure) -> Option<Trend> {
        let points: Vec<(f64, f64)> =
            self.points(measure).map(|(time, bytes)| (time, bytes as f64)).collect();
        Trend::of(&points)
    }

    /// The times at which new collections of the old generation were first seen, in seconds since 1970.
    pub fn full_collections(&self) -> impl Iterator<Item = f64> {
        let counts = self.samples.iter().filter_map(|s| Some((s.time_s, s.collections_2?)));
        let mut last = None;
        counts.filter_map(move |(time, count)| {
            let before = last.replace(count);
            before.is_some_and(|before| before != count).then_some(time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_first_of_the_highest() {
        let mut timeline = Timeline::default();
        for (time_s, rss_bytes) in [(1.0, 5), (4.0, 3), (2.0, 9), (3.0, 9)] {
            timeline.add(Sample { time_s, pid: 1, rss_bytes, ..Sample::default() });
        }
        timeline.finish();
        let peak = timeline.whole().and_then(|series| series.peak(Measure::Rss));
        assert_eq!(peak, Some(Peak { time: 2.0, bytes: 9 }));
    }
}
