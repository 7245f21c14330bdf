//! Memory that grows outside Python's objects is a finding that says where it lies, its rates add up to that of
//! the resident set, and what only looks like it is none.

use leakspy::process::Process;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, assert_documented, interpreters, leakspy};

/// Ways to grow: the kind of the finding, and where most of it is.
const GROWING: [(&str, &str, &str); 4] = [
    ("mappings", "mappings", "mappings"),
    ("pool", "native", "native_blocks"),
    ("untouched", "native", "native_blocks"),
    ("holes", "holes", "malloc_free"),
];
/// Their twins.
const STEADY: [&str; 3] = ["mappings_returned", "pool_again", "holes_reused"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    // Only the C library and the pace differ. From glibc 2.41 on holes of this kind do not stay in memory.
    let newest = interpreters().last().expect("an interpreter");
    let of_system = interpreters().iter().rfind(|it| it.root.is_none());
    let on = |way: &str| match way {
        "holes" | "holes_reused" => of_system.unwrap_or(newest),
        _ => newest,
    };
    for (way, kind, place) in GROWING {
        let on = on(way);
        trials.push(Trial::test(format!("growth_{way}::{}", on.name), move || {
            what_grows_is_told(on, way, kind, place)
        }));
    }
    for way in STEADY {
        let on = on(way);
        trials.push(Trial::test(format!("growth_none_{way}::{}", on.name), move || {
            nothing_is_told(on, way)
        }));
    }
    trials.push(Trial::test(format!("growth_copied::{}", newest.name), move || {
        copied_pages_are_told(newest)
    }));
    trials
}

fn hunt(pid: i32) -> Result<(Value, Option<i32>), Failed> {
    let pid = pid.to_string();
    let output = leakspy([
        "hunt",
        "--json",
        "--no-subprocesses",
        "--fail-on-leak",
        "--duration",
        "10",
        "--pid",
        &pid,
    ]);
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok((document, output.status.code()))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn what_grows_is_told(
    interpreter: &'static Interpreter,
    way: &str,
    kind: &str,
    place: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "growth", &[way]);
    let (before, begun) = (number(&target.ask("bytes")), std::time::Instant::now());
    let (document, status) = hunt(target.pid())?;
    let pace = (number(&target.ask("bytes")) - before) / begun.elapsed().as_secs_f64();
    let findings = document["findings"].as_array().expect("an array");
    assert_eq!((findings.len(), status), (1, Some(3)), "{document:#}");
    assert_eq!(findings[0]["kind"], kind, "{document:#}");
    let rate = number(&findings[0]["bytes_per_s"]);
    // How fast holes grow is up to malloc.
    assert!(way == "holes" || (0.7..1.4).contains(&(rate / pace)), "{pace}: {document:#}");

    let growth = &document["growth"];
    let places = growth["places"].as_array().expect("an array");
    assert_eq!(places[0]["place"], place, "{document:#}");
    let sum: f64 = places.iter().map(|it| number(&it["bytes_per_s"])).sum();
    assert!((sum - number(&growth["rss_bytes_per_s"])).abs() < 1.0, "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn nothing_is_told(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "growth", &[way]);
    let (document, status) = hunt(target.pid())?;
    assert_eq!(document["findings"], serde_json::json!([]), "{document:#}");
    assert_eq!((document.get("unexplained"), status), (None, Some(0)), "{document:#}");
    target.assert_healthy();
    Ok(())
}

/// The resident set of a worker does not change, but less and less of it is shared. That is not because it is read.
fn copied_pages_are_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "growth", &["copied"]);
    let worker = target.ask("worker").as_i64().expect("a PID") as i32;
    let process = Process::open(worker)?;
    let private = || process.share().map(|share| share.uss);
    let before = private()?;
    let output = leakspy(["heap", "--pid", &worker.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let copied = private()?.saturating_sub(before);
    assert!(copied < 20 << 20, "{copied} bytes were no longer shared");
    let (document, status) = hunt(worker)?;
    let findings = document["findings"].as_array().expect("an array");
    assert_eq!((findings.len(), status), (1, Some(3)), "{document:#}");
    assert_eq!(findings[0]["kind"], "copied", "{document:#}");
    assert!(number(&findings[0]["bytes_per_s"]) > 100_000.0, "{document:#}");
    target.assert_healthy();
    Ok(())
}
