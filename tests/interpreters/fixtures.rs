//! The basis of all other tests: each promised version is present, and the fixtures tell the truth.

use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::support::{Health, Interpreter, Target, cases, required_versions, wait_until};

pub fn trials() -> Vec<Trial> {
    let mut trials = required_versions();
    trials.extend(cases("stacks", stacks_stand_still));
    trials.extend(cases("allocation_sites", shares_add_up));
    trials.extend(cases("busy", work_is_counted));
    trials.extend(cases("family", threads_children_and_images_change));
    trials.extend(cases("names", fixtures_hide_no_module));
    trials
}

/// The witness answers for the process that the test started, and gives the same answer twice: it can be
/// compared with a reading from outside at another moment.
fn stacks_stand_still(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let described = target.ask("describe");
    assert_eq!(described["pid"], target.pid());
    assert_eq!(described["version"], json!(interpreter.version));

    let mut once = target.ask("stacks");
    let mut again = target.ask("stacks");
    for answer in [&mut once, &mut again] {
        let threads = answer.as_array_mut().expect("stacks are a list");
        threads.retain(|thread| thread["witness"] == false);
        assert!(threads.len() > 20, "{} threads", threads.len());
    }
    assert_eq!(once, again);
    target.assert_healthy();
    target.tell("exit");
    assert!(target.wait().success());
    Ok(())
}

/// A fixture named like a module of the standard library would be imported instead of it by any code that
/// needs it: all fixtures are in the folder that Python searches first.
fn fixtures_hide_no_module(interpreter: &'static Interpreter) -> Result<(), Failed> {
    // Before 3.10 the names of all modules are not available.
    let names = "import sys; print(*getattr(sys, 'stdlib_module_names', sys.builtin_module_names))";
    let output = interpreter.command().args(["-c", names]).output()?;
    let names = String::from_utf8(output.stdout)?;
    assert!(names.contains("sys"), "{names}");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for file in fs::read_dir(fixtures)? {
        let path = file?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_fixture = path.extension().is_some_and(|ending| ending == "py");
        assert!(!is_fixture || names.split_whitespace().all(|name| name != stem), "{stem}");
    }
    Ok(())
}

/// Every shape runs in cycles, and its shares are those of four sites.
fn shares_add_up(interpreter: &'static Interpreter) -> Result<(), Failed> {
    for shape in ["mixed", "bursty", "rare"] {
        let mut target = Target::start(interpreter, "allocation_sites", &["--shape", shape]);
        let truth = target.ask("truth");
        let sites = truth["sites"].as_array().expect("sites are a list");
        assert_eq!(sites.len(), 4);
        for share in ["objects_share", "bytes_share"] {
            let sum: f64 = sites.iter().filter_map(|site| site[share].as_f64()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{share} of {shape}: {sum}");
        }
        let cycles = |target: &mut Target| target.ask("cycles").as_u64();
        let before = cycles(&mut target);
        wait_until("another cycle", || cycles(&mut target) != before);
    }
    Ok(())
}

/// Every worker counts in memory that the test can read, and the idle threads exist and are unknown to
/// Python.
fn work_is_counted(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let scratch = interpreter.scratch();
    let counters = scratch.path().join("counters");
    let inside = interpreter.inside(&counters);
    let arguments = [inside.to_str().expect("a plain path"), "--idle-threads", "20"];
    let mut target = Target::start(interpreter, "busy", &arguments);
    assert_eq!(target.ask("stacks").as_array().map(Vec::len), Some(5));
    assert_eq!(target.health().threads.len(), 25);
    let count = || {
        let bytes = fs::read(&counters).expect("the counters are readable");
        bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect::<Vec<_>>()
    };
    let before = count();
    assert_eq!(before.len(), 4);
    wait_until("work of every thread", || {
        count().iter().zip(&before).all(|(now, then)| now > then)
    });
    target.assert_healthy();
    Ok(())
}

/// The family follows its orders, and its leftover processes end with it.
fn threads_children_and_images_change(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    for question in ["fork", "spawn"] {
        let child = target.ask(question)["child"].as_i64().expect("a child has a PID");
        assert!(Health::of(child as i32).is_good());
        assert_eq!(target.ask(&format!("end {child}")), json!({"status": 9}));
    }
    for what in ["threads", "children"] {
        target.ask(&format!("{what} on"));
        wait_until(what, || target.ask("seen")[what] != 0);
        target.ask(&format!("{what} off"));
    }
    target.tell("exec");
    assert_eq!(target.line(), "READY");
    assert_eq!(target.ask("seen"), json!({"threads": 0, "children": 0, "broken": 0}));
    target.assert_healthy();
    let orphan = target.ask("fork")["child"].as_i64().expect("a child has a PID") as i32;
    target.tell("exit");
    assert!(target.wait().success());
    wait_until("the end of a child whose parent is gone", || !Health::of(orphan).alive);
    Ok(())
}
