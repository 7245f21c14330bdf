//! The cost of a hunt: the time to a correct verdict on a busy program with three slow leaks, and the
//! program's pauses, beside the pause of one capture of the same heap.
//!
//!     cargo bench --bench hunt -- [--runs 3] [--duration 20] [--objects 0,5000000] [--python P]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use leakspy::heap::{Capture, CaptureOptions};
use leakspy::process::Process;
use leakspy::python::Python;
use serde_json::Value;

use common::statistics::median;
use support::{Interpreter, Target, leakspy};

/// The leaks in `busy.py`.
const LEAKS: [&str; 3] = ["__main__.SESSIONS", "__main__.CALLBACKS", "__main__.CONNECTIONS"];

/// Measures hunts.
#[derive(Parser)]
struct Options {
    /// Hunts of each heap
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long each is to take, in seconds
    #[arg(long, default_value_t = 20)]
    duration: u32,
    /// Objects that the target has besides; one row for each
    #[arg(long, value_delimiter = ',', default_values_t = [0, 5_000_000])]
    objects: Vec<u64>,
    /// The Python that runs the target
    #[arg(long)]
    python: Option<PathBuf>,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

/// The costs of one hunt, in seconds.
struct Run {
    whole: f64,
    still: f64,
    capture: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!("{}, medians of {} hunts with -d {}", python.name, options.runs, options.duration);
    println!(
        "{:>10}{:>12}{:>10}{:>14}{:>13}{:>12}",
        "objects", "verdict", "right", "stood still", "one capture", "of that"
    );
    for &objects in &options.objects {
        measure(&python, objects, &options)?;
    }
    Ok(())
}

fn measure(python: &Interpreter, objects: u64, options: &Options) -> Result<(), Box<dyn Error>> {
    let scratch = python.scratch();
    let counters = python.inside(&scratch.path().join("counters"));
    let number = objects.to_string();
    let arguments = [&*counters.to_string_lossy(), "--objects", &number, "--leaks"];
    let target = Target::start(python, "busy", &arguments);
    let (mut runs, mut right) = (Vec::new(), 0);
    for _ in 0..options.runs {
        let capture = capture(target.pid())?;
        let begun = Instant::now();
        let verdict = hunt(target.pid(), options.duration)?;
        let whole = begun.elapsed().as_secs_f64();
        let still = verdict["pause_s"]["total"].as_f64().ok_or("there is no pause")?;
        runs.push(Run { whole, still, capture });
        if is_right(&verdict) {
            right += 1;
        } else {
            println!("not right: {}", verdict["findings"]);
        }
    }
    let of = |value: fn(&Run) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    println!(
        "{objects:>10}{:>10.1} s{:>10}{:>11.1} ms{:>10.1} ms{:>12.2}",
        of(|run| run.whole),
        format!("{right} of {}", options.runs),
        1e3 * of(|run| run.still),
        1e3 * of(|run| run.capture),
        of(|run| run.still / run.capture),
    );
    Ok(())
}

/// The pause of a process for one capture, in seconds.
fn capture(pid: i32) -> Result<f64, Box<dyn Error>> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    Ok(capture.facts.paused.as_secs_f64())
}

fn hunt(pid: i32, seconds: u32) -> Result<Value, Box<dyn Error>> {
    let output = leakspy(["hunt", "--pid", &pid.to_string(), "-d", &seconds.to_string(), "--json"]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Whether all leaks and nothing else were found, each fed by the thread that leaks.
fn is_right(verdict: &Value) -> bool {
    let findings = verdict["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_leak = |name: &str| {
        findings.iter().any(|finding| {
            finding["holder"]["name"] == name
                && finding["feeders"][0]["own_frame"]["function"] == "leak_now_and_then"
        })
    };
    findings.len() == LEAKS.len() && LEAKS.into_iter().all(is_leak)
}
