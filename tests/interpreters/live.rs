//! `leakspy record --view live`: the largest holder is the widest path and is named, all widths add up to the
//! heap, and with a duration it shows the growth.

use std::collections::HashMap;
use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    Interpreter, Recording, Target, assert_documented, cases, interpreters, leakspy,
};

/// The places of `holders.py`, and how the path to them reads. Each part is the beginning of a label.
const PLACES: [(&str, &[&str]); 6] = [
    ("local", &["thread worker-1", "hold", "local rows", "list", "[…] __main__.Row"]),
    ("global", &["module __main__", "CACHE", "dict", "[…] __main__.Row"]),
    ("class", &["module __main__", "Registry", "type", ".entries list", "[…] __main__.Row"]),
    (
        "closure",
        &[
            "module __main__",
            "HANDLER",
            "function make_handler.<locals>.handler",
            "closure store",
            "list",
        ],
    ),
    ("generator", &["module __main__", "PENDING", "generator pending", "local batch", "list"]),
    ("instance", &["module __main__", "REGISTRY", "__main__.Registry", ".rows list"]),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (place, path) in PLACES {
        let test = move |interpreter| the_widest_path_names_the_holder(interpreter, place, path);
        trials.extend(cases(&format!("live_{place}"), test));
    }
    trials.extend(cases("live_growth", what_grew_is_told));
    trials.extend(cases("live_born", objects_are_shown_where_they_were_allocated));
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test("live_ended", move || a_target_that_ends_has_been_seen_once(some)));
    trials
}

/// Records the live view as JSON.
fn live(pid: i32) -> Result<Value, Failed> {
    let pid = pid.to_string();
    let output = leakspy(["record", "--pid", &pid, "--format", "json", "--output", "-"]);
    assert!(output.status.success(), "{output:?}");
    let profile = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy record --format json`", &profile);
    Ok(profile)
}

/// The labels of a stack, outermost first.
fn labels(stack: &Value) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        let values = value.as_array().into_iter().flatten();
        values.filter_map(|value| Some(value.as_str()?.to_owned())).collect()
    };
    let frames = stack["stack"].as_array().expect("an array").iter().rev();
    let frames = frames.map(|frame| frame["function"].as_str().expect("a name").to_owned());
    let (roots, path) = (texts(&stack["roots"]), texts(&stack["path"]));
    roots.into_iter().chain(frames).chain(path).collect()
}

/// The path from the root inwards that takes the widest child each time.
fn widest(profile: &Value) -> Vec<String> {
    let mut weights: HashMap<Vec<String>, u64> = HashMap::new();
    for stack in profile["stacks"].as_array().expect("an array") {
        let labels = labels(stack);
        for depth in 0..=labels.len() {
            *weights.entry(labels[..depth].to_vec()).or_default() +=
                stack["bytes"].as_u64().expect("a number");
        }
    }
    let mut place = Vec::new();
    loop {
        let is_inside =
            |other: &Vec<String>| other.len() == place.len() + 1 && other.starts_with(&place);
        let inside = weights.iter().filter(|(other, _)| is_inside(other));
        match inside.max_by_key(|(_, weight)| **weight) {
            Some((inner, _)) => place = inner.clone(),
            None => return place,
        }
    }
}

fn sum(profile: &Value, key: &str) -> u64 {
    let stacks = profile["stacks"].as_array().expect("an array");
    stacks.iter().map(|stack| stack[key].as_u64().expect("a number")).sum()
}

fn the_widest_path_names_the_holder(
    interpreter: &'static Interpreter,
    place: &str,
    path: &[&str],
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "holders", &[place]);
    target.wait_until_still();
    let profile = live(target.pid())?;
    let found = widest(&profile);
    let mut rest = found.iter();
    for part in path {
        // A function is also told with its line.
        let is_there = rest.any(|label| {
            label.ends_with(part) || label.split(" (").next().is_some_and(|it| it.ends_with(part))
        });
        assert!(is_there, "{part} of {path:?} is not in {found:?}");
    }

    // All widths together are the heap.
    let pid = target.pid().to_string();
    let output = leakspy(["heap", "--json", "--pid", &pid]);
    let heap: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(sum(&profile, "objects"), heap["objects"]);
    let bytes = ["shallow_bytes", "external_bytes"].map(|key| heap[key].as_u64().expect("bytes"));
    assert_eq!(sum(&profile, "bytes"), bytes.iter().sum::<u64>());
    assert!(profile["pause_s"]["total"].as_f64() > Some(0.0));
    assert_eq!(profile["duration_s"], 0.0);
    target.assert_healthy();
    Ok(())
}

/// Where tracemalloc is on, all rows and their contents were allocated by two lines; where it is off, leakspy
/// says so and shows the rest.
fn objects_are_shown_where_they_were_allocated(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let options = ["-X", "tracemalloc"];
    let mut target = Target::start_with(interpreter, "holders", &["global"], &options);
    let rows = target.ask("rows").as_u64().expect("a number");
    let pid = target.pid().to_string();
    let record = ["record", "--pid", &pid, "--born", "--format", "json", "--output", "-"];
    let profile: Value = serde_json::from_slice(&leakspy(record).stdout)?;
    assert_documented("`leakspy record --format json`", &profile);
    let mut born = HashMap::new();
    for stack in profile["stacks"].as_array().expect("an array") {
        let path = stack["path"].as_array().expect("an array");
        let last = path.last().and_then(Value::as_str).unwrap_or_default();
        if last.ends_with(" __main__.Row") || last == "__main__.Row" {
            let place = stack["allocation"].as_str().expect("a place").to_owned();
            *born.entry(place).or_insert(0) += stack["objects"].as_u64().expect("a number");
        }
    }
    assert!(
        born.keys().all(|place| place.starts_with("allocated at fixtures/holders.py:")),
        "{born:?}"
    );
    // Up to 3.10 each has a dict, which is not shown by itself.
    let each = if interpreter.version[1] <= 10 { 2 } else { 1 };
    assert_eq!(born.values().sum::<u64>(), each * rows);

    let off = Target::start(interpreter, "holders", &["global"]);
    let pid = off.pid().to_string();
    let output = leakspy(["record", "--pid", &pid, "--born", "--format", "json", "--output", "-"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("tracemalloc is off") && said.contains("-X tracemalloc=25"), "{said}");
    let profile: Value = serde_json::from_slice(&output.stdout)?;
    assert!(sum(&profile, "objects") > rows);
    Ok(())
}

/// Between two moments 500 rows are added: the path to them grows by them, and nothing else of weight does.
fn what_grew_is_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const MORE: u64 = 500;
    let mut target = Target::start(interpreter, "holders", &["local"]);
    // Hides what the target does only for its first answer, such as imports.
    target.ask("grow 0");
    let folder = tempfile::tempdir()?;
    let record = |target: &mut Target, form: &str| -> Result<String, Failed> {
        let file = folder.path().join(form);
        let pid = target.pid().to_string();
        let path = file.to_str().expect("UTF-8");
        let mut recording = Recording::start_any([
            "--pid",
            &pid,
            "--duration",
            "1000",
            "--format",
            form,
            "--output",
            path,
        ]);
        recording.wait_until_said("Looked once");
        target.ask(&format!("grow {MORE}"));
        recording.signal(Signal::SIGINT);
        let recorded = recording.end();
        recorded.assert_success();
        assert!(recorded.said.contains("Grew most by bytes:"), "{}", recorded.said);
        Ok(fs::read_to_string(file)?)
    };
    let profile: Value = serde_json::from_str(&record(&mut target, "json")?)?;
    assert_documented("`leakspy record --format json`", &profile);
    let mut grown = 0;
    for stack in profile["stacks"].as_array().expect("an array") {
        let labels = labels(stack);
        let (now, then) = (stack["objects"].as_u64(), stack["before"]["objects"].as_u64());
        let growth = now.expect("a number").cast_signed() - then.expect("a number").cast_signed();
        if labels.contains(&"local rows".to_owned()) {
            grown += growth;
        } else {
            // The objects that the question itself leaves behind.
            assert!(growth.abs() < 100, "{labels:?} grew by {growth}");
        }
    }
    // A row, its number and its name; and its dict up to 3.10, or where one was requested.
    let rows = grown / MORE.cast_signed();
    assert!(grown % MORE.cast_signed() == 0 && (3..=4).contains(&rows), "{grown}");

    // Growth is red.
    let svg = record(&mut target, "flamegraph")?;
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let picture = roxmltree::Document::parse_with_options(&svg, options)?;
    // What holds the rows grew by all of them, and is as red.
    for label in ["[…] __main__.Row (", "local rows (", "thread worker-1 ("] {
        let is_of_label = |node: &roxmltree::Node| {
            let text = node.text().filter(|_| node.has_tag_name("title"));
            text.is_some_and(|text| text.starts_with(label))
        };
        let titles = picture.descendants().filter(is_of_label);
        let told: Vec<_> = titles
            .filter_map(|title| {
                let mut beside = title.parent()?.children();
                Some((title.text()?, beside.find_map(|child| child.attribute("fill"))?))
            })
            .collect();
        let grew = |(title, fill): &(&str, &str)| {
            fill.starts_with("rgb(255,") && !fill.ends_with(",255)") && title.contains("%; +")
        };
        assert!(told.iter().any(grew), "{label}: {told:?}");
    }
    target.assert_healthy();
    Ok(())
}

fn a_target_that_ends_has_been_seen_once(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "holders", &["global"]);
    let pid = target.pid().to_string();
    let arguments = ["--pid", &pid, "--duration", "1000", "--format", "folded", "--output", "-"];
    let mut recording = Recording::start_any(arguments);
    recording.wait_until_said("Looked once");
    target.tell("exit");
    target.wait();
    let recorded = recording.end();
    recorded.assert_success();
    assert!(recorded.said.contains("these are the first"), "{}", recorded.said);
    assert!(recorded.stdout.contains("module __main__;CACHE;dict"), "{}", recorded.stdout);
    Ok(())
}
