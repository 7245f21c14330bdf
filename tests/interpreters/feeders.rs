//! The feeders that leakspy finds by watching, against the fixture's own account.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leakspy::guardian::report::Work;
use leakspy::guardian::{Limits, Program};
use leakspy::hunt::inserts::feeders::{Outcome, WatchOptions, Watched, Watching};
use leakspy::hunt::inserts::growth_counters::growth_word;
use leakspy::hunt::inserts::hits::Watch;
use leakspy::hunt::inserts::insert_counts::{Fed, SeenStack};
use leakspy::hunt::mallocs::blocks::Follow;
use leakspy::hunt::mallocs::functions::Growing;
use leakspy::hunt::mallocs::native_feeders::Following;
use leakspy::process::Process;
use leakspy::process::breakpoint::Way;
use leakspy::python::objects::{Reader, TypeTable};
use leakspy::python::{Frame, Python};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Health, Interpreter, Target, cases, interpreters, wait_until};

/// Set in the environment of a process that only watches, until it is killed.
const WATCHER: &str = "LEAKSPY_TEST_WATCHER";
/// The longest time for which many holders are watched, and for which one is, with the number of hits wanted
/// of it.
const AT_MOST: Duration = Duration::from_secs(10);
const UNTIL_SEEN: Duration = Duration::from_secs(60);
const WANTED: u64 = 200;
/// How often a watching process is killed, over all interpreters and ways, and the latest moment for it.
const KILLS: usize = 200;
const LAST_MOMENT: Duration = Duration::from_millis(300);
/// An address range that exceeds any process's memory.
const EXTENT: u64 = 1 << 40;
/// More than any target should have to bear: so it takes seconds even on a busy machine, where a thread that
/// has stood still waits for a processor.
const LIMITS: Limits = Limits { stops_per_s: 10_000.0, standstill: 0.2 };
const WAYS: [(&str, Way); 2] = [("perf", Way::Perf), ("ptrace", Way::Ptrace)];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, way) in WAYS {
        trials.extend(cases(&format!("fed_{name}"), move |interpreter| fed(interpreter, way)));
        trials.extend(cases(&format!("fast_{name}"), move |interpreter| fast(interpreter, way)));
        trials.extend(cases(&format!("made_{name}"), move |interpreter| made(interpreter, way)));
        for work in [Watch::NAME, Follow::NAME] {
            let name = format!("killed_{name}_{work}");
            trials.extend(cases(&name, move |interpreter| killed(interpreter, way, work)));
        }
    }
    trials
}

/// Every kind of holder, under churn and with new threads as feeders as well.
fn fed(interpreter: &'static Interpreter, way: Way) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "feeders", &[]);
    let holders = target.ask("holders");
    let holders = holders.as_object().ok_or("no holders")?;
    let addresses: Vec<_> = holders.values().map(address).collect();
    let before = target.ask("fed");
    let outcome = watch(&target, &addresses, way, AT_MOST, Watching::is_settled)?;
    target.assert_healthy();
    assert_eq!(outcome.way, Some(way));
    let after = target.ask("fed");
    let times = |what| count(&after[what]) - count(&before[what]);
    let by_new_threads = times("by_new_threads") / times("all");

    let mut report = String::new();
    let (mut seen, mut seen_in_new_threads) = (0, 0);
    for ((name, holder), fed) in holders.iter().zip(&outcome.findings) {
        let expected = (holder["file"].as_str(), holder["line"].as_u64());
        let is_right = |feeder: &&SeenStack| {
            let innermost = feeder.stack.first();
            innermost.is_some_and(|it| (Some(&*it.file), it.line.map(u64::from)) == expected)
        };
        let share: f64 = fed.stacks.iter().filter(is_right).map(|feeder| feeder.share).sum();
        let hits: u64 = fed.stacks.iter().filter(is_right).map(|feeder| feeder.hits).sum();
        // Of twenty short-lived instances, one leaves its place to another unseen, more on a busy machine;
        // and with some thirty hits a share scatters as well.
        let of_instances = fed.stacks.iter().any(|feeder| feeder.kept.is_some());
        let is_good = match of_instances {
            true => share >= 0.75,
            false => share >= 0.95 && hits as f64 >= 0.95 * fed.hits as f64,
        };
        if !is_good || fed.hits < 10 {
            report += &format!("{name}: {share:.3} of {} at {expected:?}\n{}", fed.hits, told(fed));
        }
        if !of_instances {
            let is_new = |feeder: &&SeenStack| {
                feeder.stack.iter().any(|it| it.function.contains("in_a_new_thread"))
            };
            seen += fed.hits;
            seen_in_new_threads +=
                fed.stacks.iter().filter(is_new).map(|feeder| feeder.hits).sum::<u64>();
        }
    }
    println!("{} {way:?}: {} stops, {:?}", interpreter.name, outcome.stops, outcome.pauses);
    let seen_in_new_threads = seen_in_new_threads as f64 / seen as f64;
    println!("by new threads: {seen_in_new_threads:.3}, and in truth {by_new_threads:.3}");
    assert!(
        seen_in_new_threads > 0.8 * by_new_threads,
        "few of those that feed but once were seen"
    );
    if report.is_empty() { Ok(()) } else { Err(report.into()) }
}

/// A list that grows as fast as Python can make it: of two lines, the one that is run three times as often is
/// seen three times as often.
fn fast(interpreter: &'static Interpreter, way: Way) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "feeders", &["fast"]);
    let holders = target.ask("holders");
    let list = address(&holders["list"]);
    let enough = |watching: &Watching| watching.hits(0) >= WANTED;
    let outcome = watch(&target, &[list], way, UNTIL_SEEN, enough)?;
    target.assert_healthy();
    let fed = outcome.findings.first().ok_or("no finding")?;
    let mut by_line = BTreeMap::new();
    for feeder in &fed.stacks {
        let line = feeder.stack.first().and_then(|frame| frame.line);
        *by_line.entry(line).or_insert(0) += feeder.hits;
    }
    // Of 200 hits or more, each has a quarter: four standard deviations.
    assert!(fed.hits >= WANTED, "{}", fed.hits);
    let quarter = |hits: u64| (hits as f64 / fed.hits as f64 - 0.25).abs() < 0.13;
    assert!(by_line.len() == 4 && by_line.values().all(|&hits| quarter(hits)), "{by_line:?}");
    Ok(())
}

/// Functions that are gone when their names are read have none; they do not get those of others.
fn made(interpreter: &'static Interpreter, way: Way) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "feeders", &["made"]);
    let list = address(&target.ask("holders")["list"]);
    let enough = |watching: &Watching| watching.hits(0) >= WANTED;
    let outcome = watch(&target, &[list], way, UNTIL_SEEN, enough)?;
    target.assert_healthy();
    let fed = outcome.findings.first().ok_or("no finding")?;
    let mut frames = fed.stacks.iter().flat_map(|feeder| &feeder.stack);
    let is_true = |frame: &Frame| match frame.file.strip_suffix(".py") {
        Some(number) if !number.contains('/') => {
            *frame.function == *format!("made_{number}") || &*frame.function == "<module>"
        }
        _ => frame.file.ends_with("/feeders.py") || frame.file.ends_with("/threading.py"),
    };
    assert_eq!(frames.find(|frame| !is_true(frame)), None);
    let is_kept = |feeder: &SeenStack| &*feeder.stack[0].function == "keep";
    assert!(fed.stacks.iter().all(is_kept), "{}", told(fed));
    Ok(())
}

/// A process that watches words or follows calls is killed at random moments: the target lives on, and
/// nothing holds it.
fn killed(interpreter: &'static Interpreter, way: Way, work: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "feeders", &[]);
    let holders = target.ask("holders");
    let holders = holders.as_object().ok_or("no holders")?;
    let addresses: Vec<_> = holders.values().map(address).collect();
    let request = serde_json::to_string(&(target.pid(), way, work, addresses))?;
    for moment in 0..KILLS.div_ceil(interpreters().len() * WAYS.len()) {
        let delay = LAST_MOMENT.mul_f64(fastrand::f64());
        let mut child = Command::new(std::env::current_exe()?)
            .env(WATCHER, &request)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("stdout is piped")?);
        // Half of the moments are counted from the start, to cover attaching.
        if moment % 2 == 0 {
            let mut line = String::new();
            said.read_line(&mut line)?;
            assert_eq!(line, "WATCHING\n", "{:?}", child.wait_with_output());
        }
        std::thread::sleep(delay);
        child.kill()?;
        // Its guardian has inherited the pipe: the pipe's end is the end of both.
        let mut errors = String::new();
        let mut stderr = child.stderr.take().ok_or("stderr is piped")?;
        stderr.read_to_string(&mut errors)?;
        child.wait()?;
        assert_eq!(errors, "", "moment {moment}, {delay:?}");
        // When a process ends, the kernel closes its files before it detaches its tracees.
        wait_until("nobody traces it", || !Health::of(target.pid()).is_traced());
        target.assert_healthy();
        let before = count(&target.ask("fed")["all"]);
        wait_until("it goes on", || count(&target.ask("fed")["all"]) > before);
    }
    assert_registers_are_clear(&target);
    Ok(())
}

/// Watches these objects until there are enough hits, or the time is over.
fn watch(
    target: &Target,
    addresses: &[u64],
    way: Way,
    at_most: Duration,
    is_enough: impl Fn(&Watching) -> bool,
) -> Result<Outcome, Failed> {
    let mut watching = start(target.pid(), addresses, way)?;
    let begun = Instant::now();
    while begun.elapsed() < at_most && !watching.has_ended() && !is_enough(&watching) {
        watching.step(Duration::from_millis(50))?;
    }
    // Instances that have just been created still have to show whether they stay.
    watching.step(Duration::from_millis(1100))?;
    watching.stop();
    while !watching.has_ended() {
        watching.step(Duration::from_secs(1))?;
    }
    Ok(watching.finish())
}

fn start(pid: i32, addresses: &[u64], way: Way) -> Result<Watching, Failed> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    let types = TypeTable::new(&process, &python, EXTENT);
    let word = |&address: &u64| {
        let word = growth_word(Reader::new(&process, &types), address);
        Watched { words: vec![word.expect("each of them grows in one word")] }
    };
    let watched: Vec<_> = addresses.iter().map(word).collect();
    Ok(Watching::start(&process, &python, &watched, &options(way))?)
}

/// The request for this process, if a test of this module started it to watch.
pub fn request_to_watch() -> Option<String> {
    std::env::var(WATCHER).ok()
}

/// Watches as requested, until a test kills this process.
pub fn watch_until_killed(request: &str) {
    let (pid, way, work, addresses): (i32, Way, String, Vec<u64>) =
        serde_json::from_str(request).expect("the request of a test");
    let mut told = false;
    let mut tell = |has_begun: bool| {
        if has_begun && !told {
            told = true;
            println!("WATCHING");
            std::io::stdout().flush().expect("the test reads it");
        }
    };
    if work == Follow::NAME {
        let process = Process::open(pid).expect("it is there");
        let python = Python::attach(&process).expect("it is a Python");
        let blocks = Growing::Blocks(Vec::new());
        let following = Following::start(&process, &python, blocks, &options(way));
        let mut following = following.expect("it can be followed").expect("it has glibc");
        loop {
            following.step(Duration::from_millis(10)).expect("it can be followed");
            tell(following.has_begun());
        }
    }
    let mut watching = start(pid, &addresses, way).expect("it is there");
    loop {
        watching.step(Duration::from_millis(10)).expect("it can be watched");
        tell(watching.has_begun());
    }
}

fn options(way: Way) -> WatchOptions {
    WatchOptions {
        way: Some(way),
        limits: LIMITS,
        guardian: Program::at(env!("CARGO_BIN_EXE_leakspy")),
    }
}

fn count(times: &Value) -> f64 {
    times.as_f64().expect("a number")
}

fn address(holder: &Value) -> u64 {
    holder["address"].as_u64().expect("an address")
}

fn told(fed: &Fed) -> String {
    let mut text = String::new();
    for feeder in fed.stacks.iter().take(5) {
        let innermost = feeder.stack.first().map(ToString::to_string).unwrap_or_default();
        let (share, hits, kept) = (feeder.share, feeder.hits, feeder.kept);
        text += &format!("    {share:.3} ({hits} hits, {kept:?} kept) {innermost}\n");
    }
    text
}

/// Reads the registers themselves: only ptrace's own, because perf events have others.
#[cfg(target_arch = "x86_64")]
fn assert_registers_are_clear(target: &Target) {
    use leakspy::process::ptrace;
    const CONTROL: usize = 7;
    for thread in target.health().threads {
        let tid = thread.tid;
        // A thread that has just ended is just as good.
        if ptrace::seize(tid).is_err() || ptrace::interrupt(tid).is_err() {
            continue;
        }
        let stopped = ptrace::wait(Some(tid), true).expect("it is traced");
        if matches!(stopped, Some((_, ptrace::Status::Stopped { .. }))) {
            let control = ptrace::debug_register(tid, CONTROL).expect("it is stopped");
            assert_eq!(control, 0, "{tid}");
            ptrace::detach(tid, 0).expect("it is stopped");
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn assert_registers_are_clear(_: &Target) {}
