//! A running process as a source: each question takes a pause of its own, unless pauses are turned off.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::{Heap, Identity, Source, SourceError};
use crate::heap::{Analysis, CaptureOptions, Composition, Grouping, Summary, TypeCounts};
use crate::process::Process;
use crate::python::Python;
use crate::python::debug_offsets::Disagreement;
use crate::python::thread_dump::ThreadDump;

/// A running process and its Python interpreter.
#[derive(Debug)]
pub struct LiveProcess {
    process: Process,
    python: Python,
    identity: Identity,
    options: CaptureOptions,
}

impl LiveProcess {
    /// Opens the process with this PID and finds its Python interpreter. The `options` say whether it is
    /// paused for an answer, and how much memory that may take.
    ///
    /// # Errors
    /// There is no such process, it cannot be read, or it has no Python that we understand.
    pub fn open(pid: i32, options: CaptureOptions) -> Result<LiveProcess, SourceError> {
        let process = Process::open(pid)?;
        let python = Python::attach(&process)?;
        let identity = Identity {
            pid,
            started: process.started(),
            command: process.command()?,
            executable: process.executable()?.to_string_lossy().into_owned(),
            version: python.version,
        };
        Ok(LiveProcess { process, python, identity, options })
    }

    /// The process, its interpreter, and the capture options.
    pub fn into_parts(self) -> (Process, Python, CaptureOptions) {
        (self.process, self.python, self.options)
    }

    /// Where the interpreter's own account of its layout differs from our table.
    pub fn disagreements(&self) -> &[Disagreement] {
        &self.python.disagreements
    }
}

impl Source for LiveProcess {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn heap(&self) -> Result<Heap<'_>, SourceError> {
        let analysis = Analysis::of(&self.process, &self.python, &self.options)?;
        Ok(Heap::new(analysis, &self.python, self.identity.owner()))
    }

    fn summary(&self, by: Grouping) -> Result<Summary, SourceError> {
        let (capture, counts) = TypeCounts::take(&self.process, &self.python, &self.options)?;
        Ok(Summary::of_counts(&capture, &counts, self.identity.owner(), by))
    }

    fn composition(&self) -> Result<Composition, SourceError> {
        Ok(Composition::of(&self.process, &self.python, &self.options)?)
    }

    fn threads(&self) -> Result<ThreadDump, SourceError> {
        Ok(self.python.dump_threads(&self.process, self.options.pausing)?)
    }

    fn monotonic_clock(&self) -> Option<Duration> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time")).ok();
        if namespace("self")? != namespace(&self.identity.pid.to_string())? {
            return None;
        }
        clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
    }
}
