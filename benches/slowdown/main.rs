//! The slowdown of a busy program while it is observed.
//!
//! One target runs throughout; a tool is attached and detached in turn, and for a window of about a second
//! each, the target's own count of its work is read with the tool on and with it off. The order inside each
//! pair, and that of the tools, is shuffled. The ratio of a pair cancels most other effects on the machine;
//! the table shows the median over the pairs with its bootstrap interval. The row "nothing" is a tool that
//! does nothing: it shows the error of the method.
//!
//!     cargo bench --bench slowdown -- [--pairs 60] [--window 1] [--idle-threads 0,150] [--python P]
//!
//! The cost of capturing a large heap, with the rest of the machine quiet:
//!
//!     cargo bench --bench slowdown -- --tools nothing,heap --window 10 --objects 5000000 --idle-threads 0 --pairs 10
//!
//! The cost of a whole hunt for a busy program with three slow leaks, and of other tools that look for them
//! (memray gets only a quarter of the pairs, so use at least four):
//!
//!     cargo bench --bench slowdown -- --tools nothing,hunt,tracemalloc,memray,memray-objects --window 20 --leaks --idle-threads 0 --pairs 10
//!
//! The cost of recording a program's memory ten times a second:
//!
//!     cargo bench --bench slowdown -- --tools nothing,timeline,mprof --idle-threads 0 --objects 1000000

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod rounds;
#[path = "../../tests/support/mod.rs"]
mod support;
mod tool;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use common::statistics::{bootstrap, median};
use rounds::{Busy, Series};
use support::Interpreter;
use tool::Tool;

/// Measures how much slower a busy program is while it is observed.
#[derive(Parser)]
struct Options {
    /// Pairs of windows per tool (a quarter of them for memray, which attaches slowly)
    #[arg(long, default_value_t = 60)]
    pairs: usize,
    /// Length of a window in seconds
    #[arg(long, default_value_t = 1.0)]
    window: f64,
    /// Idle native threads of the target; one table for each
    #[arg(long, value_delimiter = ',', default_values_t = [0, 150])]
    idle_threads: Vec<usize>,
    /// Objects that the target has besides
    #[arg(long, default_value_t = 0)]
    objects: u64,
    /// Whether the target leaks, in three slow ways
    #[arg(long)]
    leaks: bool,
    /// Tools to measure
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Tool::USUAL)]
    tools: Vec<Tool>,
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
    let window = Duration::from_secs_f64(options.window);
    for &idle in &options.idle_threads {
        println!("\n{}, 4 busy threads and {idle} idle native ones", python.name);
        println!(
            "speed with the tool on against off, in windows of {} s, median (95 %)",
            options.window
        );
        println!(
            "{:<24}{:>5}   {:<21}   {:<21}{:>13}{:>12}",
            "tool", "pairs", "per second", "per CPU second", "stood still", "mean pause"
        );
        let start = || Busy::start(&python, idle, options.objects, options.leaks);
        let (injecting, observing) = able(&options.tools, &python);
        for series in rounds::run(&mut start(), &observing, options.pairs, window)? {
            print_row(&series);
        }
        // These attach slowly, and may leave something behind: fewer pairs, on another target.
        let pairs = options.pairs.div_ceil(4);
        if injecting.is_empty() {
            continue;
        }
        for series in rounds::run(&mut start(), &injecting, pairs, window)? {
            print_row(&series);
        }
    }
    Ok(())
}

/// The tools that work here, those that put code into the target and the others. Prints why one is left out.
fn able(tools: &[Tool], python: &Interpreter) -> (Vec<Tool>, Vec<Tool>) {
    let rehearsed = tools.iter().map(|&tool| rounds::rehearse(tool, python));
    rehearsed
        .filter_map(|result| result.inspect_err(|reason| println!("{reason}")).ok())
        .partition(|tool| tool.injects())
}

/// One line of the table.
fn print_row(series: &Series) {
    let by_clock: Vec<f64> = series.ratios.iter().map(|ratio| ratio.by_clock).collect();
    let by_cpu: Vec<f64> = series.ratios.iter().map(|ratio| ratio.by_cpu).collect();
    let still = series.share_of_time_still().map(|share| format!("{:.2} %", 100.0 * share));
    let pause = series.mean_pause_s().map(|pause| format!("{:.0} µs", 1e6 * pause));
    println!(
        "{:<24}{:>5}   {}   {}{:>13}{:>12}",
        series.tool.title(),
        series.ratios.len(),
        with_interval(&by_clock),
        with_interval(&by_cpu),
        still.as_deref().unwrap_or("-"),
        pause.as_deref().unwrap_or("-"),
    );
}

/// A median with its interval, 21 characters wide.
fn with_interval(ratios: &[f64]) -> String {
    let (low, high) = bootstrap(ratios, median);
    format!("{:.3} ({low:.3} … {high:.3})", median(ratios))
}
