//! A heap summary that was saved, damaged or made up: what can be read can be compared and written.
#![no_main]

use std::io::sink;

use leakspy::render::heap::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(summary) = json::read(bytes) else { return };
    let _ = json::write(&summary, None, &mut sink());
});
