//! `leakspy hunt`: each kind of leak is found by its holder and the line that feeds it, and false leaks are
//! not reported.
//!
//! Most kinds of leak are hunted several at a time. With `LEAKSPY_TEST_EACH=1` each is hunted alone, on every
//! interpreter, and must be the first finding; that takes some ten minutes.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::known_leaks::assert_stable;
use crate::support::{
    Interpreter, Recording, Target, assert_documented, assert_has_source, cases, interpreters,
    leakspy, leakspy_command,
};

/// Kinds of leak that can run side by side without hiding each other.
const TOGETHER: [(&str, &str); 13] = [
    (SIMPLE, "dict,set,deque,bytearray,ordered,array,attribute,list"),
    (SIMPLE, "spread,chain,lru_cache,traceback,tasks,generators"),
    (SIMPLE, "loggers,mock,far_bound,result"),
    (SIMPLE, "garbage"),
    (SIMPLE, "refcount,threads"),
    (SIMPLE, "native,large"),
    (SIMPLE, "native_small"),
    (OF_LIBRARY, "counter,defaultdict,subclass,moved,queue,buffer,atexit"),
    (OF_LIBRARY, "class_attribute,default,closure,local,classes,partials,nested,starved"),
    (OF_LIBRARY, "asyncio,sleeping,modules,weak_values,finalize,frozen"),
    (AMONG_GARBAGE, "recycled_list,recycled_dict,pending,zones"),
    (AMONG_GARBAGE, "recycled_deque,log,times,weak_methods,deep_entries"),
    (AMONG_GARBAGE, "names"),
];
/// The fixture with the leaks.
const SIMPLE: &str = "leaks";
const OF_LIBRARY: &str = "leaks_of_the_library";
const AMONG_GARBAGE: &str = "leaks_among_garbage";
/// The required hints for some of them.
const HINTS: [(&str, &str); 23] = [
    ("dict", "a dict at module level; nothing limits it"),
    ("far_bound", "with a high limit (maxlen = 100000000)"),
    ("result", "a list; nothing limits it"),
    ("garbage", "the garbage collector is off"),
    ("frozen", "they were frozen (gc.freeze())"),
    ("zones", "a datetime.datetime in the cycle does not show the garbage collector"),
    ("starved", "collections are too rare"),
    ("lru_cache", "functools.lru_cache keeps every argument"),
    ("traceback", "stored exceptions keep their tracebacks"),
    ("refcount", "forgotten a Py_DECREF"),
    ("tasks", "waits for something that never happens"),
    ("generators", "generators are kept and not finished in wait_for_more (fixtures/leaks.py:"),
    ("threads", "threads are started faster than they end: give each a way to stop"),
    ("loggers", "logging keeps each logger"),
    ("mock", "a mock keeps all calls"),
    ("queue", "a queue is filled faster than it is emptied"),
    ("finalize", "weakref.finalize keeps its function and arguments"),
    ("classes", "classes are made again and again"),
    ("modules", "sys.modules keeps each"),
    ("sleeping", "tasks wait in sleep (asyncio/tasks.py:"),
    ("default", "used as a default argument"),
    ("closure", "a list in a closure"),
    ("local", "local to a function that never returns"),
];
/// Behaviour that a person might take for a leak.
const NO_LEAKS: [(&str, &str); 14] = [
    (SIMPLE, "bounded"),
    (SIMPLE, "lru_bound"),
    (SIMPLE, "large_cache"),
    (SIMPLE, "linked"),
    (SIMPLE, "sessions"),
    (SIMPLE, "drained"),
    (SIMPLE, "warm_up"),
    (SIMPLE, "filling"),
    (SIMPLE, "one_load"),
    (SIMPLE, "churn"),
    (SIMPLE, "batches"),
    (AMONG_GARBAGE, "recycled_ring"),
    (AMONG_GARBAGE, "answered"),
    (AMONG_GARBAGE, "closed_zones"),
];

/// Ways to fill collections that declare their own limits.
const FULL_SOON: &str = "near_bound,near_bounds,owner_bound,lru_room";

/// Set to hunt each kind of leak alone.
const EACH: &str = "LEAKSPY_TEST_EACH";

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    if std::env::var_os(EACH).is_some() { each_alone() } else { usual() }
}

/// A trial for each kind of leak and each interpreter.
fn each_alone() -> Vec<Trial> {
    let alone = |(fixture, way): (&'static str, &'static str)| {
        cases(&format!("hunt_alone_{way}"), move |it| is_told_first(it, fixture, way))
    };
    let ways = TOGETHER
        .into_iter()
        .flat_map(|(fixture, ways)| ways.split(',').map(move |way| (fixture, way)));
    ways.flat_map(alone).collect()
}

fn usual() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (fixture, ways) in TOGETHER {
        let name = format!("hunt_{}", ways.split(',').next().unwrap_or_default());
        trials.extend(cases(&name, move |it| all_are_found(it, fixture, ways)));
    }
    trials.extend(cases("hunt_no_leak_full_soon", is_full_soon));
    trials.extend(cases("hunt_no_leak_levelling", a_falling_pace_is_no_leak));
    let some = interpreters().last().expect("an interpreter");
    for (fixture, way) in NO_LEAKS {
        let name = format!("hunt_no_leak_{way}::{}", some.name);
        trials.push(Trial::test(name, move || nothing_is_found(some, fixture, way)));
    }
    let others: [(&str, Test); 5] = [
        ("hunt_native_ptrace", native_memory_is_told_apart),
        ("hunt_slow", what_only_the_last_look_shows_is_watched),
        ("hunt_text", the_verdict_says_what_is_in_the_json),
        ("hunt_command", a_command_is_hunted_and_fails_on_leaks),
        ("hunt_short", a_hunt_that_is_too_short_says_so),
    ];
    for (name, test) in others {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials
}

pub(super) fn hunt(pid: i32, options: &[&str]) -> Output {
    let pid = pid.to_string();
    leakspy(["hunt", "--pid", &pid].iter().chain(options))
}

pub(super) fn verdict(pid: i32, seconds: &str) -> Result<Value, Failed> {
    let output = hunt(pid, &["--json", "--duration", seconds]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a finding matches this truth.
pub(super) fn is_it(finding: &Value, truth: &Value) -> bool {
    let grown = text(&finding["type"]).rsplit('.').next();
    finding["kind"] == truth["kind"]
        && grown == Some(text(&truth["type"]))
        && text(&finding["holder"]["name"]).contains(text(&truth["holder"]))
}

/// Asserts that nearly all of the growth is attributed to the line that feeds it, that this line is named as
/// the program's own, and that the hint is right.
fn assert_told(finding: &Value, truth: &Value) {
    let feeder = &finding["feeders"][0];
    let file = text(&truth["file"]);
    let is_right =
        |frame: &Value| frame["line"] == truth["line"] && text(&frame["file"]).ends_with(file);
    assert!(list(&feeder["stack"]).iter().any(is_right), "{truth}: {finding:#}");
    assert!(is_right(&feeder["own_frame"]), "{truth}: {finding:#}");
    assert_has_source(&feeder["own_frame"]);
    assert!(feeder["share"].as_f64() > Some(0.9), "{truth}: {finding:#}");
    for (_, hint) in HINTS.iter().filter(|(name, _)| *name == text(&truth["name"])) {
        assert!(text(&finding["hint"]).contains(hint), "{hint}: {finding:#}");
    }
}

fn is_told_first(
    interpreter: &'static Interpreter,
    fixture: &str,
    way: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, fixture, &[way]);
    let document = verdict(target.pid(), "8")?;
    let truth = &target.ask("truth")[0];
    let first = &document["findings"][0];
    assert!(is_it(first, truth), "{truth} is not the first of {document:#}");
    assert_told(first, truth);
    target.assert_healthy();
    Ok(())
}

fn all_are_found(
    interpreter: &'static Interpreter,
    fixture: &str,
    ways: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, fixture, &[ways]);
    let document = verdict(target.pid(), "10")?;
    let truths = target.ask("truth");
    for truth in list(&truths) {
        let Some(finding) = list(&document["findings"]).iter().find(|it| is_it(it, truth)) else {
            return Err(format!("{truth} is not in {document:#}").into());
        };
        assert_told(finding, truth);
        let leak = format!("{fixture} {}", text(&truth["name"]));
        assert_stable(interpreter, &leak, finding);
    }
    // A mock keeps its calls in several lists.
    if !ways.contains("mock") {
        assert_eq!(list(&document["findings"]).len(), list(&truths).len(), "{document:#}");
    }
    target.assert_healthy();
    Ok(())
}

fn nothing_is_found(
    interpreter: &'static Interpreter,
    fixture: &str,
    ways: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, fixture, &[ways]);
    let document = verdict(target.pid(), "8")?;
    assert_eq!(list(&document["findings"]), [] as [Value; 0], "{document:#}");
    target.assert_healthy();
    Ok(())
}

/// Collections that have a limit and will reach it soon are told with their limits.
fn is_full_soon(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, SIMPLE, &[FULL_SOON]);
    let document = verdict(target.pid(), "8")?;
    assert_eq!(list(&document["findings"]), [] as [Value; 0], "{document:#}");
    let limits: BTreeSet<&str> =
        list(&document["filling"]).iter().map(|it| text(&it["limit"]["name"])).collect();
    for name in ["maxlen", "maxsize"] {
        assert!(limits.contains(name), "{name} is not in {document:#}");
    }
    for filling in list(&document["filling"]) {
        assert!(filling["full_in_s"].as_f64() < Some(3600.0), "{filling:#}");
        assert!(filling["bytes_to_come"].as_f64() >= Some(0.0), "{filling:#}");
    }
    target.assert_healthy();
    Ok(())
}

/// A cache whose keys are picked at random fills ever more slowly; its line is told all the same.
fn a_falling_pace_is_no_leak(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, SIMPLE, &["levelling"]);
    let document = verdict(target.pid(), "8")?;
    let truth = &target.ask("truth")[0];
    assert_eq!(list(&document["findings"]), [] as [Value; 0], "{document:#}");
    let filling = list(&document["filling"]);
    assert_eq!(filling.len(), 1, "{document:#}");
    let growth = &filling[0]["growth"];
    assert!(is_it(growth, truth), "{document:#}");
    assert_eq!(filling[0]["limit"], Value::Null);
    assert_eq!(growth["feeders"][0]["own_frame"]["line"], truth["line"], "{document:#}");
    assert!(filling[0]["full_in_s"].as_f64() < Some(60.0), "{document:#}");
    target.assert_healthy();
    Ok(())
}

/// Half of the time is too short to make it a suspect.
fn what_only_the_last_look_shows_is_watched(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["slow"]);
    let document = verdict(target.pid(), "10")?;
    let truth = &target.ask("truth")[0];
    assert_eq!(list(&document["findings"]).len(), 1, "{document:#}");
    assert!(is_it(&document["findings"][0], truth), "{truth} is not in {document:#}");
    assert_told(&document["findings"][0], truth);
    target.assert_healthy();
    Ok(())
}

/// Works without perf events as well.
fn native_memory_is_told_apart(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["native"]);
    let output = hunt(target.pid(), &["--json", "--duration", "10", "--breakpoints", "ptrace"]);
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let findings = list(&document["findings"]);
    assert_eq!(findings.len(), 1, "{document:#}");
    assert_eq!(findings[0]["kind"], "native");
    // It asks for 20,000 bytes about a hundred times a second, at most.
    let rate = findings[0]["bytes_per_s"].as_f64().unwrap_or_default();
    assert!((500_000.0..=2_200_000.0).contains(&rate), "{document:#}");
    let truth = &target.ask("truth")[0];
    assert_eq!(findings[0]["feeders"][0]["own_frame"]["line"], truth["line"], "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn the_verdict_says_what_is_in_the_json(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["dict"]);
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("fed.svg");
    let output =
        hunt(target.pid(), &["-d", "8", "--fail-on-leak", "-o", picture.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    let line = target.ask("truth")[0]["line"].clone();
    for words in [
        "__main__.Session objects pile up in __main__.CACHE: in_dict",
        &format!("leaks.py:{line})  ←"),
        "module __main__ › CACHE",
        "a dict at module level; nothing limits it",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let drawn = std::fs::read_to_string(&picture)?;
    assert!(drawn.contains("__main__.CACHE") && drawn.contains("in_dict"), "{drawn}");
    target.assert_healthy();
    Ok(())
}

/// Runs a script under the hunt, with standard input closed.
fn run_under_hunt(interpreter: &Interpreter, options: &[&str], script: &str) -> Output {
    let mut command = leakspy_command();
    command.arg("hunt").args(options).arg("--").args(interpreter.argv()).args(["-c", script]);
    command.stdin(Stdio::null()).output().expect("the built leakspy starts")
}

fn a_command_is_hunted_and_fails_on_leaks(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let script = "\
import time
kept = []
until = time.monotonic() + 12
while time.monotonic() < until:
    kept.append(bytearray(100))
    time.sleep(0.01)
raise SystemExit(5)
";
    let output = run_under_hunt(interpreter, &["-d", "8", "--fail-on-leak"], script);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    assert!(
        said.contains("bytearray objects pile up in __main__.kept: <module> (<string>:5)"),
        "{said}"
    );
    let output = run_under_hunt(interpreter, &["-d", "1"], "raise SystemExit(5)");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    Ok(())
}

fn a_hunt_that_is_too_short_says_so(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["churn"]);
    let pid = target.pid().to_string();
    let mut hunting = Recording::start_command(["hunt", "--pid", &pid]);
    hunting.wait_until_said("Hunting;");
    hunting.signal(Signal::SIGINT);
    let recorded = hunting.end();
    assert_eq!(recorded.status.code(), Some(1), "{recorded:?}");
    assert!(recorded.said.contains("three times"), "{recorded:?}");
    target.assert_healthy();
    Ok(())
}
