//! `leakspy watch` as a user runs it: it acts when a condition is met, once, reports that by its exit status,
//! and leaves the process unharmed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, case_for_root, interpreters, leakspy, leakspy_command,
    wait_until,
};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let tests: [(&str, Test); 9] = [
        ("watch_rss", it_fires_at_the_crossing_and_once),
        ("watch_every", it_fires_every_time_with_hysteresis),
        ("watch_growth", it_fires_on_growth),
        ("watch_objects", it_fires_on_objects_and_arenas),
        ("watch_stop", a_stopped_process_can_be_debugged_and_goes_on),
        ("watch_end", the_end_of_the_process_has_a_last_word),
        ("watch_name", it_follows_a_service_that_starts_again),
        ("watch_actions", every_action_is_done),
        ("watch_terminal", a_terminal_shows_how_it_goes),
    ];
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|(name, test)| Trial::test(format!("{name}::{}", some.name), move || test(some)))
        .collect();
    trials.push(case_for_root("watch_pid_again", || a_pid_that_is_used_again_is_another(some)));
    trials.push(Trial::test("watch_arguments", conditions_are_needed));
    trials
}

/// A running `leakspy watch`.
struct Watching {
    child: Child,
    errors: BufReader<ChildStderr>,
    said: String,
}

impl Watching {
    fn start(whom: &[&str], options: &[&str]) -> Watching {
        let mut child = leakspy_command()
            .arg("watch")
            .args(whom)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built leakspy starts");
        let errors = BufReader::new(child.stderr.take().expect("stderr is piped"));
        Watching { child, errors, said: String::new() }
    }

    /// Waits until it prints these words.
    fn wait_until_said(&mut self, words: &str) {
        while !self.said.contains(words) {
            let read = self.errors.read_line(&mut self.said).expect("UTF-8");
            assert!(read > 0, "it ended before it said {words}: {}", self.said);
        }
        self.said.clear();
    }

    fn status(mut self) -> Option<i32> {
        while self.errors.read_line(&mut self.said).is_ok_and(|read| read > 0) {}
        self.child.wait().expect("a child can be waited for").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(target: &Target, options: &[&str]) -> Watching {
    let mut watching = Watching::start(&["--pid", &target.pid().to_string()], options);
    watching.wait_until_said("Watching process");
    watching
}

fn rss(target: &Target) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{}/statm", target.pid())).expect("it is there");
    4096 * statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn it_fires_at_the_crossing_and_once(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let limit = rss(&target) + (8 << 20);
    let (interval, pages_per_second) = (1.0, 4000.0);
    let mut watching = watch(&target, &["--rss-above", &format!("{limit}B"), "-i", "1"]);
    target.ask("grow 4000");
    watching.wait_until_said("the limit is");
    let beyond = rss(&target).saturating_sub(limit) as f64;
    assert_eq!(watching.status(), Some(0));
    // One interval, and a quarter of one for a busy machine.
    let most = 1.25 * interval * pages_per_second * 4096.0;
    assert!(beyond <= most, "fired {beyond} bytes beyond the limit, at most {most} expected");
    target.assert_healthy();
    Ok(())
}

fn it_fires_every_time_with_hysteresis(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let limit = format!("{}B", rss(&target) + (8 << 20));
    let options = ["--rss-above", &limit, "-i", "0.02", "--every"];
    let mut watching = watch(&target, &options);
    target.ask("saw 10000 0.5");
    for _ in 0..2 {
        watching.wait_until_said("the limit is");
        watching.wait_until_said("is below again");
    }
    kill(Pid::from_raw(watching.child.id() as i32), Signal::SIGINT)?;
    assert_eq!(watching.status(), Some(0));
    Ok(())
}

fn it_fires_on_growth(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let options = ["--growth", "100MiB/min", "--window", "1", "-i", "0.05"];
    let still = watch(&target, &[&options[..], &["-d", "2"]].concat());
    assert_eq!(still.status(), Some(3));
    let mut watching = watch(&target, &options);
    target.ask("grow 1000");
    watching.wait_until_said("it grows by");
    assert_eq!(watching.status(), Some(0));
    Ok(())
}

fn it_fires_on_objects_and_arenas(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "holders", &["global"]);
    let pid = target.pid().to_string();
    let fires = |options: &[&str]| -> Output {
        let fixed = ["watch", "--pid", &pid, "-d", "1.5", "-i", "0.1"];
        leakspy(fixed.iter().chain(options))
    };
    let output = fires(&["--objects", "Row>1000", "--objects-interval", "0.1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("objects of Row, the limit is 1000"), "{output:?}");
    let many = ["--objects", "Row>100000000", "--objects-interval", "0.1"];
    assert_eq!(fires(&many).status.code(), Some(3));
    assert_eq!(fires(&["--arena-above", "100KiB"]).status.code(), Some(0));
    let output = fires(&["--objects", "Row>1000", "--json", "--dump", "--mem"]);
    let documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    let documents: Vec<Value> = documents.collect::<Result<_, _>>()?;
    let [watching, met, mem, dump] = documents.as_slice() else { panic!("{documents:?}") };
    for event in [watching, met] {
        assert_documented("`leakspy watch --json`", event);
    }
    assert_eq!((&watching["event"], &met["event"]), (&"watching".into(), &"met".into()));
    assert_eq!((&met["condition"], &met["type"]), (&"objects".into(), &"Row".into()));
    assert_eq!(met["limit"].as_f64(), Some(1000.0));
    let said = text(&output.stderr);
    let figure = met["figure"].as_f64().ok_or("no figure")?;
    assert!(said.contains(&format!("{figure} objects of Row, the limit is 1000")), "{said}");
    assert_documented("`leakspy mem --json`", mem);
    assert_documented("`leakspy dump --json`", dump);
    assert_eq!(fires(&["--arena-above", "100GiB"]).status.code(), Some(3));
    Ok(())
}

/// While it waits, a terminal shows the resident set, the limit and the slope; what is no terminal gets none of it.
fn a_terminal_shows_how_it_goes(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "memory_over_time", &[]);
    let pid = target.pid().to_string();
    let options = ["watch", &pid, "--rss-above", "100GiB", "-d", "1.5", "-i", "0.1"];
    let piped = leakspy(options);
    assert!(!text(&piped.stderr).contains("now "), "{piped:?}");
    let command = format!("{} {}", env!("CARGO_BIN_EXE_leakspy"), options.join(" "));
    let Ok(output) = Command::new("script").args(["-qec", &command, "/dev/null"]).output() else {
        println!("script is not installed: what a terminal shows is not tested");
        return Ok(());
    };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains(" of 100.00 GiB") && shown.contains("now "), "{shown}");
    assert!(shown.contains("flat") || shown.contains("grows"), "{shown}");
    Ok(())
}

fn a_stopped_process_can_be_debugged_and_goes_on(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let pid = target.pid().to_string();
    let mut watching = watch(&target, &["--rss-above", "1MiB", "--stop"]);
    watching.wait_until_said(&format!("kill -CONT {pid}"));
    assert_eq!(watching.status(), Some(0));
    wait_until("it is stopped", || target.health().is_stopped());
    // Attached as any debugger does it, then by gdb where it is installed.
    let debugged = Pid::from_raw(target.pid());
    ptrace::attach(debugged)?;
    assert_eq!(waitpid(debugged, None)?, WaitStatus::Stopped(debugged, Signal::SIGSTOP));
    ptrace::detach(debugged, Signal::SIGSTOP)?;
    wait_until("it is stopped again", || target.health().is_stopped());
    if let Ok(output) =
        Command::new("gdb").args(["-p", &pid, "-batch", "-ex", "info threads"]).output()
    {
        let said = text(&output.stdout);
        assert!(said.contains("* 1 "), "{output:?}");
        // A debugger that leaves lets a process continue, unless it was stopped before: SIGSTOP makes sure.
        kill(debugged, Signal::SIGSTOP)?;
    }
    kill(Pid::from_raw(target.pid()), Signal::SIGCONT)?;
    wait_until("it goes on", || !target.health().is_stopped());
    target.assert_healthy();
    Ok(())
}

fn the_end_of_the_process_has_a_last_word(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let mut watching = watch(&target, &["--rss-above", "100GiB", "-i", "0.05"]);
    target.tell("exit");
    target.wait();
    watching.wait_until_said("has ended. The most memory that was seen of it is");
    assert_eq!(watching.status(), Some(3));
    Ok(())
}

fn a_pid_that_is_used_again_is_another(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let pid = target.ask("child 100").to_string();
    let options = ["--rss-above", "100MiB", "-i", "0.5"];
    let mut watching = Watching::start(&["--pid", &pid], &options);
    watching.wait_until_said("Watching process");
    assert_eq!(target.ask(&format!("instead {pid} 30000")).to_string(), pid);
    watching.wait_until_said("has ended");
    assert_eq!(watching.status(), Some(3));
    Ok(())
}

fn it_follows_a_service_that_starts_again(interpreter: &'static Interpreter) -> Result<(), Failed> {
    // The fixture's command line ends in a unique word.
    let word = format!("service-{}", std::process::id());
    let options = ["--rss-above", "100GiB", "-i", "0.05"];
    let mut watching = Watching::start(&["--name", &word], &options);
    watching.wait_until_said("Waiting for a process");
    for _ in 0..2 {
        let mut target = Target::start(interpreter, "memory_over_time", &[&word]);
        watching.wait_until_said(&format!("Watching process {}", target.pid()));
        target.tell("exit");
        target.wait();
        watching.wait_until_said("has ended");
    }
    kill(Pid::from_raw(watching.child.id() as i32), Signal::SIGTERM)?;
    assert_eq!(watching.status(), Some(3));
    Ok(())
}

fn every_action_is_done(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "holders", &["global"]);
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let [heap, svg, told, snapshot] = ["heap.json", "live.svg", "told", "a.leakspy"].map(path);
    let began = Instant::now();
    let output = leakspy([
        "watch",
        "--pid",
        &target.pid().to_string(),
        "--rss-above",
        "1MiB",
        "--mem",
        "--dump",
        "--heap",
        &heap,
        "--record",
        &svg,
        "--snapshot",
        &snapshot,
        "--exec",
        &format!("echo {{pid}} > {told}"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(fs::read_to_string(&heap)?.contains("\"schema\":"));
    assert!(fs::read_to_string(&svg)?.contains("<svg"));
    assert!(text(&leakspy(["heap", &*snapshot]).stdout).contains("__main__.Row"));
    assert_eq!(fs::read_to_string(&told)?.trim(), target.pid().to_string());
    let printed = text(&output.stdout);
    for words in ["__main__.Row", "Mapped files", "serve ("] {
        assert!(printed.contains(words), "{words} in {printed}");
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    target.assert_healthy();
    Ok(())
}

fn conditions_are_needed() -> Result<(), Failed> {
    let own = std::process::id().to_string();
    let output = leakspy(["watch", "--pid", &own]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = leakspy(["watch", "--rss-above", "1GiB"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = leakspy(["watch", "--pid", &own, "--growth", "1GiB"]);
    assert!(text(&output.stderr).contains("50MiB/min"), "{output:?}");
    Ok(())
}
