//! Runs of a capture and all analyses of a heap, each stage timed.

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use leakspy::heap::figures::groups;
use leakspy::heap::{
    Analysis, Capture, CaptureOptions, Discovery, Dominators, Graph, Grouping, Retained, TypeCounts,
};
use leakspy::process::Process;
use leakspy::python::Python;
use nix::time::{ClockId, clock_gettime};

use super::floor::bare_copy;

/// Names of the two sums.
pub const WHOLE: &str = "the whole";
pub const QUICK: &str = "by type alone";

/// Time spent, in seconds.
#[derive(Default, Clone, Copy)]
pub struct Spent {
    /// By the wall clock.
    pub time: f64,
    /// On all processors together.
    pub cpu: f64,
}

/// The costs of one run.
#[derive(Default, Clone, Copy)]
pub struct Run {
    /// Seconds: the target's pause, and a bare copy.
    pub pause: f64,
    pub floor: f64,
    /// Objects found.
    pub objects: u32,
    /// Bytes: resident, copied, of the bare copy, and leakspy's peak.
    pub rss: u64,
    pub copied: u64,
    pub occupied: u64,
    pub peak: u64,
    capture: Spent,
    discovery: Spent,
    graph: Spent,
    dominators: Spent,
    retained: Spent,
    table: Spent,
    tally: Spent,
}

impl Run {
    /// All stages and sums, by name.
    pub fn stages(&self) -> [(&'static str, Spent); 9] {
        [
            ("capture", self.capture),
            ("discovery", self.discovery),
            ("graph", self.graph),
            ("dominators", self.dominators),
            ("retained sizes", self.retained),
            ("table by type", self.table),
            (WHOLE, self.whole()),
            ("tally", self.tally),
            (QUICK, self.quick()),
        ]
    }

    /// Everything, including retained sizes.
    pub fn whole(&self) -> Spent {
        let stages = [self.capture, self.discovery, self.graph, self.dominators, self.retained];
        stages.into_iter().fold(self.table, Spent::and)
    }

    /// A capture, with its objects counted by type.
    pub fn quick(&self) -> Spent {
        self.capture.and(self.tally)
    }
}

impl Spent {
    fn and(self, other: Spent) -> Spent {
        Spent { time: self.time + other.time, cpu: self.cpu + other.cpu }
    }
}

/// Time since the last lap.
struct Laps {
    time: Instant,
    cpu: f64,
}

impl Laps {
    fn begin() -> Laps {
        Laps { time: Instant::now(), cpu: cpu_time() }
    }

    fn lap(&mut self) -> Spent {
        let now = Laps::begin();
        let last = std::mem::replace(self, now);
        Spent { time: (self.time - last.time).as_secs_f64(), cpu: self.cpu - last.cpu }
    }
}

/// leakspy's own processor time, in seconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every process has one");
    std::time::Duration::from(time).as_secs_f64()
}

/// Captures and analyses the heap of a process this many times.
pub fn run(pid: i32, runs: usize, threads: usize) -> Result<Vec<Run>, Box<dyn Error>> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    (0..runs).map(|_| one(&process, &python, threads)).collect()
}

fn one(process: &Process, python: &Python, threads: usize) -> Result<Run, Box<dyn Error>> {
    forget_peak()?;
    let before = memory("VmRSS:")?;
    let mut run = Run::default();
    let mut laps = Laps::begin();
    let capture = Capture::take(process, python, &CaptureOptions::default())?;
    run.capture = laps.lap();
    let discovery = Discovery::of(&capture, python, threads, true)?;
    run.discovery = laps.lap();
    let types = Arc::clone(&discovery.types);
    let (graph, search) = Graph::of(&capture, discovery, threads);
    run.graph = laps.lap();
    let dominators = Dominators::of(search);
    run.dominators = laps.lap();
    let retained = Retained::of(&graph, &dominators);
    run.retained = laps.lap();
    let heap = Analysis::captured(capture, types, graph, dominators, retained);
    let table = groups(&heap, Grouping::Type);
    run.table = laps.lap();
    run.peak = memory("VmHWM:")?.saturating_sub(before);
    let whole = heap.total();
    assert_eq!(table.iter().map(|group| group.count).sum::<u64>(), u64::from(whole.objects));
    let capture = heap.into_capture().expect("it was captured");
    laps.lap();
    let tally = TypeCounts::of(&capture, python, threads, true)?;
    run.tally = laps.lap();
    let counted: u64 = tally.by_type().map(|(_, count)| count.objects).sum();
    assert_eq!(counted, u64::from(whole.objects));
    let facts = capture.facts;
    run.pause = facts.pause.as_secs_f64();
    (run.objects, run.copied, run.rss) = (whole.objects, facts.copied, facts.rss);
    let ranges: Vec<Range<u64>> = capture.segments().iter().map(|s| s.range.clone()).collect();
    drop(capture);
    let (floor, occupied) = bare_copy(process, &ranges)?;
    (run.floor, run.occupied) = (floor.as_secs_f64(), occupied);
    Ok(run)
}

/// Makes the kernel reset the peak of our memory.
fn forget_peak() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> std::io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    let kilobytes = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    Ok(kilobytes.unwrap_or(0_u64) * 1024)
}
