//! The cost of finding out why objects live: `leakspy why` for a type with a hundred thousand instances,
//! beside `leakspy heap` on the same target, and beside programs that search for an object's holders from
//! inside, if `benches/install-peers` has been run.
//!
//!     cargo bench --bench why -- [--rounds 5] [--python P] [--objects 5000000] [--limit 60]

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;

use common::statistics::median;
use support::{Target, leakspy};

/// The programs that search from inside: the question that `fixtures/why_peers.py` answers, and its title.
const PEERS: [(&str, &str); 3] = [
    ("objgraph", "objgraph.find_backref_chain, one object"),
    ("guppy3_one", "guppy3 .shpaths, one object"),
    ("guppy3", "guppy3 .shpaths, all objects"),
];

/// Measures `leakspy why` against `leakspy heap` and its peers.
#[derive(Parser)]
struct Options {
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The Python that runs the target
    #[arg(long)]
    python: Option<PathBuf>,
    /// Objects of the heap
    #[arg(long, default_value_t = 5_000_000)]
    objects: u64,
    /// Seconds after which a peer gives up; 0 leaves all of them out
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!("{}, {} objects, medians of {} runs", python.name, options.objects, options.rounds);
    let mut target = Target::start(&python, "why_peers", &[&options.objects.to_string()]);
    let pid = target.pid().to_string();
    let heap = ["heap", "--pid", &pid];
    let why = ["why", "--pid", &pid, "Session"];
    // They take turns, in alternating order, so that other load on the machine affects both alike.
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        let pair = match round % 2 {
            0 => {
                let heap = seconds(&heap)?;
                (heap, seconds(&why)?)
            }
            _ => {
                let why = seconds(&why)?;
                (seconds(&heap)?, why)
            }
        };
        runs.push(pair);
    }
    let of = |value: fn(&(f64, f64)) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    let own = of(|&(_, why)| why);
    println!("  {:<42}{:>8.2} s", "leakspy heap", of(|&(heap, _)| heap));
    let ratio = of(|&(heap, why)| why / heap);
    println!("  {:<42}{own:>8.2} s, {ratio:.2} of `leakspy heap`", "leakspy why, all objects");
    for (question, title) in PEERS.into_iter().filter(|_| options.limit > 0) {
        let answer = target.ask(&format!("{question} {}", options.limit));
        let answer: Option<(Option<f64>, String)> = serde_json::from_value(answer)?;
        match answer {
            None => println!("  {title:<42} is not there: see benches/install-peers"),
            Some((None, _)) => println!("  {title:<42} gave up after {} s", options.limit),
            Some((Some(taken), found)) => {
                let part = own / taken;
                println!(
                    "  {title:<42}{taken:>8.2} s, `leakspy why` takes {part:.2} of it ({found})"
                );
            }
        }
    }
    Ok(())
}

/// The time that a command takes, in seconds.
fn seconds(command: &[&str]) -> Result<f64, Box<dyn Error>> {
    let begin = Instant::now();
    let output = leakspy(command);
    let taken = begin.elapsed().as_secs_f64();
    match output.status.success() {
        true => Ok(taken),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}
