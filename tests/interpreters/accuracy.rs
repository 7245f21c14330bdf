//! The figures of `leakspy record --view alloc` against programs that know what they allocate: each printed
//! interval must contain the truth in 95 of 100 cases, and must not be so wide that it says nothing.
//!
//! Single recordings may miss, so intervals are counted over many: eight ordinary programs, each on some of
//! five interpreters (on all five with `LEAKSPY_TEST_EACH=1`). Programs whose shares cannot be got right without
//! the weights are held against them one by one.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Recording, Target, cases, interpreters};

/// How far the shares of a program that repeats itself within a burst may be off. 16 s at 200/s are some 3,200
/// samples in 53 bursts; in a simulation of exactly this the estimate of one half has a standard deviation of
/// one point and is 0.8 points too small, because a burst sees two and a half cycles.
const TOLERANCE: f64 = 0.05;
/// The interpreters whose allocations differ most in how they look from outside: pymalloc in a function of its
/// own, in its caller, and copied to hundreds of places.
const VERSIONS: [&str; 5] = ["3.8.", "3.12.", "3.13.", "3.14.", "3.15."];
const PROGRAMS: [&str; 7] = ["json", "re", "dataclasses", "csv", "sqlite3", "parser", "asyncio"];
/// On how many interpreters each of them runs; jinja2, which needs a package, besides.
const INTERPRETERS: usize = 2;
/// How wide the intervals of shares may be on average, and how far the shares may be off, in points. Recordings of
/// 8 s beside other work were 44 to 46 points wide and 5.6 to 6.8 off.
const MOST_WIDE: f64 = 65.0;
const MOST_OFF: f64 = 10.0;
/// By which factor the truth may lie outside a single interval of a program at some pace: one in twenty may miss, but
/// not by much.
const MISSES_BY: f64 = 1.3;
const BOTH: [&str; 2] = ["objects", "bytes"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for interpreter in chosen() {
        let name = format!("shares::{}", interpreter.name);
        trials.push(Trial::test(name, move || shares(interpreter, "perf")));
    }
    trials.extend(by_debug_registers());
    trials.extend(cases("loop", one_loop));
    if let Some(interpreter) = with_version("3.12.") {
        let name = format!("paces::{}", interpreter.name);
        trials.push(Trial::test(name, move || paces(interpreter)));
    }
    trials.push(Trial::test("ordinary", ordinary));
    trials.extend(at_every_pace());
    trials
}

fn with_version(version: &str) -> Option<&'static Interpreter> {
    interpreters().iter().find(|interpreter| interpreter.name.starts_with(version))
}

fn chosen() -> Vec<&'static Interpreter> {
    VERSIONS.iter().filter_map(|version| with_version(version)).collect()
}

/// The other way of setting breakpoints, on a build that calls its allocator and on one that has it inlined
/// into its callers.
fn by_debug_registers() -> Vec<Trial> {
    let found = ["3.12.", "3.14."].iter().filter_map(|version| with_version(version));
    found
        .map(|interpreter| {
            let name = format!("shares_ptrace::{}", interpreter.name);
            Trial::test(name, move || shares(interpreter, "ptrace"))
        })
        .collect()
}

/// A recording as its JSON says it.
struct Profile(Value);

impl Profile {
    fn record(
        interpreter: &Interpreter,
        target: &Target,
        options: &[&str],
    ) -> Result<Profile, Failed> {
        let scratch = interpreter.scratch();
        let output = scratch.path().join("profile.json");
        let path = output.to_str().expect("UTF-8");
        let options = [options, &["-f", "json", "-o", path]].concat();
        Recording::attach(target.pid(), &options).end().assert_success();
        Ok(Profile(serde_json::from_slice(&fs::read(&output)?)?))
    }

    fn sum(&self, by: &str, is_counted: impl Fn(&Value) -> bool) -> f64 {
        let stacks = self.0["stacks"].as_array().into_iter().flatten();
        let counted = stacks.filter(|stack| is_counted(&stack["stack"]));
        counted.filter_map(|stack| stack[by].as_f64()).sum()
    }

    /// The share of a function and its callees.
    fn share(&self, function: &str, by: &str) -> f64 {
        let is_here = |frame: &Value| {
            let name = frame["function"].as_str().unwrap_or_default();
            name.rsplit('.').next() == Some(function)
        };
        let here =
            |stack: &Value| stack.as_array().is_some_and(|frames| frames.iter().any(is_here));
        self.sum(by, here) / self.sum(by, |_| true).max(1.0)
    }

    /// The interval of a share: between those that the document lists.
    fn interval(&self, share: f64, by: &str) -> [f64; 2] {
        let listed = self.0["shares_between"].as_array().expect("intervals");
        let number = |entry: &Value| entry["share"].as_f64().expect("a share");
        let next = listed.iter().position(|entry| number(entry) >= share).expect("up to 1").max(1);
        let (low, high) = (&listed[next - 1], &listed[next]);
        let part = (share - number(low)) / (number(high) - number(low));
        ["least", "most"].map(|end| {
            let at = |entry: &Value| entry[by][end].as_f64().expect("an end");
            at(low) + part * (at(high) - at(low))
        })
    }

    /// The interval of a pace.
    fn pace(&self, by: &str) -> (f64, f64) {
        let key = if by == "objects" { "allocations_per_s_between" } else { "bytes_per_s_between" };
        let ends = &self.0[key];
        let most = ends["most"].as_f64().unwrap_or(f64::INFINITY);
        (ends["least"].as_f64().expect("a lower end"), most)
    }
}

/// A program that repeats itself within a burst.
fn shares(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let truth = target.ask("truth");
    let profile =
        Profile::record(interpreter, &target, &["-d", "16", "-r", "200", "--breakpoints", way])?;
    target.assert_healthy();
    let (worst, missed, report) = against_sites(&profile, &truth);
    println!("{} {way}: at most {:.1} points off", interpreter.name, 100.0 * worst);
    if worst <= TOLERANCE && missed == 0 { Ok(()) } else { Err(report.into()) }
}

/// Sites in long runs, each at its own pace, of which the slowest takes most of the time and makes a twentieth
/// of the allocations: it comes out four times too wide if bursts are not weighed.
fn paces(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &["--shape", "bursty"]);
    let truth = target.ask("truth");
    let profile = Profile::record(interpreter, &target, &["-d", "16", "-r", "200"])?;
    target.assert_healthy();
    let (_, missed, report) = against_sites(&profile, &truth);
    println!("{}: {report}", interpreter.name);
    let slowest = profile.share("spaced_out", "objects");
    if missed == 0 && slowest < 0.15 { Ok(()) } else { Err(report.into()) }
}

/// The largest error among sites, how many intervals miss the truth even if they are twice as wide, and all of it
/// in words. One in twenty intervals may miss, so a single miss by a little says nothing; how many do so is counted
/// for [`ordinary`] programs.
fn against_sites(profile: &Profile, truth: &Value) -> (f64, usize, String) {
    let (mut worst, mut missed, mut report) = (0.0_f64, 0, String::new());
    for by in BOTH {
        let mut all = 0.0;
        for site in truth["sites"].as_array().expect("sites") {
            let function = site["function"].as_str().expect("a name");
            let expected = site[format!("{by}_share")].as_f64().expect("a share");
            let found = profile.share(function, by);
            let [low, high] = profile.interval(found, by);
            all += found;
            let twice = 2.0 * low - found..=2.0 * high - found;
            missed += usize::from(!twice.contains(&expected));
            worst = worst.max((found - expected).abs());
            report += &format!(
                "{function} by {by}: {found:.3} ({low:.3} to {high:.3}) for {expected:.3}\n"
            );
        }
        assert!(all > 0.95, "{} of all {by} are elsewhere", 1.0 - all);
    }
    (worst, missed, report)
}

/// How many intervals there were, and how many contained the truth.
#[derive(Default)]
struct Coverage {
    intervals: usize,
    right: usize,
    width: f64,
    off: f64,
    /// The largest factor by which the truth lies outside its interval; below 1 if it always lies inside.
    missed_by: f64,
    misses: String,
}

impl Coverage {
    fn add(&mut self, what: &str, found: f64, (low, high): (f64, f64), expected: f64) {
        self.intervals += 1;
        self.width += high - low;
        self.off += (found - expected).abs();
        self.missed_by = self.missed_by.max(low / expected).max(expected / high);
        if (low..=high).contains(&expected) {
            self.right += 1;
        } else {
            let miss =
                format!("{what}: {found:.4e} ({low:.4e} to {high:.4e}) for {expected:.4e}\n");
            self.misses += &miss;
        }
    }

    fn merge(&mut self, other: Coverage) {
        self.intervals += other.intervals;
        self.right += other.right;
        self.width += other.width;
        self.off += other.off;
        self.missed_by = self.missed_by.max(other.missed_by);
        self.misses += &other.misses;
    }

    fn share(&self) -> f64 {
        self.right as f64 / self.intervals as f64
    }
}

/// Records an ordinary program; the coverage of its shares and of its totals.
fn one_program(
    interpreter: &Interpreter,
    program: &str,
    seconds: &str,
) -> Result<[Coverage; 2], Failed> {
    let mut target = Target::start(interpreter, "ordinary", &[program]);
    let (before, begun) = (target.ask("truth"), Instant::now());
    let profile = Profile::record(interpreter, &target, &["-d", seconds, "-r", "200"])?;
    let (after, time) = (target.ask("truth"), begun.elapsed());
    target.assert_healthy();
    let [mut shares, mut totals] = [Coverage::default(), Coverage::default()];
    let phases = before.as_array().into_iter().flatten().zip(after.as_array().expect("phases"));
    let mut made: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    // A phase may run in several threads.
    for (before, after) in phases {
        let number = |value: &Value, key: &str| value[key].as_f64().expect("a number");
        let calls = number(after, "calls") - number(before, "calls");
        let of_calls = BOTH.map(|by| calls * number(after, &format!("{by}_of_call")));
        let sums = made.entry(after["function"].as_str().expect("a name")).or_default();
        sums.iter_mut().zip(of_calls).for_each(|(sum, of_calls)| *sum += of_calls);
    }
    for (index, by) in BOTH.into_iter().enumerate() {
        let all: f64 = made.values().map(|of_calls| of_calls[index]).sum();
        for (function, of_calls) in &made {
            let found = profile.share(function, by);
            let [low, high] = profile.interval(found, by);
            let what = format!("{} {program} {function} by {by}", interpreter.name);
            shares.add(&what, found, (low, high), of_calls[index] / all);
        }
        let what = format!("{} {program} a second by {by}", interpreter.name);
        let (low, high) = profile.pace(by);
        totals.add(&what, low, (low, high), all / time.as_secs_f64());
    }
    Ok([shares, totals])
}

/// The pace of nothing but allocations, as fast as the interpreter can make them.
fn one_loop(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let [_, totals] = one_program(interpreter, "objects", "5")?;
    if totals.misses.is_empty() { Ok(()) } else { Err(totals.misses.into()) }
}

/// Allocations at a hundred a second to a million, in bursts after sleeps, and in many threads; and by functions that
/// are watched always, and by turns.
fn at_every_pace() -> Vec<Trial> {
    let programs = ["seldom", "often", "bursts", "threads", "kinds"].into_iter();
    let each = programs.zip(["3.8.", "3.13.", "3.15.", "3.12.", "3.15."]);
    let chosen = each.filter_map(|(program, version)| Some((program, with_version(version)?)));
    chosen
        .map(|(program, interpreter)| {
            let name = format!("pace_{program}::{}", interpreter.name);
            Trial::test(name, move || at_a_pace(interpreter, program))
        })
        .collect()
}

fn at_a_pace(interpreter: &'static Interpreter, program: &str) -> Result<(), Failed> {
    let [shares, totals] = one_program(interpreter, program, "6")?;
    let report = format!("{}{}", shares.misses, totals.misses);
    print!("{report}");
    let is_right = |coverage: &Coverage| coverage.missed_by < MISSES_BY;
    if is_right(&shares) && is_right(&totals) { Ok(()) } else { Err(report.into()) }
}

/// Eight programs, two at a time.
fn ordinary() -> Result<(), Failed> {
    let chosen = chosen();
    let each = std::env::var_os("LEAKSPY_TEST_EACH").is_some();
    let number = if each { chosen.len() } else { INTERPRETERS.min(chosen.len()) };
    let mut work = Vec::new();
    for (index, program) in PROGRAMS.into_iter().enumerate() {
        for turn in 0..number {
            let interpreter = chosen[(index * INTERPRETERS + turn) % chosen.len()];
            work.push((interpreter.clone(), program));
        }
    }
    let with_jinja2: Vec<_> =
        [12, 8, 13].into_iter().filter_map(|it| Interpreter::with_package("jinja2", it)).collect();
    if with_jinja2.is_empty() && std::env::var_os("CI").is_some() {
        return Err("jinja2 is missing; see fixtures/fetch-packages".into());
    }
    work.extend(with_jinja2.into_iter().take(number).map(|interpreter| (interpreter, "jinja2")));
    let work = Mutex::new(work);
    let sums = Mutex::new([Coverage::default(), Coverage::default()]);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| -> Result<(), Failed> {
                    loop {
                        let next = work.lock().expect("no panic").pop();
                        let Some((interpreter, program)) = next else { return Ok(()) };
                        let [shares, totals] = one_program(&interpreter, program, "8")?;
                        let mut sums = sums.lock().expect("no panic");
                        sums[0].merge(shares);
                        sums[1].merge(totals);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no panic"))
    })?;
    let [shares, totals] = sums.into_inner().expect("no panic");
    let mean = |sum: f64| 100.0 * sum / shares.intervals as f64;
    let report = format!(
        "shares: {} of {} intervals right, {:.1} points off and {:.1} wide on average\n\
         totals: {} of {} intervals right\n{}{}",
        shares.right,
        shares.intervals,
        mean(shares.off),
        mean(shares.width),
        totals.right,
        totals.intervals,
        shares.misses,
        totals.misses,
    );
    println!("{report}");
    // A few recordings decide, and the intervals of one are not independent.
    let covers = shares.share() > 0.92 && totals.share() > 0.9;
    if covers && mean(shares.width) < MOST_WIDE && mean(shares.off) < MOST_OFF {
        Ok(())
    } else {
        Err(report.into())
    }
}
