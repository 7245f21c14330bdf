//! The effect of each option.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Health, command, float, list, once, paragraph, record, work_for_a_second};
use crate::support::{Interpreter, Recording, Target, leakspy, leakspy_command, wait_until};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        once("threads", threads),
        once("subprocesses", subprocesses),
        once("by_objects", by_objects),
        once("full_paths", full_paths),
        once("rates", rates),
        once("output::standard output", standard_output),
        once("output::default", default_name),
        once("output::not writable", not_writable),
    ];
    for rate in ["0", "10001", "-1", "1.5", "x"] {
        trials.push(Trial::test(format!("rates::{rate} is out of range"), move || {
            // The kernel never assigns a PID above 2^22, so this would be status 1 otherwise.
            let line = format!("--rate={rate}");
            let output = leakspy(["record", "--pid", "4194305", &line]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let said = String::from_utf8(output.stderr)?;
            assert!(said.contains("--rate") && said.contains(rate), "{said}");
            Ok(())
        }));
    }
    trials
}

/// `busy.py` with two threads at work.
fn two_workers(interpreter: &Interpreter) -> Result<Target, Failed> {
    let counters = interpreter.scratch().keep().join("counters");
    let inside = interpreter.inside(&counters);
    let target =
        Target::start(interpreter, "busy", &[inside.to_str().ok_or("a path")?, "--threads", "2"]);
    fs::remove_dir_all(counters.parent().ok_or("a path")?)?;
    Ok(target)
}

fn roots(profile: &Value) -> BTreeSet<Vec<String>> {
    let text = |root: &Value| root.as_str().expect("a root is a string").to_owned();
    list(&profile["stacks"])
        .iter()
        .map(|stack| list(&stack["roots"]).iter().map(text).collect())
        .collect()
}

/// Each stack stands on its thread, under the name that Python gives it.
fn threads(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = two_workers(interpreter)?;
    let written = record(&mut target, &["--format", "json", "--threads"])?;
    let expected: [Vec<String>; 2] =
        [vec!["thread worker 0".into()], vec!["thread worker 1".into()]];
    assert_eq!(roots(&written.json()?), BTreeSet::from(expected));
    let written = record(&mut target, &["--format", "folded", "--threads"])?;
    assert!(
        written.text.lines().all(|line| line.starts_with("thread worker ")),
        "{}",
        written.text
    );
    Ok(())
}

/// Each stack stands on its process, which is at the bottom; a thread stands on its process.
fn subprocesses(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let child = target.ask("spawn")["child"].as_i64().ok_or("no child")? as i32;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile.json");
    let path = file.to_str().ok_or("a path")?;
    let options = ["-s", "-t", "--rate", super::RATE, "--format", "json", "--output", path];
    let mut recording = Recording::attach(target.pid(), &options);
    wait_until("the child is traced", || Health::of(child).is_traced());
    recording.wait_until_begun();
    work_for_a_second(child);
    work_for_a_second(target.pid());
    recording.signal(Signal::SIGINT);
    let recorded = recording.end();
    recorded.assert_success();
    let profile: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let process = |pid: i32| format!("process {pid}: {}", command(pid));
    let expected = [
        vec![process(target.pid()), "thread compute_for_ever".into()],
        vec![process(child), "thread MainThread".into()],
    ];
    assert_eq!(roots(&profile), BTreeSet::from(expected), "{recorded:?}");
    assert_eq!(profile["pid"], target.pid());
    target.assert_healthy();
    Ok(())
}

/// Order, widths and words refer to numbers of allocations.
fn by_objects(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let written = record(&mut target, &["--format", "json", "--by", "objects"])?;
    let profile = written.json()?;
    let by = |key: &str| {
        let stacks = list(&profile["stacks"]);
        stacks.is_sorted_by(|one, next| float(&one[key]) >= float(&next[key]))
    };
    // The fixture's order by bytes is different.
    assert!(by("objects") && !by("bytes"), "{}", written.text);
    let said = &written.recorded.said;
    assert!(said.contains("\nHeaviest stacks by objects:\n"), "{said}");
    let first = list(&profile["stacks"]).first().ok_or("no stacks")?;
    assert_eq!(first["stack"][0]["function"], "tight_loop");

    let svg = record(&mut target, &["--by", "objects"])?.text;
    let title = paragraph::between(&svg, ">Objects allocated by PID ", " in ")?;
    assert_eq!(title, target.pid().to_string());
    assert!(svg.contains(" allocations a second, estimated from "));
    Ok(())
}

/// Frames show files as the interpreter has them.
fn full_paths(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let file = interpreter.fixture("allocation_sites.py");
    let frame = format!("tight_loop ({}:", file.display());
    for option in ["--full-paths", "--full-filenames"] {
        let written = record(&mut target, &["--format", "folded", option])?;
        assert!(written.text.contains(&frame), "{}", written.text);
        let said = &written.recorded.said;
        assert!(said.contains(&format!(" ({}:", file.display())), "{said}");
    }
    Ok(())
}

/// The ends of the range are valid rates.
fn rates(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    for rate in ["1", "10000"] {
        let options = ["--rate", rate, "-d", "0.5", "--format", "json", "--output", "-"];
        let recorded = Recording::attach(target.pid(), &options).end();
        recorded.assert_success();
        serde_json::from_str::<Value>(&recorded.stdout)?;
        target.assert_healthy();
    }
    Ok(())
}

fn standard_output(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let mut recording = Recording::attach(target.pid(), &["--format", "json", "--output", "-"]);
    recording.wait_until_begun();
    recording.signal(Signal::SIGINT);
    let recorded = recording.end();
    recorded.assert_success();
    // The profile, and nothing else.
    let profile: Value = serde_json::from_str(&recorded.stdout)?;
    assert_eq!(profile["pid"], target.pid());
    assert!(recorded.stdout.ends_with("}\n"));
    assert!(!recorded.said.contains("Wrote"), "{recorded:?}");
    target.assert_healthy();
    Ok(())
}

/// `leakspy-PID-TIME.svg` in the current folder, TIME to the second.
fn default_name(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let folder = tempfile::tempdir()?;
    let pid = target.pid().to_string();
    let output = leakspy_command()
        .args(["record", "--pid", &pid, "--duration", "0.3"])
        .current_dir(folder.path())
        .output()?;
    assert!(output.status.success(), "{output:?}");
    target.assert_healthy();
    let files = fs::read_dir(folder.path())?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].file_name().into_string().expect("UTF-8");
    let time = name.strip_prefix(&format!("leakspy-{pid}-")).and_then(|it| it.strip_suffix(".svg"));
    let digits =
        time.ok_or(name.clone())?.bytes().map(|byte| if byte == b'-' { b'-' } else { b'0' });
    assert_eq!(String::from_utf8(digits.collect())?, "00000000-000000", "{name}");
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(&format!("Wrote {name}\n")), "{said}");
    let text = fs::read_to_string(files[0].path())?;
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(&text, options)?;
    Ok(())
}

/// leakspy reports a file that cannot be written, and lets the target go all the same.
fn not_writable(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let options = ["--duration", "0.1", "--output", "/nowhere/at/all.svg"];
    let recorded = Recording::attach(target.pid(), &options).end();
    assert_eq!(recorded.status.code(), Some(1), "{recorded:?}");
    assert!(recorded.said.contains("cannot write /nowhere/at/all.svg"), "{recorded:?}");
    target.assert_healthy();
    assert_eq!(json!(target.pid()), target.ask("describe")["pid"]);
    Ok(())
}
