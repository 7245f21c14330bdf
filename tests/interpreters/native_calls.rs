//! The code that leaks native memory is named whichever function of the C library it calls, however late in a step
//! of the program, and with its share.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, assert_documented, interpreters, leakspy};

/// Steps of the fixture, and the kind of what they leave behind.
const LEAKING: [(&str, &str); 15] = [
    ("by_malloc", "native"),
    ("by_calloc", "native"),
    ("by_realloc_of_nothing", "native"),
    ("by_growth", "native"),
    ("by_reallocarray", "native"),
    ("by_aligned_alloc", "native"),
    ("by_memalign", "native"),
    ("by_posix_memalign", "native"),
    ("large", "native"),
    ("late", "native"),
    ("very_late", "native"),
    ("late_of_the_same_size", "native"),
    ("late_mmap", "mappings"),
    ("nine_to_one", "native"),
    ("one_to_one", "native"),
];
/// How far a share may be off: some hundred blocks are an error of two standard deviations of 9 points.
const CLOSE: f64 = 0.1;

pub fn trials() -> Vec<Trial> {
    // Only the C library matters.
    let newest = interpreters().last().expect("an interpreter");
    let mut trials: Vec<Trial> = LEAKING
        .into_iter()
        .map(|(way, kind)| {
            Trial::test(format!("{way}::{}", newest.name), move || {
                who_leaks_is_named(newest, way, kind)
            })
        })
        .collect();
    if let Some(of_system) = interpreters().iter().rfind(|it| it.root.is_none()) {
        for (way, kind) in LEAKING.into_iter().filter(|(way, _)| way.contains("memalign")) {
            let name = format!("{way}::{}", of_system.name);
            trials.push(Trial::test(name, move || who_leaks_is_named(of_system, way, kind)));
        }
    }
    let name = format!("nothing_stays::{}", newest.name);
    trials.push(Trial::test(name, move || nothing_is_named(newest)));
    trials
}

fn hunt(target: &Target) -> Result<Value, Failed> {
    let output =
        leakspy(["hunt", "--json", "--duration", "12", "--pid", &target.pid().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

fn who_leaks_is_named(
    interpreter: &'static Interpreter,
    way: &str,
    kind: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "native_calls", &[way]);
    let before = target.ask("truth");
    let document = hunt(&target)?;
    let after = target.ask("truth");
    target.assert_healthy();
    let findings = document["findings"].as_array().expect("an array");
    assert_eq!(findings.len(), 1, "{document:#}");
    assert_eq!(findings[0]["kind"], kind, "{document:#}");
    let feeders = findings[0]["feeders"].as_array().expect("an array");

    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let left: Vec<(&String, f64)> = after
        .as_object()
        .expect("an object")
        .iter()
        .map(|(function, bytes)| (function, number(bytes) - number(&before[function])))
        .collect();
    let all: f64 = left.iter().map(|(_, bytes)| bytes).sum();
    for (function, bytes) in left {
        let is_here = |feeder: &&Value| feeder["stack"][0]["function"] == **function;
        let found: f64 = feeders.iter().filter(is_here).map(|it| number(&it["share"])).sum();
        let expected = bytes / all;
        assert!(
            (found - expected).abs() <= CLOSE,
            "{function}: {found} of {expected}: {document:#}"
        );
    }
    Ok(())
}

fn nothing_is_named(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "native_calls", &["nothing_stays"]);
    let document = hunt(&target)?;
    assert_eq!(document["findings"], serde_json::json!([]), "{document:#}");
    target.assert_healthy();
    Ok(())
}
