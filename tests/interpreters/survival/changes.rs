//! The target changes while it is recorded: its program, its threads, its children; or it ends.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Health, Interpreter, Recording, Target, cases, interpreters, wait_until};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in ["perf", "ptrace"] {
        for from in ["here", "thread"] {
            trials.extend(cases(&format!("exec_from_{from}_{way}"), move |interpreter| {
                replaced(interpreter, way, from)
            }));
        }
        trials.extend(cases(&format!("threads_{way}"), move |interpreter| {
            many(interpreter, way, "threads", 400)
        }));
        trials.extend(cases(&format!("children_{way}"), move |interpreter| {
            many(interpreter, way, "children", 20)
        }));
        trials.extend(cases(&format!("forked_{way}"), move |interpreter| {
            a_child_goes_its_own_way(interpreter, way)
        }));
        trials.extend(cases(&format!("exits_{way}"), move |interpreter| {
            ends(interpreter, way, |target| target.tell("exit"))
        }));
        trials.extend(cases(&format!("target_killed_{way}"), move |interpreter| {
            ends(interpreter, way, |target| {
                kill(Pid::from_raw(target.pid()), Signal::SIGKILL).expect("it is there");
            })
        }));
    }
    trials.push(Trial::test("second leakspy", the_second_is_told_of_the_first));
    trials
}

/// `family.py` and a recording of it.
struct Recorded {
    target: Target,
    recording: Recording,
    output: PathBuf,
    _scratch: TempDir,
}

impl Recorded {
    fn start(interpreter: &Interpreter, way: &str) -> Recorded {
        let target = Target::start(interpreter, "family", &[]);
        let scratch = interpreter.scratch();
        let output = scratch.path().join("profile.json");
        let path = output.to_str().expect("UTF-8");
        let options = ["--breakpoints", way, "--format", "json", "--output", path];
        let mut recording = Recording::attach(target.pid(), &options);
        recording.wait_until_begun();
        Recorded { target, recording, output, _scratch: scratch }
    }

    /// Ends the recording, and checks that it left a healthy target and a profile.
    fn finish(mut self) -> Result<(), Failed> {
        self.recording.signal(Signal::SIGINT);
        self.recording.end().assert_success();
        self.target.assert_healthy();
        Health::assert_runs_on(self.target.pid());
        assert_profile(&fs::read(&self.output)?)
    }
}

fn assert_profile(bytes: &[u8]) -> Result<(), Failed> {
    let profile: Value = serde_json::from_slice(bytes)?;
    assert!(profile["samples"].as_u64() > Some(0), "no samples");
    Ok(())
}

/// The program is replaced by another Python, which is recorded as well.
fn replaced(interpreter: &'static Interpreter, way: &str, from: &str) -> Result<(), Failed> {
    let mut recorded = Recorded::start(interpreter, way);
    for _ in 0..3 {
        Health::assert_runs_on(recorded.target.pid());
        recorded.target.tell(&format!("exec {from}"));
        assert_eq!(recorded.target.line(), "READY");
        wait_until("the new program is traced", || recorded.target.health().is_traced());
    }
    Health::assert_runs_on(recorded.target.pid());
    recorded.finish()
}

/// Threads or children come and go at a high rate, and none dies of a breakpoint.
fn many(
    interpreter: &'static Interpreter,
    way: &str,
    what: &str,
    number: u64,
) -> Result<(), Failed> {
    let mut recorded = Recorded::start(interpreter, way);
    recorded.target.ask(&format!("{what} on"));
    wait_until("many have come and gone", || {
        recorded.target.ask("seen")[what].as_u64() >= Some(number)
    });
    assert_eq!(recorded.target.ask("seen")["broken"], 0);
    recorded.finish()
}

/// A forked child has its parent's memory but not its breakpoints.
fn a_child_goes_its_own_way(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut recorded = Recorded::start(interpreter, way);
    for question in ["fork", "spawn"] {
        let child = recorded.target.ask(question)["child"].as_i64().expect("a child") as i32;
        Health::assert_runs_on(child);
        let health = Health::of(child);
        assert!(health.is_good(), "{health:?}");
        assert_eq!(recorded.target.ask(&format!("end {child}")), json!({"status": 9}));
    }
    recorded.finish()
}

/// The target ends: leakspy notices by itself, whether or not the zombie is collected, and writes what it
/// has.
fn ends(
    interpreter: &'static Interpreter,
    way: &str,
    end: impl Fn(&mut Target),
) -> Result<(), Failed> {
    let mut recorded = Recorded::start(interpreter, way);
    Health::assert_runs_on(recorded.target.pid());
    end(&mut recorded.target);
    recorded.recording.end().assert_success();
    recorded.target.wait();
    assert_profile(&fs::read(&recorded.output)?)
}

fn the_second_is_told_of_the_first() -> Result<(), Failed> {
    let interpreter = interpreters().first().ok_or("no interpreter")?;
    let first = Recorded::start(interpreter, "auto");
    let second = Recording::attach(first.target.pid(), &["-d", "1", "-o", "/dev/null"]).end();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.said.contains("already being traced"), "{second:?}");
    assert!(second.said.contains("leakspy"), "{second:?}");
    assert_eq!(second.said.lines().count(), 1, "{second:?}");
    assert!(first.target.health().is_traced());
    first.finish()
}
