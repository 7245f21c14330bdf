//! `leakspy mem` as a user runs it: the parts add up to the resident set, memory that a fixture allocates of
//! some kind appears in the part for that kind, and the verdict names it.

use std::fs;
use std::os::unix::fs::FileExt;

use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::layout::PymallocPlace;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, cases, cases_with_numpy, interpreters, leakspy,
    wait_until,
};

const MIB: u64 = 1 << 20;
/// How far a part may be off, as a share of the memory allocated.
const CLOSE: f64 = 0.05;

/// A kind of memory, and the verdict on a process that has much of it.
const KINDS: [(&str, &str); 8] = [
    ("objects", "live"),
    ("buffers", "live"),
    ("deque", "live"),
    ("native", "native"),
    ("retained", "retention"),
    ("sparse", "fragmentation"),
    ("half", "live"),
    ("shared", "mixed"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("mem_adds_up", parts_add_up_to_the_resident_set);
    // Only the C library, which is different in every root, and the layout of objects matter here.
    let has_its_own = |interpreter: &&Interpreter| match interpreter.root {
        Some(_) => interpreter.version[1] != 14,
        None => interpreter.version[1] == 8,
    };
    for interpreter in interpreters().iter().filter(has_its_own) {
        for (kind, verdict) in KINDS {
            let name = format!("mem_{kind}::{}", interpreter.name);
            trials.push(Trial::test(name, move || {
                what_was_made_is_found(interpreter, kind, verdict)
            }));
        }
    }
    trials.extend(cases_with_numpy("mem_numpy", |interpreter| {
        what_was_made_is_found(interpreter, "numpy", "live")
    }));
    let some = interpreters().last().expect("an interpreter");
    let name = format!("no_arenas::{}", some.name);
    trials.push(Trial::test(name, || a_heap_without_arenas_is_not_understood(some)));
    type Test = fn(&'static Interpreter) -> Result<(), Failed>;
    let tests: [(&str, Test); 6] = [
        ("mem_zeros", zeros_that_were_only_read_do_not_count),
        ("mem_threads", arenas_and_stacks_of_threads_are_found),
        ("mem_trim", what_would_come_back_comes_back),
        ("mem_malloc", without_pymalloc_objects_are_found_all_the_same),
        ("mem_text", the_table_has_a_verdict),
        ("mem_besides", what_is_besides_has_a_sentence),
    ];
    for (name, test) in tests {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials
}

fn mem(target: &Target) -> Result<Value, Failed> {
    let output = leakspy(["mem", "--json", "--pid", &target.pid().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy mem --json`", &document);
    assert_eq!(sum(&document), document["rss_bytes"], "{document:#}");
    Ok(document)
}

/// The resident set that the kernel reports, in bytes.
fn resident(target: &Target) -> Result<u64, Failed> {
    let statm = fs::read_to_string(format!("/proc/{}/statm", target.pid()))?;
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).ok_or("statm")?;
    Ok(4096 * pages)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The sum of all parts.
fn sum(document: &Value) -> u64 {
    let mut sum = 0;
    for group in ["python_bytes", "pymalloc_bytes", "malloc_bytes"] {
        for (name, part) in document[group].as_object().expect("an object") {
            sum += if name == "others_mapped" { 0 } else { number(part) };
        }
    }
    for part in ["stacks", "program_data", "files", "shared", "other"] {
        sum += number(&document[format!("{part}_bytes")]);
    }
    sum
}

/// The part with this name, at any level.
fn part(document: &Value, name: &str) -> u64 {
    let groups = ["python_bytes", "pymalloc_bytes", "malloc_bytes"];
    let group = groups.iter().find_map(|group| document[group].get(name));
    number(group.unwrap_or(&document[format!("{name}_bytes")]))
}

#[track_caller]
fn assert_close(found: u64, expected: u64, what: &str, document: &Value) {
    // The interpreter itself allocates some kilobytes meanwhile.
    let most = (CLOSE * expected as f64) as u64 + MIB / 2;
    let message = || format!("{what}: {found} instead of {expected} in {document:#}");
    assert!(found.abs_diff(expected) <= most, "{}", message());
}

fn parts_add_up_to_the_resident_set(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &["objects", "native"]);
    target.ask("make");
    let pid = target.pid();
    kill(Pid::from_raw(pid), Signal::SIGSTOP)?;
    wait_until("it is stopped", || target.health().is_stopped());
    // Reading a page of a file maps it, so a reading can itself enlarge the set, above all the first.
    let mut document = mem(&target)?;
    wait_until("a reading leaves the resident set as it is", || {
        let before = resident(&target).expect("it is there");
        document = mem(&target).expect("it can be read");
        before == resident(&target).expect("it is there")
    });
    assert_eq!(number(&document["rss_bytes"]), resident(&target)?);
    assert_eq!(document["malloc_unread_bytes"], 0);
    kill(Pid::from_raw(pid), Signal::SIGCONT)?;
    target.assert_healthy();
    Ok(())
}

fn what_was_made_is_found(
    interpreter: &Interpreter,
    kind: &str,
    verdict: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &[kind]);
    let before = mem(&target)?;
    let made = target.ask("make");
    let after = mem(&target)?;
    let made = made.as_object().expect("an object");
    for (name, bytes) in made {
        // Free memory is used first.
        let before = if name == "free" { 0 } else { part(&before, name) };
        let found = part(&after, name).saturating_sub(before);
        assert_close(found, number(bytes), name, &after);
    }
    // No unnamed part grew by much.
    let all: u64 = made.values().map(number).sum();
    let grown = number(&after["rss_bytes"]).saturating_sub(number(&before["rss_bytes"]));
    let kept = ["free", "top", "in_used_pools", "free_pools"].map(|name| part(&before, name));
    let least = all.saturating_sub(kept.iter().sum());
    assert_close(grown, all.min(grown.max(least)), "all", &after);
    assert_eq!(after["verdict"], verdict, "{after:#}");
    target.assert_healthy();
    Ok(())
}

fn zeros_that_were_only_read_do_not_count(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &["zeros"]);
    let before = mem(&target)?;
    target.ask("make");
    let after = mem(&target)?;
    let found = part(&after, "large_objects").saturating_sub(part(&before, "large_objects"));
    assert_close(found, 0, "zeros", &after);
    Ok(())
}

fn arenas_and_stacks_of_threads_are_found(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &["threads"]);
    let before = mem(&target)?;
    let made = target.ask("make");
    let after = mem(&target)?;
    let found = part(&after, "others").saturating_sub(part(&before, "others"));
    assert_close(found, number(&made["others"]), "others", &after);
    assert!(number(&after["malloc_arenas"]) > number(&before["malloc_arenas"]), "{after:#}");
    // Each stack has at least a few pages.
    let stacks = part(&after, "stacks").saturating_sub(part(&before, "stacks"));
    assert!((4 * 8192..2 * MIB).contains(&stacks), "{stacks}");
    assert_eq!(after["malloc_unread_bytes"], 0);
    Ok(())
}

fn what_would_come_back_comes_back(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &["retained"]);
    target.ask("make");
    let before = mem(&target)?;
    let rss = resident(&target)?;
    target.ask("trim");
    let came_back = rss.saturating_sub(resident(&target)?);
    assert_close(number(&before["trimmable_bytes"]), came_back, "trimmable", &before);
    assert!(came_back > 30 * MIB);
    let after = mem(&target)?;
    assert!(number(&after["trimmable_bytes"]) < MIB, "{after:#}");
    assert_ne!(after["verdict"], "retention");
    Ok(())
}

fn without_pymalloc_objects_are_found_all_the_same(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    for allocator in ["malloc", "malloc_debug"] {
        let variables = [("PYTHONMALLOC", allocator)];
        let mut target = Target::start_in(interpreter, "memory_of_kinds", &["objects"], &variables);
        target.ask("make");
        let document = mem(&target)?;
        assert_eq!(document["verdict"], "live", "{allocator}: {document:#}");
        let others = part(&document, "others");
        assert!(others < 4 * MIB, "{allocator}: {document:#}");
    }
    Ok(())
}

fn the_table_has_a_verdict(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_of_kinds", &["native"]);
    target.ask("make");
    let output = leakspy(["mem", "--pid", &target.pid().to_string()]);
    let text = String::from_utf8(output.stdout)?;
    let native = text.lines().find(|line| line.contains("in use by native code")).ok_or("a row")?;
    assert!(native.contains("MiB") && native.ends_with('%'), "{native}");
    assert!(text.lines().any(|line| line.starts_with("Native: ")), "{text}");
    Ok(())
}

fn what_is_besides_has_a_sentence(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let sentences = |kinds: &[&str]| -> Result<Vec<String>, Failed> {
        let mut target = Target::start(interpreter, "memory_of_kinds", kinds);
        target.ask("make");
        let output = leakspy(["mem", "--pid", &target.pid().to_string()]);
        let text = String::from_utf8(output.stdout)?;
        let (_, behind) = text.split_once("Resident set (RSS)").ok_or(text.clone())?;
        let known = ["Live Python", "Native", "Retention", "Fragmentation", "No single part"];
        let begin = |line: &str| known.iter().find(|known| line.starts_with(*known));
        Ok(behind.lines().filter_map(begin).map(|known| known.to_string()).collect())
    };
    for (kinds, expected) in [
        (&["objects"][..], &["Live Python"][..]),
        (&["native"], &["Native"]),
        (&["retained"], &["Retention"]),
        (&["half"], &["Live Python", "Fragmentation"]),
        (&["native", "retained"], &["Native", "Retention"]),
    ] {
        assert_eq!(sentences(kinds)?, expected, "{kinds:?}");
    }
    Ok(())
}

/// Where the pointer to the arenas leads nowhere, as in a build with another layout, no part is said to be empty.
fn a_heap_without_arenas_is_not_understood(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "memory_of_kinds", &["objects"]);
    let pid = target.pid();
    kill(Pid::from_raw(pid), Signal::SIGSTOP)?;
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    let PymallocPlace::Pointer(offset) = python.layout.pymalloc.place else {
        return Err("this version has its arenas elsewhere".into());
    };
    let memory = fs::File::options().write(true).open(format!("/proc/{pid}/mem"))?;
    let ask = || leakspy(["mem", "--pid", &pid.to_string()]);
    assert!(ask().status.success(), "{:?}", ask());
    for main in python.interpreters(&process)? {
        memory.write_all_at(&[0; 8], main + offset as u64)?;
    }
    let refused = ask();
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && words.contains("not understood"), "{refused:?}");
    Ok(())
}
