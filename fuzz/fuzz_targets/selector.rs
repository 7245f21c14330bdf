//! The text with which a user selects objects.
#![no_main]

use leakspy::heap::Selector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = text.parse::<Selector>();
});
