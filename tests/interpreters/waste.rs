//! Waste, against what the target counts itself, and against what it saves when it follows the advice.

use std::collections::BTreeMap;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Interpreter, Target, assert_documented, cases, interpreters, leakspy};

/// Where the program wastes nothing, beside each place where it does.
const HEALTHY: [&str; 10] = [
    "__main__.Session.token",
    "__main__.DIFFERENT[…]",
    "__main__.OTHER_LARGE[…]",
    "__main__.EXACT[…]",
    "__main__.FULL_DICTS[…]",
    "__main__.Slotted",
    "__main__.MIXED",
    "__main__.MIXED[…]",
    "__main__.WHOLE_VIEWS[…]",
    "__main__.NARROW[…]",
];
/// Advice whose saving follows from the layout of instances, and is not counted by the program beforehand.
const OF_INSTANCES: [&str; 3] =
    ["unshared-keys __main__.Loose", "instance-dict __main__.Asked", "no-slots __main__.Plain"];

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("waste", the_promise_is_kept);
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("waste_command::{}", some.name), || {
        values_are_shown_on_request(some)
    }));
    trials
        .push(Trial::test(format!("waste_file::{}", some.name), || a_file_has_the_findings(some)));
    trials
}

fn document(arguments: &[&str]) -> Value {
    let output = leakspy([&["waste", "--json"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The findings by kind and place.
fn findings(document: &Value) -> BTreeMap<String, &Value> {
    let rows = document["findings"].as_array().expect("an array").iter();
    let word = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    rows.map(|row| (format!("{} {}", word(row, "kind"), word(row, "place")), row)).collect()
}

fn the_promise_is_kept(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "waste", &[]);
    let truth: BTreeMap<String, Value> = serde_json::from_value(target.ask("truth"))?;
    let document = document(&["--values", "--pid", &target.pid().to_string()]);
    let found = findings(&document);
    for (name, truth) in &truth {
        let found = found.get(name).ok_or_else(|| format!("{name} in {:?}", found.keys()))?;
        assert_eq!(
            [&found["objects"], &found["saved"]],
            [&truth["objects"], &truth["saved"]],
            "{name}"
        );
    }
    for place in HEALTHY {
        let wrong = found.values().find(|row| row["place"] == place);
        assert_eq!(wrong, None, "{place}");
    }
    let measured: BTreeMap<String, f64> = serde_json::from_value(target.ask("apply"))?;
    for (name, measured) in &measured {
        let Some(found) = found.get(name) else {
            // Up to 3.10 every instance has a dict.
            assert!(
                name == OF_INSTANCES[1] && interpreter.version[1] <= 10,
                "{name}: {:?}",
                found.keys()
            );
            continue;
        };
        let promised = found["saved"].as_f64().expect("a number");
        let kept = measured / promised;
        eprintln!("{} {name}: promised {promised}, kept {kept:.3}", interpreter.name);
        assert!((0.9..1.2).contains(&kept), "{name}: promised {promised}, saved {measured}");
    }
    target.assert_healthy();
    Ok(())
}

fn values_are_shown_on_request(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "waste", &[]);
    let pid = target.pid().to_string();
    let hidden = document(&["--pid", &pid]);
    assert_documented("`leakspy waste --json`", &hidden);
    let (text, found) = (hidden.to_string(), findings(&hidden));
    assert!(!text.contains("Denmark") && !text.contains("wide-items"), "{text}");
    let countries = found["equal __main__.Session.country"];
    assert_eq!(countries["distinct"], 5);
    assert_eq!(countries["values"][0]["value"], Value::Null);
    let shown = document(&["--values", "--pid", &pid]);
    assert_documented("`leakspy waste --json`", &shown);
    let found = findings(&shown);
    let values = found["equal __main__.Session.country"]["values"].as_array().expect("an array");
    let names = ["'Aruba'", "'Belize'", "'Chad'", "'Denmark'", "'Eritrea'"];
    assert!(names.iter().any(|name| values[0]["value"] == *name), "{values:?}");
    assert_eq!(found["wide-items __main__.WIDE[…]"]["enough"], "int16");
    let output = leakspy(["waste", "--pid", &pid]);
    let text = String::from_utf8(output.stdout)?;
    for words in [
        "could be saved",
        "equal values",
        "__main__.Session.country",
        "keep one of each: sys.intern(text)",
        "No value is shown",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    Ok(())
}

/// A snapshot file has the findings, with values only if it was written with them.
fn a_file_has_the_findings(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "waste", &[]);
    let folder = TempDir::new()?;
    let file = folder.path().join("heap.leakspy");
    let (pid, file) = (target.pid().to_string(), file.to_str().ok_or("a name")?.to_owned());
    let output = leakspy(["snapshot", "--pid", &pid, "-o", &file]);
    assert!(output.status.success(), "{output:?}");
    let live = document(&["--pid", &pid]);
    let kept = document(&[&file]);
    assert_eq!(findings(&kept), findings(&live));
    let output = leakspy(["waste", &file, "--values"]);
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("without values"), "{said}");
    let output = leakspy(["snapshot", "--values", "--pid", &pid, "-o", &file]);
    assert!(output.status.success(), "{output:?}");
    assert!(document(&[&file, "--values"]).to_string().contains("'Denmark'"));
    assert!(!document(&[&file]).to_string().contains("Denmark"));
    Ok(())
}
