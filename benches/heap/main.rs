//! What a heap costs: the pause of its capture against a bare copy of the same bytes, the time until the
//! whole graph with retained sizes is there, and leakspy's own memory.
//!
//!     cargo bench --bench heap -- [--runs 5] [--python P] [--objects 100000,1000000,5000000]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use leakspy::heap::{Capture, CaptureOptions, Discovery, Dominators, Flow, Graph, Retained};
use leakspy::python::Python;
use leakspy::target::{PageMap, Piece, Process};
use memmap2::{Advice, MmapMut};

use common::statistics::median;
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
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bytes that a reader of the bare copy takes at a time.
const PART: usize = 8 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!("{}, medians of {} runs, times in ms, sizes in MB", python.name, options.runs);
    println!(
        "{:>10} {:>6} {:>6} | {:>6} {:>6} {:>5} | {:>7} {:>9} {:>6} {:>6} {:>8} {:>7} | {:>5} {:>5}",
        "objects",
        "rss",
        "copied",
        "pause",
        "floor",
        "ratio",
        "capture",
        "discovery",
        "graph",
        "dom",
        "retained",
        "all",
        "peak",
        "/rss"
    );
    for &objects in &options.objects {
        measure(&python, objects, &options)?;
    }
    Ok(())
}

/// What one run took, in seconds.
#[derive(Default, Clone, Copy)]
struct Run {
    pause: f64,
    floor: f64,
    capture: f64,
    discovery: f64,
    graph: f64,
    dominators: f64,
    retained: f64,
}

fn measure(python: &Interpreter, objects: u64, options: &Options) -> Result<(), Box<dyn Error>> {
    let target = Target::start(python, "heap_of", &[&objects.to_string()]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let mut runs = Vec::new();
    let (mut found, mut copied, mut rss, mut peak) = (0, 0, 0, 0);
    for _ in 0..options.runs {
        forget_peak()?;
        let before = memory("VmRSS:")?;
        let mut run = Run::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
        let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
        run.capture = lap();
        let discovery = Discovery::of(&capture, &python, options.threads, true)?;
        run.discovery = lap();
        let (graph, search) = Graph::of(&capture, discovery, options.threads);
        run.graph = lap();
        let dominators = Dominators::of(search);
        run.dominators = lap();
        let retained = Retained::of(&graph, &dominators);
        run.retained = lap();
        let whole = retained.amount(&graph, 0);
        peak = peak.max(memory("VmHWM:")?.saturating_sub(before));
        run.pause = capture.facts.pause.as_secs_f64();
        (found, copied, rss) = (whole.objects, capture.facts.copied, capture.facts.rss);
        assert_eq!(found, graph.end() - graph.objects().start);
        let ranges: Vec<Range<u64>> = capture.segments().iter().map(|s| s.range.clone()).collect();
        drop((capture, graph, dominators, retained));
        run.floor = bare_copy(&process, &ranges)?.as_secs_f64();
        runs.push(run);
    }
    let ms = |part: fn(&Run) -> f64| 1e3 * median(&runs.iter().map(part).collect::<Vec<_>>());
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{:>10} {:>6.0} {:>6.0} | {:>6.1} {:>6.1} {:>5.2} | {:>7.0} {:>9.0} {:>6.0} {:>6.0} {:>8.0} {:>7.0} | {:>5.0} {:>5.2}",
        found,
        mb(rss),
        mb(copied),
        ms(|run| run.pause),
        ms(|run| run.floor),
        median(&runs.iter().map(|run| run.pause / run.floor).collect::<Vec<_>>()),
        ms(|run| run.capture),
        ms(|run| run.discovery),
        ms(|run| run.graph),
        ms(|run| run.dominators),
        ms(|run| run.retained),
        ms(|run| run.capture + run.discovery + run.graph + run.dominators + run.retained),
        mb(peak),
        peak as f64 / rss as f64,
    );
    Ok(())
}

/// How long two readers take to copy what these ranges hold into memory that is already faulted in.
fn bare_copy(process: &Process, ranges: &[Range<u64>]) -> Result<Duration, Box<dyn Error>> {
    let pages = PageMap::open(process.pid())?;
    let mut runs = Vec::new();
    for range in ranges {
        pages.occupied(range.clone(), &mut runs)?;
    }
    let total: u64 = runs.iter().map(|run| run.end - run.start).sum();
    let mut buffer = MmapMut::map_anon(total as usize)?;
    buffer.advise(Advice::HugePage)?;
    buffer.advise(Advice::PopulateWrite)?;
    let mut rest = &mut buffer[..];
    let mut parts = Vec::new();
    for run in runs {
        for address in run.clone().step_by(PART) {
            let length = PART.min((run.end - address) as usize);
            let (buffer, behind) = rest.split_at_mut(length);
            parts.push(Piece { address, buffer });
            rest = behind;
        }
    }
    // Small ones together: one system call for many.
    let mut batches: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut bytes = 0;
    for part in parts {
        if bytes >= PART {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += part.buffer.len();
        if let Some(batch) = batches.last_mut() {
            batch.push(part);
        }
    }
    let batches = Mutex::new(batches);
    let read = || {
        loop {
            let batch = batches.lock().expect("no reader panics").pop();
            let Some(mut batch) = batch else { break };
            process.read_pieces(&mut batch).expect("the target lives");
        }
    };
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(read);
        read();
    });
    Ok(began.elapsed())
}

/// Lets the kernel begin anew with the peak of our memory.
fn forget_peak() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// A line of our own status, in bytes.
fn memory(line: &str) -> std::io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    let kilobytes = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    Ok(kilobytes.unwrap_or(0_u64) * 1024)
}
