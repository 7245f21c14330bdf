//! The time to get the stacks of a process: `leakspy dump` against `py-spy dump`.
//!
//! Both run in turn, in shuffled order, as a user would run them: the time is that of the whole command. The
//! target's pause is the one that `leakspy dump --json` reports.
//!
//!     cargo bench --bench dump -- [--runs 100] [--python P]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Parser;

use common::statistics::{bootstrap, median, quantile};
use support::{Interpreter, Target, leakspy_command};

/// Measures how long it takes to see the stacks of a process.
#[derive(Parser)]
struct Options {
    /// Runs of each command
    #[arg(long, default_value_t = 100)]
    runs: usize,
    /// The Python that runs the target
    #[arg(long)]
    python: Option<PathBuf>,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), String> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!("{}, wall time of the whole command, median (95 %)", python.name);
    for (fixture, title) in [
        ("busy", "4 busy threads, up to 50 frames deep"),
        ("stacks", "30 waiting threads, one of them 500 frames deep"),
    ] {
        println!("\n{title}");
        measure(&python, fixture, options.runs)?;
    }
    Ok(())
}

fn measure(python: &Interpreter, fixture: &str, runs: usize) -> Result<(), String> {
    let scratch = python.scratch();
    let counters = python.inside(&scratch.path().join("counters"));
    let target = match fixture {
        "busy" => Target::start(python, fixture, &[&counters.to_string_lossy()]),
        _ => Target::start(python, fixture, &[]),
    };
    let pid = target.pid().to_string();
    let py_spy = common::peer("py-spy");

    let mut random = fastrand::Rng::with_seed(1);
    let (mut ours, mut theirs, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut turns = vec![(leakspy_command(), &mut ours)];
        turns.extend(py_spy.as_deref().map(|path| (Command::new(path), &mut theirs)));
        random.shuffle(&mut turns);
        for (mut command, times) in turns {
            times.push(seconds(command.args(["dump", "--pid", &pid]))?);
        }
        pauses.push(pause_s(&pid)?);
    }

    println!("leakspy dump  {}", with_interval(&ours));
    if py_spy.is_some() {
        let pairs: Vec<(f64, f64)> = ours.into_iter().zip(theirs.iter().copied()).collect();
        let (low, high) = bootstrap(&pairs, ratio_of_medians);
        println!("py-spy dump   {}", with_interval(&theirs));
        println!("ratio         {:>9.3} ({low:.3} … {high:.3})", ratio_of_medians(&pairs));
    } else {
        println!("py-spy is left out: benches/install-peers has not been run");
    }
    println!(
        "stood still   {:>6.0} µs, 90 % under {:.0} µs",
        1e6 * median(&pauses),
        1e6 * quantile(&pauses, 0.9)
    );
    Ok(())
}

fn with_interval(times: &[f64]) -> String {
    let (low, high) = bootstrap(times, median);
    format!("{:>6.2} ms ({:.2} … {:.2})", 1e3 * median(times), 1e3 * low, 1e3 * high)
}

fn ratio_of_medians(pairs: &[(f64, f64)]) -> f64 {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    median(&ours) / median(&theirs)
}

/// Runs a command to its end and returns its time in seconds; an error if it fails.
fn seconds(command: &mut Command) -> Result<f64, String> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let elapsed = start.elapsed().as_secs_f64();
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(elapsed);
    }
    let program = command.get_program().to_string_lossy();
    Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The target's pause in one `leakspy dump`, in seconds.
fn pause_s(pid: &str) -> Result<f64, String> {
    let output = support::leakspy(["dump", "--json", "--pid", pid]);
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("dump --json: {error}"))?;
    json["pause_s"].as_f64().ok_or("dump --json gives no pause_s".into())
}
