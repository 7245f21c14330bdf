//! `leakspy record` as a user runs it: each form is well-formed and agrees with the others, and each option
//! does what its help says.
//!
//! Tests that do not depend on the interpreter run with one of them, the forms with an old one and the
//! newest.

mod forms;
mod idle;
mod options;
mod paragraph;
mod stacks;

use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    Health, Interpreter, Recorded, Recording, Target, assert_documented, interpreters, missing,
};

/// Enough samples a second that no second of work can pass without one: that would take 16 times the mean
/// time between two bursts.
const RATE: &str = "1000";

pub fn trials() -> Vec<Trial> {
    [forms::trials(), idle::trials(), options::trials(), stacks::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// The file that a recording wrote, and how it ended.
struct Written {
    text: String,
    recorded: Recorded,
}

impl Written {
    /// The document; each of its keys must be documented.
    fn json(&self) -> Result<Value, Failed> {
        let document = serde_json::from_str(&self.text)?;
        assert_documented("`leakspy record --format json`", &document);
        Ok(document)
    }
}

/// Records a target until it has worked for a second of its own time, then tells it to end.
fn record(target: &mut Target, options: &[&str]) -> Result<Written, Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile");
    let path = file.to_str().expect("UTF-8");
    let all = [&["--rate", RATE, "--output", path], options].concat();
    let mut recording = Recording::attach(target.pid(), &all);
    recording.wait_until_begun();
    work_for_a_second(target.pid());
    recording.signal(Signal::SIGINT);
    let recorded = recording.end();
    recorded.assert_success();
    target.assert_healthy();
    let text = fs::read_to_string(&file)?;
    let names: Vec<_> = fs::read_dir(folder.path())?.collect();
    assert_eq!(names.len(), 1, "beside the file: {names:?}");
    Ok(Written { text, recorded })
}

fn work_for_a_second(pid: i32) {
    for _ in 0..10 {
        Health::assert_runs_on(pid);
    }
}

/// The command line of a target, its words joined by spaces.
fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).expect("it is there");
    let line = String::from_utf8(line).expect("UTF-8");
    line.trim_end_matches('\0').replace('\0', " ")
}

fn version(interpreter: &Interpreter) -> String {
    interpreter.version.map(|number| number.to_string()).join(".")
}

/// A trial with one interpreter, by name.
fn once(name: &str, test: fn(&'static Interpreter) -> Result<(), Failed>) -> Trial {
    let name = name.to_owned();
    match interpreters().iter().rev().find(|it| it.version[1] == 12).or(interpreters().last()) {
        Some(interpreter) => Trial::test(name, move || test(interpreter)),
        None => missing(name, "there is no interpreter: see fixtures/fetch"),
    }
}

/// Whole numbers of an estimate, as `indicatif` writes them: `1,466,766`.
fn number(text: &str) -> Result<f64, Failed> {
    Ok(text.replace(',', "").parse()?)
}

/// The objects in an array.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}
