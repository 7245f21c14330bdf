//! Functions, methods, coroutines and partials are shown by the function that they are or run, and its line.

use std::path::Path;

use leakspy::snapshot::container::{Encoding, Reader, Writer};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, assert_documented, cases, interpreters, leakspy};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("functions", are_named);
    let last = interpreters().last().expect("an interpreter");
    let test = move || an_older_file_has_the_types_alone(last);
    trials.push(Trial::test(format!("functions_of_files::{}", last.name), test));
    trials
}

fn said(arguments: &[&str]) -> Result<String, Failed> {
    let output = leakspy(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What holds the instances of a type.
fn why(pid: &str, kind: &str) -> Result<Vec<Value>, Failed> {
    let document = serde_json::from_str(&said(&["why", "--json", pid, kind])?)?;
    assert_documented("`leakspy why --json`", &document);
    Ok(document["lines"].as_array().ok_or("no lines")?.clone())
}

/// The line whose objects are this function, or run it.
fn of_function<'a>(lines: &'a [Value], name: &str) -> Result<&'a Value, Failed> {
    let found = lines.iter().find(|line| line["function"]["function"] == name);
    Ok(found.ok_or_else(|| format!("{name} is not in {lines:#?}"))?)
}

fn are_named(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "chat", &[]);
    let pid = &*target.pid().to_string();
    let defined = target.ask("truth")["defines"].clone();
    // A closure may not be registered yet, and one alone could be any.
    while target.ask("closures").as_u64() < Some(3) {}

    let closure = "Hub.connect.<locals>.closed";
    let place = format!("{closure} (fixtures/chat.py:{defined})");
    let lines = why(pid, "function")?;
    let line = of_function(&lines, closure)?;
    assert_eq!(line["type"], "function", "{line}");
    assert_eq!(line["function"]["line"], defined, "{line}");
    assert!(line["objects"].as_u64() >= Some(3), "{line}");
    assert!(
        said(&["why", "--top", "2000", pid, "function"])?
            .contains(&format!("[…] function {place}"))
    );

    let address = &*format!("{:#x}", line["address"].as_u64().ok_or("no address")?);
    let text = said(&["show", pid, address])?;
    assert!(text.contains(&format!("{address} is an instance of function {place}.")), "{text}");
    let shown: Value = serde_json::from_str(&said(&["show", "--json", pid, address])?)?;
    assert_documented("`leakspy show --json`", &shown);
    assert_eq!(shown["function"], line["function"]);
    let drawn = said(&["graph", "--format", "dot", "-o", "-", pid, address])?;
    assert!(drawn.contains(closure), "{drawn}");
    assert!(drawn.contains(&format!("fixtures/chat.py:{defined}")), "{drawn}");

    for (kind, function) in [
        ("method", "Hub.connect"),
        ("coroutine", "serve"),
        ("generator", "backlog"),
        ("functools.partial", "backlog"),
    ] {
        let lines = why(pid, kind)?;
        assert_eq!(of_function(&lines, function)?["type"], kind);
    }
    let tree = said(&["tree", "--depth", "99", "--top", "999", "--least", "0", pid])?;
    let folded = said(&["record", "--view", "live", "--format", "folded", "-o", "-", pid])?;
    for text in [tree, folded] {
        assert!(text.contains(&format!("[…] function {place}")), "{text}");
        assert!(text.contains("generator backlog (fixtures/chat.py:"), "{text}");
    }
    // What is no function is not called one.
    let lines = why(pid, "__main__.Hub")?;
    let hub = lines.iter().find(|line| line["type"] == "__main__.Hub").ok_or("no hub")?;
    assert_eq!(hub.get("function"), None, "{hub}");
    target.assert_healthy();
    Ok(())
}

/// A snapshot file names functions, and one of an older version the type alone.
fn an_older_file_has_the_types_alone(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "chat", &[]);
    let folder = tempfile::tempdir()?;
    let [new, old] = ["new.leakspy", "old.leakspy"].map(|name| folder.path().join(name));
    said(&["snapshot", &target.pid().to_string(), "-o", &new.to_string_lossy()])?;
    without(&new, "defin", &old)?;
    let [new, old] =
        [&new, &old].map(|path| said(&["show", &path.to_string_lossy(), "__main__.truth"]));
    assert!(new?.contains(" is an instance of function truth (fixtures/chat.py:"));
    assert!(old?.contains(" is an instance of function.\n"));
    target.assert_healthy();
    Ok(())
}

/// Copies a file without the columns whose names begin like this.
fn without(from: &Path, prefix: &str, to: &Path) -> Result<(), Failed> {
    let reader = Reader::open(from, u64::MAX)?;
    let mut writer = Writer::create(to)?;
    let names: Vec<String> = reader.columns().map(|(name, ..)| name.to_owned()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with(prefix)).count(), 3, "{names:?}");
    for name in names.into_iter().filter(|name| !name.starts_with(prefix)) {
        let name: &'static str = name.leak();
        match reader.numbers(name) {
            Ok(numbers) => {
                let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
                writer.numbers(name, Encoding::Numbers, numbers)?;
            }
            Err(_) => writer.bytes(name, &reader.bytes(name)?)?,
        }
    }
    writer.finish()?;
    Ok(())
}
