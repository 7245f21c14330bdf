//! A file of samples, leakspy's own or memory_profiler's, that is damaged or made up.
#![no_main]

use leakspy::timeline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(timeline) = timeline::read(bytes) else { return };
    assert!(!timeline.series.is_empty());
});
