//! `--nonblocking`: the target is never touched, and leakspy says what the recording lacks.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{command, float, list, once, version, work_for_a_second};
use crate::support::{self, Health, Interpreter, Recorded, Recording, Target};

pub fn trials() -> Vec<Trial> {
    vec![
        once("nonblocking", the_target_is_never_touched),
        once("nonblocking_family", threads_and_children_are_kept_apart),
        once("nonblocking_command", a_command_is_recorded_from_its_start),
        once("nonblocking_replaced", a_program_that_is_replaced_goes_on_being_recorded),
        once("nonblocking_idle", an_idle_target_is_said_to_be_so),
    ]
}

/// The message before recording starts.
const WARNING: &str = "Without pauses only stacks are recorded";

/// Records until `work` is done.
fn record(pid: i32, options: &[&str], mut work: impl FnMut()) -> Result<(Value, Recorded), Failed> {
    let form = ["--nonblocking", "--rate", super::RATE, "--format", "json", "--output", "-"];
    let mut recording = Recording::attach(pid, &[&form, options].concat());
    recording.wait_until_begun();
    work();
    assert!(Health::of(recording.pid().as_raw()).alive, "it ended by itself");
    recording.signal(Signal::SIGINT);
    let recorded = recording.end();
    recorded.assert_success();
    Ok((stacks_only(&recorded)?, recorded))
}

/// The profile; asserts that it is one without memory and without pauses.
fn stacks_only(recorded: &Recorded) -> Result<Value, Failed> {
    assert!(recorded.said.starts_with(WARNING), "{recorded:?}");
    assert!(recorded.said.contains("nothing about memory"), "{recorded:?}");
    assert!(recorded.said.contains("The target was never paused."), "{recorded:?}");
    let profile: Value = serde_json::from_str(&recorded.stdout)?;
    support::assert_documented("`leakspy record --format json`", &profile);
    assert_eq!(profile["view"], "stacks");
    assert_eq!(profile["pause_s"], json!({"mean": 0.0, "max": 0.0, "total": 0.0}));
    for estimate in ["error", "bytes_per_s", "allocations_per_s"] {
        assert_eq!(profile[estimate], json!(null), "{estimate}");
    }
    let stacks = list(&profile["stacks"]);
    for stack in stacks {
        assert_eq!((&stack["bytes"], &stack["allocation"]), (&json!(0), &json!(null)));
    }
    let samples: f64 = stacks.iter().map(|stack| float(&stack["objects"])).sum();
    assert_eq!(samples, float(&profile["samples"]));
    Ok(profile)
}

fn the_target_is_never_touched(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let pid = target.pid();
    let (profile, recorded) = record(pid, &[], || {
        for _ in 0..10 {
            Health::assert_runs_on(pid);
            assert!(Health::of(pid).is_good());
        }
    })?;
    assert_eq!((&profile["pid"], &profile["command"]), (&json!(pid), &json!(command(pid))));
    assert_eq!(profile["python"], version(interpreter));
    // The fixture computes most of the time.
    let computes = |stack: &&Value| stack["stack"][0]["function"] == "compute";
    let stack = list(&profile["stacks"]).iter().find(computes).ok_or("it never computes")?;
    assert_eq!(stack["roots"], json!([]));
    assert_eq!(stack["stack"][0]["file"], json!(interpreter.fixture("allocation_sites.py")));
    assert!(recorded.said.contains("\nHeaviest stacks by samples:\n"), "{recorded:?}");
    target.assert_healthy();
    Ok(())
}

fn threads_and_children_are_kept_apart(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let child = target.ask("spawn")["child"].as_i64().ok_or("no child")? as i32;
    let (pid, mut late) = (target.pid(), 0);
    let (profile, recorded) = record(pid, &["--threads", "--subprocesses"], || {
        late = target.ask("spawn")["child"].as_i64().expect("a child") as i32;
        for pid in [pid, child, late] {
            work_for_a_second(pid);
        }
    })?;
    let root = |stack: &Value| list(&stack["roots"]).to_vec();
    let found: BTreeSet<String> = list(&profile["stacks"])
        .iter()
        .map(|stack| serde_json::to_string(&root(stack)).expect("JSON"))
        .collect();
    for (pid, thread) in [(pid, "compute_for_ever"), (child, "MainThread"), (late, "MainThread")] {
        let process = format!("process {pid}: {}", command(pid));
        let expected = json!([process, format!("thread {thread}")]).to_string();
        assert!(found.contains(&expected), "{expected} is not in {found:#?}, {recorded:?}");
    }
    target.assert_healthy();
    Ok(())
}

/// It is not a Python when the recording begins.
fn a_command_is_recorded_from_its_start(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile.json");
    let script = "\
import time
input()
until = time.process_time() + 1
while time.process_time() < until: pass
print('done')
exit(3)";
    let options = ["--nonblocking", "--format", "json", "--output"].map(Into::into);
    let command = interpreter.argv().into_iter().chain(["-c", script].map(Into::into));
    let words = options.into_iter().chain([file.clone().into(), "--".into()]).chain(command);
    let mut recording = Recording::start(words);
    recording.wait_until_begun();
    recording.tell("work");
    let recorded = recording.end();
    assert_eq!((recorded.status.code(), &*recorded.stdout), (Some(3), "done\n"), "{recorded:?}");
    let stdout = fs::read_to_string(&file)?;
    let profile = stacks_only(&Recorded { stdout, ..recorded })?;
    let first = list(&profile["stacks"]).first().ok_or("no stacks")?;
    assert_eq!(first["stack"][0], json!({"function": "<module>", "file": "<string>", "line": 4}));
    Ok(())
}

/// Stacks seen before are not lost, and the new program is seen too.
fn a_program_that_is_replaced_goes_on_being_recorded(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let pid = target.pid();
    let (profile, recorded) = record(pid, &[], || {
        work_for_a_second(pid);
        for _ in 0..3 {
            target.tell("exec here");
            assert_eq!(target.line(), "READY");
            work_for_a_second(pid);
        }
    })?;
    assert!(float(&profile["samples"]) > 0.0, "{recorded:?}");
    target.assert_healthy();
    Ok(())
}

fn an_idle_target_is_said_to_be_so(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let form = ["--nonblocking", "--format", "json", "--output", "-", "--duration", "0.3"];
    let recorded = Recording::attach(target.pid(), &form).end();
    recorded.assert_success();
    assert_eq!(stacks_only(&recorded)?["stacks"], json!([]));
    let told = format!("Process {} was never seen to run Python in 0.", target.pid());
    assert!(recorded.said.contains(&told), "{recorded:?}");
    target.assert_healthy();
    Ok(())
}
