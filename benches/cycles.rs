//! How long `leakspy cycles` takes for the same number of cycles of few classes and of many: another class
//! should cost one more line, and nothing for each cycle.
//!
//!     cargo bench --bench cycles -- [--rounds 9] [--cycles 20000] [--classes 50,1000] [--python P] [--program L]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;

use common::statistics::median;
use support::Target;

/// Measures `leakspy cycles` by the number of classes.
#[derive(Parser)]
struct Options {
    /// Runs on each target, in turns
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Cycles of each target
    #[arg(long, default_value_t = 20_000)]
    cycles: u64,
    /// Classes of these cycles: a target for each number
    #[arg(long, value_delimiter = ',', default_values_t = [50, 1000])]
    classes: Vec<u64>,
    /// The Python that runs the targets
    #[arg(long)]
    python: Option<PathBuf>,
    /// Another build of leakspy, to measure that
    #[arg(long, default_value = env!("CARGO_BIN_EXE_leakspy"))]
    program: PathBuf,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!("{}, {} cycles, medians of {} runs", python.name, options.cycles, options.rounds);
    let targets: Vec<Target> = options
        .classes
        .iter()
        .map(|classes| {
            let mut target = Target::start(&python, "cycles", &[]);
            target.ask(&format!("spread {} {classes}", options.cycles));
            target
        })
        .collect();
    // They take turns, so that other load on the machine affects all alike.
    let mut times = vec![Vec::new(); targets.len()];
    for _ in 0..options.rounds {
        for (target, times) in targets.iter().zip(&mut times) {
            times.push(seconds(&options.program, target.pid())?);
        }
    }
    let medians: Vec<f64> = times.iter().map(|times| median(times)).collect();
    for (classes, taken) in options.classes.iter().zip(&medians) {
        let ratio = taken / medians[0];
        println!("  {classes:>8} classes {taken:>8.3} s, {ratio:.2} of the first");
    }
    Ok(())
}

/// The time that the command takes.
fn seconds(program: &Path, pid: i32) -> Result<f64, Box<dyn Error>> {
    let begin = Instant::now();
    let output = Command::new(program).args(["cycles", "--pid", &pid.to_string()]).output()?;
    let taken = begin.elapsed().as_secs_f64();
    match output.status.success() {
        true => Ok(taken),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}
