//! A profile from tracemalloc's tables: the live blocks by allocating stack. Exact, from one capture.
//!
//! tracemalloc keeps files and lines but no functions, so the file name stands in for the function's name.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::stacks::{Profile, Stack, Weight};
use crate::heap::{Capture, CaptureError, CaptureOptions};
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::{Pauses, Process, ProcessError};
use crate::python::tracemalloc::{TraceFrame, Traceback, TracebackId, Traces, TracesError};
use crate::python::{Frame, Python, PythonError, Version};

/// How often to capture a process whose tables were being changed at that moment.
const TRIES: usize = 5;
/// Placed below a stack whose outermost frames tracemalloc has not kept.
const CUT: &str = "(outer frames not kept by tracemalloc)";

/// tracemalloc's name for an unknown file.
const UNKNOWN: &str = "<unknown>";

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum TracedError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It has no Python that leakspy can read.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// It could not be captured.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// tracemalloc's tables could not be read.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// tracemalloc is off.
    #[error("tracemalloc is off in process {pid}")]
    Off {
        /// The process.
        pid: i32,
    },
}

impl Obstructed for TracedError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            TracedError::Process(error) => error.obstacle(),
            TracedError::Python(error) => error.obstacle(),
            TracedError::Capture(error) => error.obstacle(),
            TracedError::Traces(error) => error.obstacle(),
            &TracedError::Off { pid } => Obstacle::NotTracing.of(pid),
        }
    }
}

/// The live blocks that tracemalloc recorded in one process, or several, at one moment.
#[derive(Debug)]
pub struct Traced {
    /// The stacks; weights are exact.
    pub profile: Profile,
    /// The first process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its Python.
    pub version: Version,
    /// The processes.
    pub processes: u64,
    /// How long they stood still: one on average, at most, and all together.
    pub pauses: Pauses,
}

impl Traced {
    /// Captures a process and reads its traces. The process is a root of its own if `with_root`.
    pub fn of(process: &Process, with_root: bool) -> Result<Traced, TracedError> {
        let pid = process.pid();
        let python = Python::attach(process)?;
        let command = process.command()?;
        let mut paused = Duration::ZERO;
        let mut tries = 0;
        let traces = loop {
            tries += 1;
            if python.tracing(process)?.is_none() {
                return Err(TracedError::Off { pid });
            }
            let capture = Capture::take(process, &python, &CaptureOptions::default())?;
            paused += capture.facts.paused;
            match python.traces(&capture) {
                Ok(Some(traces)) => break traces,
                Ok(None) => return Err(TracedError::Off { pid }),
                Err(error) if error.is_passing() && tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        };
        let root = with_root.then(|| Arc::from(format!("process {pid}: {command}")));
        Ok(Traced {
            profile: profile(&traces, root.as_ref()),
            pid,
            command,
            version: python.version,
            processes: 1,
            pauses: Pauses { mean: paused, max: paused, total: paused },
        })
    }

    /// Adds the stacks of another process.
    pub fn merge(&mut self, other: Traced) {
        self.profile.merge(other.profile);
        self.processes += other.processes;
        self.pauses.max = self.pauses.max.max(other.pauses.max);
        self.pauses.total += other.pauses.total;
        let processes = u32::try_from(self.processes).unwrap_or(u32::MAX);
        self.pauses.mean = self.pauses.total.checked_div(processes).unwrap_or_default();
    }
}

/// The stacks of all traces.
pub fn profile(traces: &Traces, root: Option<&Arc<str>>) -> Profile {
    let mut weights: FxHashMap<(TracebackId, u32), Weight> = FxHashMap::default();
    for trace in traces.iter() {
        let weight = weights.entry((trace.traceback, trace.domain)).or_default();
        *weight += Weight { bytes: trace.size as f64, objects: 1.0 };
    }
    let mut profile = Profile::new();
    let mut names = FxHashMap::default();
    for ((id, domain), weight) in weights {
        let traceback = traces.traceback(id);
        let mut roots: Vec<Arc<str>> = root.into_iter().cloned().collect();
        if traceback.missing.is_some_and(|missing| missing > 0) {
            roots.push(CUT.into());
        }
        let leaf = (domain != 0).then(|| format!("tracemalloc domain {domain}").into());
        profile.add(
            Stack { roots, frames: frames(traceback, &mut names), leaf, ..Stack::default() },
            weight,
        );
    }
    profile
}

/// The frames of a traceback, innermost first, each named after its file. Where no Python frame was running,
/// tracemalloc keeps one without a line.
fn frames<'a>(
    traceback: Traceback<'a>,
    names: &mut FxHashMap<&'a Arc<str>, Arc<str>>,
) -> Vec<Frame> {
    let frame = |frame: TraceFrame<'a>| {
        let name = names.entry(frame.file).or_insert_with(|| base_name(frame.file).into());
        Frame::new(Arc::clone(name), Arc::clone(frame.file), frame.line)
    };
    traceback
        .frames()
        .filter(|frame| frame.line.is_some() || &**frame.file != UNKNOWN)
        .map(frame)
        .collect()
}

/// The last part of a path.
fn base_name(file: &str) -> &str {
    match file.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name,
        _ => file,
    }
}
