//! The shares of allocation sites that `leakspy record` estimates, against the fixture's own arithmetic.
//!
//! Why 5 points hold: 20 s at 200/s are some 4,000 samples in 66 bursts. In a simulation of exactly this, the
//! estimate of a share of one half has a standard deviation of 0.9 points and is 0.8 points too small,
//! because a burst sees two and a half cycles of the fixture and not a whole number of them.

use std::fs;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Recording, Target, cases, interpreters};

/// How far a share may be off.
const TOLERANCE: f64 = 0.05;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("shares", |interpreter| shares(interpreter, "perf"));
    trials.extend(by_debug_registers());
    trials
}

/// The other way of setting breakpoints, on a build that calls its allocator and on one that has it inlined
/// into its callers.
fn by_debug_registers() -> Vec<Trial> {
    ["3.12.", "3.14."]
        .iter()
        .filter_map(|version| interpreters().iter().find(|it| it.name.starts_with(version)))
        .map(|interpreter| {
            let name = format!("shares_ptrace::{}", interpreter.name);
            Trial::test(name, move || shares(interpreter, "ptrace"))
        })
        .collect()
}

fn shares(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let truth = target.ask("truth");
    let scratch = interpreter.scratch();
    let output = scratch.path().join("profile.json");
    let path = output.to_str().expect("UTF-8");
    let options = ["-d", "20", "-r", "200", "-f", "json", "-o", path, "--breakpoints", way];
    Recording::attach(target.pid(), &options).end().assert_success();
    target.assert_healthy();

    let profile: Value = serde_json::from_slice(&fs::read(&output)?)?;
    let stacks = profile["stacks"].as_array().ok_or("no stacks")?;
    let mut report = String::new();
    let mut worst = 0.0_f64;
    for by in ["objects", "bytes"] {
        let of = |function: &Value| -> f64 {
            let here = stacks.iter().filter(|stack| stack["stack"][0]["function"] == *function);
            here.filter_map(|stack| stack[by].as_f64()).sum()
        };
        let sites = truth["sites"].as_array().ok_or("no sites")?;
        let all: f64 = sites.iter().map(|site| of(&site["function"])).sum();
        for site in sites {
            let expected = site[format!("{by}_share")].as_f64().ok_or("no share")?;
            let found = of(&site["function"]) / all;
            report += &format!("{} by {by}: {found:.3} for {expected:.3}\n", site["function"]);
            worst = worst.max((found - expected).abs());
        }
        let other = 1.0 - all / stacks.iter().filter_map(|stack| stack[by].as_f64()).sum::<f64>();
        assert!(other < 0.05, "{other} of all {by} are elsewhere");
    }
    println!("{} {way}: at most {:.1} points off", interpreter.name, 100.0 * worst);
    if worst <= TOLERANCE { Ok(()) } else { Err(report.into()) }
}
