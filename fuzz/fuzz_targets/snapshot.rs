//! A snapshot file whose columns were changed: every question has an answer or an error.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/interpreters/snapshot/crafted.rs"]
mod crafted;
use crafted::{Change, Columns, ask};

#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<[u64; 4]>,
}

/// The file that is changed: `fuzz/run` takes it from a Python.
static WHOLE: LazyLock<Columns> = LazyLock::new(|| {
    Columns::read(Path::new("seeds/heap.leakspy")).expect("fuzz/run has written it")
});
/// Where the changed file is.
static CRAFTED: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("crafted-{}.leakspy", std::process::id())));

fuzz_target!(|input: Input| {
    let mut columns = WHOLE.clone();
    for [column, kind, place, value] in input.changes {
        columns.change(Change { column, kind, place, value });
    }
    columns.write(&CRAFTED).expect("there is room");
    let _ = ask(&CRAFTED, None);
});
