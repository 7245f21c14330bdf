//! `record --subprocesses`: children that start later are recorded, whatever they become.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Health, Interpreter, Recording, Target, cases, wait_until};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("children_are_recorded", children_are_recorded);
    trials.extend(cases("children_are_many", children_are_many));
    trials
}

fn children_are_recorded(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let scratch = interpreter.scratch();
    let output = scratch.path().join("profile.json");
    let path = output.to_str().expect("UTF-8");
    let options = ["--subprocesses", "--format", "json", "--output", path];
    let mut recording = Recording::attach(target.pid(), &options);
    recording.wait_until_begun();
    let mut child = |question| target.ask(question)["child"].as_i64().expect("a child") as i32;
    let family = [child("fork"), child("spawn"), child("fork")];
    for pid in family {
        wait_until("the child is traced", || Health::of(pid).is_traced());
        Health::assert_runs_on(pid);
    }
    let replaced = family[2];
    let started = command(replaced);
    let old_tracer = tracer(replaced);
    kill(Pid::from_raw(replaced), Signal::SIGUSR1)?;
    wait_until("the child has another program", || command(replaced) != started);
    // Each program has a guardian of its own; the old one has yet to notice that its program is gone.
    wait_until("that is traced, too", || ![old_tracer, 0].contains(&tracer(replaced)));
    // The first burst comes after 20 ms on average.
    for _ in 0..3 {
        Health::assert_runs_on(replaced);
    }

    recording.signal(Signal::SIGINT);
    recording.end().assert_success();
    for pid in family.into_iter().chain([target.pid()]) {
        Health::assert_runs_on(pid);
        let health = Health::of(pid);
        assert!(health.is_good(), "{health:?}");
    }
    target.assert_healthy();

    let roots = roots(&serde_json::from_slice(&fs::read(&output)?)?);
    for pid in family.into_iter().chain([target.pid()]) {
        let root = format!("process {pid}: {}", command(pid));
        assert!(roots.contains(&root), "{root} is not in {roots:#?}");
    }
    let root = format!("process {replaced}: {started}");
    assert!(roots.contains(&root), "{root} is not in {roots:#?}");
    Ok(())
}

/// Short-lived children: none dies of the recording, and none is waited for.
fn children_are_many(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let options = ["--subprocesses", "--format", "json", "--output", "/dev/null"];
    let mut recording = Recording::attach(target.pid(), &options);
    recording.wait_until_begun();
    target.ask("children on");
    wait_until("many have come and gone", || target.ask("seen")["children"].as_u64() >= Some(20));
    assert_eq!(target.ask("seen")["broken"], 0);
    recording.signal(Signal::SIGINT);
    recording.end().assert_success();
    target.assert_healthy();
    assert_eq!(target.ask("seen")["broken"], 0);
    Ok(())
}

/// The tracer of a process's first thread; 0 for none.
fn tracer(pid: i32) -> i32 {
    Health::of(pid).threads.first().map_or(0, |thread| thread.tracer)
}

/// The command line of a process, as leakspy shows it.
fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ")
}

fn roots(profile: &Value) -> BTreeSet<String> {
    let stacks = profile["stacks"].as_array().into_iter().flatten();
    stacks.filter_map(|stack| stack["roots"][0].as_str().map(str::to_owned)).collect()
}
