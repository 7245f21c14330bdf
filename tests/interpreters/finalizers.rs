//! A garbage collection that does not finish, because a finalizer that it called does not return: every command
//! looks all the same, says so and names the finalizer.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, cases, interpreters, leakspy, wait_until,
};

/// What is said if a capture did not wait for the end of a collection.
const UNFINISHED: &str = "has not finished for";

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("finalizer_sleeps", |it| the_heap_is_told(it, "sleeps"));
    trials.extend(cases("finalizer_ends", |it| the_heap_is_told(it, "ends")));
    trials.extend(cases("finalizer_waits", a_hunt_names_the_finalizer));
    let some = interpreters().last().expect("an interpreter");
    type Test = fn(&'static Interpreter) -> Result<(), Failed>;
    let others: [(&str, Test); 3] = [
        ("finalizer_spins", |it| the_heap_is_told(it, "spins")),
        ("finalizer_commands", the_other_commands_go_on_too),
        ("finalizer_returns", one_that_returns_is_not_told),
    ];
    for (name, test) in others {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials
}

/// The line of the fixture on which the finalizer stays.
fn line(way: &str) -> Result<usize, Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/finalizers.py");
    let source = std::fs::read_to_string(file)?;
    let mark = format!("# blocks: {way}");
    Ok(source.lines().position(|line| line.ends_with(&mark)).ok_or("no mark")? + 1)
}

/// The fixture, once its finalizer has been called.
fn start(interpreter: &Interpreter, way: &str) -> Target {
    let target = Target::start(interpreter, "finalizers", &[way]);
    let pid = target.pid().to_string();
    wait_until("the finalizer runs", || {
        let output = leakspy(["dump", "--nonblocking", "--json", "--pid", &pid]);
        String::from_utf8_lossy(&output.stdout).contains("__del__")
    });
    target
}

fn the_heap_is_told(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let target = start(interpreter, way);
    let output = leakspy(["heap", "--json", "--pid", &target.pid().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let of_type = |name: &str| {
        let types = document["types"].as_array().expect("an array");
        types.iter().find(|it| it["type"] == name).map_or(0, |it| it["count"].as_u64().unwrap_or(0))
    };
    assert!(of_type("bytearray") >= 1000, "{document:#}");
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(UNFINISHED), "{said}");
    assert!(said.contains(&format!("__del__ (fixtures/finalizers.py:{})", line(way)?)), "{said}");
    assert!(target.health().is_good(), "{:?}", target.health());
    Ok(())
}

fn the_other_commands_go_on_too(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = start(interpreter, "waits");
    let pid = target.pid().to_string();
    for words in [&["mem"][..], &["record", "--output", "/dev/null"], &["why", "bytearray"]] {
        let output = leakspy(words.iter().chain(&["--pid", &pid]));
        assert!(output.status.success(), "{words:?}: {output:?}");
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains(UNFINISHED) && said.contains("__del__ ("), "{words:?}: {said}");
    }
    target.assert_healthy();
    Ok(())
}

fn hunt(target: &Target) -> Result<Value, Failed> {
    let output = leakspy(["hunt", "--json", "-d", "8", "--pid", &target.pid().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

/// Garbage piles up meanwhile: the finalizer is the reason.
fn a_hunt_names_the_finalizer(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = start(interpreter, "waits");
    let document = hunt(&target)?;
    let stack = &document["blocked_collector"]["stack"];
    assert_eq!(stack[0]["line"], line("waits")?, "{document:#}");
    assert!(document["blocked_collector"]["for_s"].as_f64() > Some(1.0), "{document:#}");
    let findings = document["findings"].as_array().expect("an array");
    assert_eq!(findings.len(), 1, "{document:#}");
    assert_eq!(findings[0]["kind"], "garbage", "{document:#}");
    assert!(findings[0]["hint"].as_str().is_some_and(|it| it.contains("__del__")), "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn one_that_returns_is_not_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "finalizers", &["returns"]);
    let output = leakspy(["heap", "--pid", &target.pid().to_string()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let document = hunt(&target)?;
    assert_eq!(document.get("blocked_collector"), None, "{document:#}");
    assert_eq!(document["findings"].as_array().map(Vec::len), Some(0), "{document:#}");
    target.assert_healthy();
    Ok(())
}
