//! The cost of a heap: the pause of its capture against a bare copy of the same bytes, the time to the whole
//! graph with retained sizes, and leakspy's own memory; and the time of programs that read the same heap from
//! inside, if `benches/install-peers` has been run.
//!
//!     cargo bench --bench heap -- [--runs 5] [--python P] [--objects 100000,1000000,5000000] [--peers 0]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod floor;
mod peers;
mod stages;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use common::statistics::median;
use peers::Peer;
use stages::{Run, Spent};
use support::{Interpreter, Target};

/// Measures captures and graphs of heaps of several sizes.
#[derive(Parser)]
struct Options {
    /// Captures of each heap
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The Python that runs the target
    #[arg(long)]
    python: Option<PathBuf>,
    /// Objects of each heap
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 5_000_000])]
    objects: Vec<u64>,
    /// Threads that work on a capture
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Runs of each peer
    #[arg(long, default_value_t = 1)]
    peers: usize,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    leakspy::heap::give_memory_back();
    let python = common::python(options.python.as_deref())?;
    println!("{}, medians of {} runs, {} threads", python.name, options.runs, options.threads);
    for &objects in &options.objects {
        measure(&python, objects, &options)?;
    }
    Ok(())
}

fn measure(python: &Interpreter, objects: u64, options: &Options) -> Result<(), Box<dyn Error>> {
    let target = Target::start(python, "heap_of", &[&objects.to_string()]);
    let runs = stages::run(target.pid(), options.runs, options.threads)?;
    drop(target);
    let peers = peers::run(python, objects, options.peers)?;
    print(&runs, &peers);
    Ok(())
}

fn print(runs: &[Run], peers: &[(Peer, Spent)]) {
    let Some(run) = runs.last() else { return };
    let of = |value: &dyn Fn(&Run) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    println!("\n{} objects, {:.0} MB resident", run.objects, run.rss as f64 / 1e6);
    let row = |name: &str, value: f64, unit: &str, part: f64, whole: &str| {
        println!("  {name:<16}{value:>8.1} {unit}, {part:.2} of {whole}");
    };
    let (copied, peak) = (of(&|run| run.copied as f64), of(&|run| run.peak as f64));
    let holding = "the memory that can hold objects";
    row("copied", copied / 1e6, "MB", copied / run.occupied as f64, holding);
    row("taken at most", peak / 1e6, "MB", peak / run.rss as f64, "the resident");
    let of_copy = of(&|run| run.pause / run.floor);
    row("pause", 1e3 * of(&|run| run.pause), "ms", of_copy, "a bare copy");

    println!("  {:<16}{:>8}{:>8}", "", "ms", "CPU ms");
    let table_row = |name: &str, spent: Spent| {
        print!("  {name:<16}{:>8.0}{:>8.0}", 1e3 * spent.time, 1e3 * spent.cpu);
    };
    for (index, (name, _)) in run.stages().into_iter().enumerate() {
        let spent = |run: &Run| run.stages().get(index).map_or(Spent::default(), |stage| stage.1);
        let time = of(&|run| spent(run).time);
        table_row(name, Spent { time, cpu: of(&|run| spent(run).cpu) });
        println!();
    }
    for (peer, spent) in peers {
        let own = |run: &Run| if peer.is_quick { run.quick() } else { run.whole() };
        table_row(peer.title, *spent);
        let name = if peer.is_quick { stages::QUICK } else { stages::WHOLE };
        let (time, cpu) = (of(&|run| own(run).time), of(&|run| own(run).cpu));
        println!("   {name}: {:.2} and {:.2} of it", time / spent.time, cpu / spent.cpu);
    }
}
