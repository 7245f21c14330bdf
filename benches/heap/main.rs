//! What a heap costs: the pause of its capture against a bare copy of the same bytes, the time until the
//! whole graph with retained sizes is there, and leakspy's own memory; and how long programs take that
//! look at the same heap from inside, if `benches/install-peers` has been run.
//!
//!     cargo bench --bench heap -- [--runs 5] [--python P] [--objects 100000,1000000,5000000] [--peers 0]

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
use peers::{PEERS, Peer};
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
    /// TEMP
    #[arg(long)]
    pid: Option<i32>,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    leakspy::heap::give_memory_back();
    if let Some(pid) = options.pid {
        for run in stages::run(pid, options.runs, options.threads)? {
            for (name, spent) in run.stages() {
                println!("{name}\t{:.1}\t{:.1}", 1e3 * spent.time, 1e3 * spent.cpu);
            }
            println!("peak\t{:.1}\t0", run.peak as f64 / 1e6);
        }
        return Ok(());
    }
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

fn print(runs: &[Run], peers: &[(Peer, f64)]) {
    let Some(run) = runs.last() else { return };
    let of = |value: fn(&Run) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!("\n{} objects, {:.0} MB resident", run.objects, mb(run.rss));
    println!(
        "  {:.0} MB copied: {:.2} of the occupied memory that can hold objects",
        mb(run.copied),
        run.copied as f64 / run.occupied as f64
    );
    println!(
        "  {:.0} MB taken at most: {:.2} of the resident",
        of(|run| run.peak as f64) / 1e6,
        of(|run| run.peak as f64 / run.rss as f64)
    );
    let pause = of(|run| run.pause);
    println!(
        "  {:.1} ms pause: {:.2} of a bare copy",
        1e3 * pause,
        of(|run| run.pause / run.floor)
    );
    println!("  {:<22}{:>9}{:>9}", "", "ms", "CPU ms");
    for (index, (name, _)) in run.stages().into_iter().enumerate() {
        let spent = |which: fn(Spent) -> f64| {
            let of_each = runs.iter().filter_map(|run| run.stages().into_iter().nth(index));
            1e3 * median(&of_each.map(|(_, spent)| which(spent)).collect::<Vec<_>>())
        };
        println!("  {name:<22}{:>9.0}{:>9.0}", spent(|spent| spent.time), spent(|spent| spent.cpu));
    }
    for (peer, seconds) in peers {
        let own = of(match peer.is_quick {
            true => |run| run.quick().time,
            false => |run| run.whole().time,
        });
        println!(
            "  {:<22}{:>9.0}         {} takes {:.2} of it",
            peer.title,
            1e3 * seconds,
            if peer.is_quick { "by type alone" } else { "the whole" },
            own / seconds
        );
    }
    let _ = PEERS;
}
