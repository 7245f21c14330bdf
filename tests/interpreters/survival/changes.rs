//! The target changes while it is recorded: its program, its threads, its children; or it ends.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Health, Interpreter, Recording, Target, cases, interpreters, leakspy, wait_until,
};

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
    for how in ["here", "thread"] {
        trials.push(Trial::test(format!("replacing::{how}"), move || again_and_again(how)));
    }
    trials.push(Trial::test("replacing::children", children_that_replace_their_programs));
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

/// A program that soon replaces itself is recorded for as long as was asked for, and everything else says so.
fn again_and_again(how: &str) -> Result<(), Failed> {
    let interpreter = interpreters().first().ok_or("no interpreter")?;
    let target = Target::start(interpreter, "replacing", &[how]);
    let begun = Instant::now();
    let recorded = Recording::attach(target.pid(), &["-d", "2", "-o", "/dev/null"]).end();
    // Once the kernel is asked at the wrong moment, there is nothing to record.
    assert!(recorded.status.success() || is_replaced(&recorded.said), "{recorded:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    let hunt = leakspy(["hunt", "-d", "3", "--pid", &target.pid().to_string()]);
    let said = String::from_utf8(hunt.stderr)?;
    assert_eq!(hunt.status.code(), Some(1), "{said}");
    assert!(is_replaced(&said), "{said}");
    Ok(())
}

fn is_replaced(said: &str) -> bool {
    said.contains("has replaced its program (exec)")
}

/// Children of all kinds do not concern the process that starts them.
fn children_that_replace_their_programs() -> Result<(), Failed> {
    let interpreter = interpreters().first().ok_or("no interpreter")?;
    let target = Target::start(interpreter, "replacing", &["children"]);
    Recording::attach(target.pid(), &["-d", "2", "-o", "/dev/null"]).end().assert_success();
    let hunt =
        leakspy(["hunt", "-d", "2", "--no-subprocesses", "--pid", &target.pid().to_string()]);
    assert!(hunt.status.success(), "{hunt:?}");
    assert!(!target.health().is_traced() && !target.health().is_stopped());
    Ok(())
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
