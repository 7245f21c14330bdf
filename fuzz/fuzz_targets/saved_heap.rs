//! A saved heap summary that is damaged or invented: whatever can be read can be printed and compared.
#![no_main]

use leakspy::heap::Summary;
use leakspy::heap::figures::changes::changes;
use leakspy::render::heap::table::{Columns, Sort};
use leakspy::render::heap::{json, table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(summary) = json::read(bytes) else { return };
    let columns = Columns { group: "type", top: 2, sort: Some(Sort::Count), own: true };
    let _ = table::write(&summary, columns, &mut Vec::new());
    let _ = json::write(&summary, Some(std::slice::from_ref(&summary)), &mut Vec::new());
    let Some(twice) = Summary::together(&[summary.clone(), summary.clone()]) else { return };
    let found = changes(&summary.types, &twice.types);
    let _ = table::write_changes(&summary, &twice, &found, columns, &mut Vec::new());
    let _ = json::write_changes(&summary, &twice, &found, &mut Vec::new());
});
