//! A file of samples, leakspy's own or memory_profiler's, that is damaged or invented: whatever can be read
//! can be drawn.
#![no_main]

use leakspy::render::chart::{Run, Scales, svg};
use leakspy::timeline::{self, Measure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(timeline) = timeline::read(bytes) else { return };
    assert!(!timeline.series.is_empty());
    for series in &timeline.series {
        let _ = (series.peak(Measure::Rss), series.trend(Measure::Rss));
    }
    let runs = [Run { name: "a file", timeline: &timeline }];
    for scales in [Scales::default(), Scales { from_zero: true, clock: true }] {
        let _ = svg(&runs, Measure::Rss, scales);
    }
    let _ = timeline.part(Some(0.5), Some(2.0));
});
