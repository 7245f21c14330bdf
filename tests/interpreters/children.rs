//! Processes that have Python children: a hunt looks at them too, and what several leak in the same way is one
//! finding; the other commands say whom they leave out.

use std::process::Output;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::{
    Interpreter, Recording, Target, assert_documented, cases, interpreters, leakspy,
};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("children_all_leak", workers_that_leak_alike_are_one_finding);
    trials.extend(cases("children_none_leaks", healthy_workers_are_calm));
    let some = interpreters().last().expect("an interpreter");
    let others: [(&str, Test); 9] = [
        ("children_one_leaks", one_of_four_is_named),
        ("children_master_leaks", a_master_that_leaks_alone_is_named),
        ("children_later", one_that_is_forked_during_the_hunt_is_hunted),
        ("children_replaced", one_that_is_replaced_does_not_spoil_the_hunt),
        ("children_late", one_that_is_forked_at_the_end_is_told),
        ("children_short_lived", those_that_live_for_a_moment_are_left_alone),
        ("children_left_out", a_hunt_of_one_process_keeps_its_shape),
        ("children_told", the_other_commands_say_whom_they_leave_out),
        ("children_mem", private_and_shared_memory_are_those_of_the_kernel),
    ];
    for (name, test) in others {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials
}

fn start(interpreter: &Interpreter, workers: &str, who: &str) -> (Target, Value) {
    let mut target = Target::start(interpreter, "preforked", &[workers, who]);
    let truth = target.ask("truth");
    (target, truth)
}

fn run(command: &str, pid: i32, options: &[&str]) -> Output {
    leakspy([command, "--pid", &pid.to_string()].iter().chain(options))
}

fn document(output: &[u8]) -> Result<Value, Failed> {
    let document = serde_json::from_slice(output)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

fn hunt(pid: i32) -> Result<Value, Failed> {
    let output = run("hunt", pid, &["--json", "--duration", "8"]);
    assert!(output.status.success(), "{output:?}");
    document(&output.stdout)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The PIDs in an array of objects, in order.
fn pids(value: &Value) -> Vec<i64> {
    let mut pids: Vec<i64> = list(value).iter().filter_map(|it| it["pid"].as_i64()).collect();
    pids.sort_unstable();
    pids
}

/// The numbers in an array, in order.
fn numbers(value: &Value) -> Vec<i64> {
    let mut numbers: Vec<i64> = list(value).iter().filter_map(Value::as_i64).collect();
    numbers.sort_unstable();
    numbers
}

/// Asserts that exactly these processes leak, and that this is one finding with the line that feeds it.
fn assert_leaks(document: &Value, leaking: &[i64], line: &Value) {
    let findings = list(&document["together"]["findings"]);
    assert_eq!(findings.len(), 1, "{document:#}");
    let finding = &findings[0];
    assert_eq!(finding["type"], "__main__.Session", "{document:#}");
    assert_eq!(finding["holder"]["name"], "__main__.CACHE", "{document:#}");
    assert_eq!(pids(&finding["processes"]), leaking, "{document:#}");
    // Workers that were forked later have another stack below.
    let is_right = |feeder: &&Value| feeder["own_frame"]["line"] == *line;
    let feeders = list(&finding["feeders"]).iter().filter(is_right);
    let share: f64 = feeders.filter_map(|feeder| feeder["share"].as_f64()).sum();
    assert!((0.9..1.001).contains(&share), "{document:#}");
    for figure in ["objects_per_s", "bytes_per_s"] {
        let number = |value: &Value| value[figure].as_f64().unwrap_or_default();
        let sum: f64 = list(&finding["processes"]).iter().map(number).sum();
        assert!((number(finding) - sum).abs() <= 1e-6 * sum.abs(), "{document:#}");
        assert!(sum > 0.0, "{document:#}");
    }
}

fn workers_that_leak_alike_are_one_finding(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "4", "all");
    let document = hunt(target.pid())?;
    let workers = numbers(&truth["workers"]);
    assert_eq!(document["pid"], target.pid());
    assert_eq!(document["findings"], json!([]), "{document:#}");
    assert_eq!(pids(&document["subprocesses"]), workers, "{document:#}");
    assert_leaks(&document, &workers, &truth["line"]);
    for figure in ["objects", "bytes", "rss_bytes", "captures"] {
        let number = |value: &Value| value[figure].as_u64().unwrap_or_default();
        let children: u64 = list(&document["subprocesses"]).iter().map(number).sum();
        assert_eq!(number(&document["together"]), number(&document) + children, "{figure}");
    }
    target.assert_healthy();
    Ok(())
}

fn healthy_workers_are_calm(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "4", "none");
    let document = hunt(target.pid())?;
    assert_eq!(pids(&document["subprocesses"]), numbers(&truth["workers"]), "{document:#}");
    assert_eq!(document["together"]["findings"], json!([]), "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn one_of_four_is_named(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "4", "one");
    let worker = truth["workers"][3].as_i64().ok_or("a PID")?;
    assert_leaks(&hunt(target.pid())?, &[worker], &truth["line"]);
    // For a person, and for CI.
    let output = run("hunt", target.pid(), &["--duration", "8", "--fail-on-leak"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    for words in [
        "and 4 child processes".to_owned(),
        format!("__main__.CACHE in process {worker}: remember (fixtures/preforked.py:"),
    ] {
        assert!(said.contains(&words), "{words:?} is not in {said}");
    }
    target.assert_healthy();
    Ok(())
}

fn a_master_that_leaks_alone_is_named(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "2", "master");
    let document = hunt(target.pid())?;
    assert_leaks(&document, &[target.pid().into()], &truth["line"]);
    assert_eq!(list(&document["findings"]).len(), 1, "{document:#}");
    target.assert_healthy();
    Ok(())
}

/// Hunts, and does something to the target once the hunt has begun.
fn hunt_while(
    target: &mut Target,
    seconds: &str,
    act: impl FnOnce(&mut Target) -> Value,
) -> Result<(Value, Value), Failed> {
    let pid = target.pid().to_string();
    let mut hunting =
        Recording::start_command(["hunt", "--json", "--duration", seconds, "--pid", &pid]);
    hunting.wait_until_said("Hunting;");
    let acted = act(target);
    let recorded = hunting.end();
    assert!(recorded.status.success(), "{recorded:?}");
    Ok((document(recorded.stdout.as_bytes())?, acted))
}

fn one_that_is_forked_during_the_hunt_is_hunted(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "1", "all");
    let (document, added) = hunt_while(&mut target, "12", |target| target.ask("add"))?;
    let mut workers = numbers(&truth["workers"]);
    workers.extend(added["worker"].as_i64());
    workers.sort_unstable();
    assert_eq!(pids(&document["subprocesses"]), workers, "{document:#}");
    assert_leaks(&document, &workers, &truth["line"]);
    target.assert_healthy();
    Ok(())
}

fn one_that_is_replaced_does_not_spoil_the_hunt(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "3", "all");
    let (document, replaced) = hunt_while(&mut target, "12", |target| target.ask("replace"))?;
    let ended = &replaced["ended"];
    assert_eq!(document["left_out"], json!([{"pid": ended, "reason": "ended"}]), "{document:#}");
    let mut workers = numbers(&truth["workers"]);
    workers.retain(|worker| Some(*worker) != ended.as_i64());
    workers.extend(replaced["worker"].as_i64());
    workers.sort_unstable();
    assert_leaks(&document, &workers, &truth["line"]);
    target.assert_healthy();
    Ok(())
}

/// So short a hunt leaves no time for others.
fn one_that_is_forked_at_the_end_is_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "1", "none");
    let (document, added) = hunt_while(&mut target, "2", |target| target.ask("add"))?;
    assert_eq!(pids(&document["subprocesses"]), numbers(&truth["workers"]), "{document:#}");
    let late = json!([{"pid": added["worker"], "reason": "late"}]);
    assert_eq!(document["left_out"], late, "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn those_that_live_for_a_moment_are_left_alone(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "1", "none");
    let (document, _) = hunt_while(&mut target, "6", |target| target.ask("blink 30"))?;
    assert_eq!(pids(&document["subprocesses"]), numbers(&truth["workers"]), "{document:#}");
    assert_eq!(document.get("left_out"), None, "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn a_hunt_of_one_process_keeps_its_shape(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, _) = start(interpreter, "1", "all");
    let options = ["--json", "--duration", "3", "--no-subprocesses"];
    let document = document(&run("hunt", target.pid(), &options).stdout)?;
    for key in ["subprocesses", "together", "left_out"] {
        assert_eq!(document.get(key), None, "{document:#}");
    }
    assert_eq!(document["findings"], json!([]), "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn the_other_commands_say_whom_they_leave_out(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "2", "none");
    let workers = numbers(&truth["workers"]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    let file = file.to_str().ok_or("UTF-8")?;
    for (command, options) in [
        ("heap", &[][..]),
        ("mem", &[]),
        ("record", &["--output", file]),
        ("record", &["--output", file, "--view", "alloc", "--duration", "0.2"]),
        ("timeline", &["--output", file, "--duration", "0.2"]),
        ("watch", &["--rss-above", "1B", "--duration", "5"]),
    ] {
        let said = |option: &[&str]| -> Result<String, Failed> {
            let output = run(command, target.pid(), &[options, option].concat());
            assert!(output.status.success(), "{command}: {output:?}");
            Ok(String::from_utf8(output.stderr)?)
        };
        let by_itself = said(&[])?;
        let line = by_itself.lines().find(|line| line.contains("`--subprocesses` (`-s`)"));
        let line = line.ok_or_else(|| format!("{command}: {by_itself}"))?;
        for worker in &workers {
            assert!(line.contains(&worker.to_string()), "{command}: {line}");
        }
        for option in ["--subprocesses", "--no-subprocesses"] {
            let said = said(&[option])?;
            assert!(!said.contains("not included"), "{command} {option}: {said}");
        }
    }
    target.assert_healthy();
    // One without children has nothing to say.
    let worker = i32::try_from(workers[0])?;
    let output = run("heap", worker, &[]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(())
}

fn private_and_shared_memory_are_those_of_the_kernel(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let (mut target, truth) = start(interpreter, "2", "none");
    let output = run("mem", target.pid(), &["--json", "--subprocesses"]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy mem --json`", &document);
    assert_eq!(pids(&document["subprocesses"]), numbers(&truth["workers"]), "{document:#}");
    let all = || [&document].into_iter().chain(list(&document["subprocesses"]));
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or_default();
    for process in all() {
        let pid = &process["pid"];
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let figure = |name: &str| -> u64 {
            let line = rollup.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let word = line.split_whitespace().nth(1).unwrap_or_default();
            1024 * word.parse::<u64>().unwrap_or_default()
        };
        let private = figure("Private_Clean:") + figure("Private_Dirty:");
        let shared = figure("Shared_Clean:") + figure("Shared_Dirty:");
        let uss = number(process, "uss_bytes");
        let others = number(process, "rss_bytes") - uss;
        for (found, expected) in [(uss, private), (others, shared)] {
            assert!(found.abs_diff(expected) < 1 << 20, "{found}: {expected} in {process:#}");
        }
        assert!(others > 1 << 20, "{process:#}");
    }
    assert_eq!(document["total"]["processes"], 3);
    for key in ["rss_bytes", "uss_bytes", "pss_bytes"] {
        let sum: u64 = all().map(|process| number(process, key)).sum();
        assert_eq!(document["total"][key], sum, "{document:#}");
    }
    target.assert_healthy();
    Ok(())
}
