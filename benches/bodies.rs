//! What large bodies and native blocks cost that leakspy does not copy: the pause for objects with them against
//! the pause for the same objects without, and leakspy's own memory, in one run.
//!
//!     cargo bench --bench bodies -- [--rounds 9] [--gib 4] [--python P]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use leakspy::heap::{CaptureFacts, CaptureOptions, TypeCounts};
use leakspy::process::Process;
use leakspy::python::Python;

use common::statistics::median;
use support::Target;

/// Measures pauses with and without large bodies.
#[derive(Parser)]
struct Options {
    /// Captures of each target, in turns
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Gibibytes of native blocks
    #[arg(long, default_value_t = 4.0)]
    gib: f64,
    /// The Python that runs the targets
    #[arg(long)]
    python: Option<PathBuf>,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    let blocks = (options.gib * f64::from(1 << 30)) as u64 / 100_000;
    println!("{}, medians of {} captures in turns", python.name, options.rounds);
    println!("{:<28}{:>10}{:>10}{:>7}{:>9}{:>9}", "", "without", "with", "ratio", "copied", "peak");
    for (kind, count, size) in [
        ("array", 600, 1_000_000),
        ("array", 6000, 100_000),
        ("bytes", 600, 1_000_000),
        ("native", blocks, 100_000),
    ] {
        let targets = [16, size].map(|size| {
            let mut target = Target::start(&python, "bodies", &[]);
            target.ask(&format!("make {kind} {count} {size}"));
            target
        });
        let mut pauses = [Vec::new(), Vec::new()];
        let (mut copied, mut peak) = (0, 0);
        for _ in 0..options.rounds {
            for (target, pauses) in targets.iter().zip(&mut pauses) {
                // Resets `VmHWM`.
                fs::write("/proc/self/clear_refs", "5")?;
                let facts = capture(target.pid())?;
                pauses.push(facts.pause.as_secs_f64());
                (copied, peak) = (facts.copied, own_peak()?);
            }
        }
        let [without, with] = pauses.map(|pauses| 1e3 * median(&pauses));
        let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
        println!(
            "{:<28}{without:>7.2} ms{with:>7.2} ms{:>7.2}{:>9}{:>9}",
            format!("{count} {kind} of {size} B"),
            with / without,
            mib(copied),
            mib(peak),
        );
    }
    Ok(())
}

fn capture(pid: i32) -> Result<CaptureFacts, Box<dyn Error>> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    let (capture, counts) = TypeCounts::take(&process, &python, &CaptureOptions::default())?;
    assert_eq!(counts.inconsistencies.count(), 0);
    Ok(capture.facts)
}

/// The most memory that this process has had, in bytes.
fn own_peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
