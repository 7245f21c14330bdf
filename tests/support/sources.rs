//! The lines of fixtures, as leakspy should show them.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Asserts that a frame of a fixture comes with its line.
#[track_caller]
pub fn assert_has_source(frame: &Value) {
    let name = frame["file"].as_str().and_then(|file| Path::new(file).file_name());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name.expect("a file"));
    let text = fs::read_to_string(file).expect("a fixture");
    let line = frame["line"].as_u64().expect("a line") as usize;
    let line = text.lines().nth(line - 1).expect("the line").trim();
    assert_eq!(frame["source"], line, "{frame}");
}
