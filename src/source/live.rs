//! A running process as a source: each question takes a pause of its own, unless pauses are turned off.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::{Heap, Identity, Source, SourceError};
use crate::heap::{
    Analysis, CaptureOptions, Composition, Discovery, Grouping, RawResidency, Summary, TypeCounts,
    processors,
};
use crate::process::files::ProcessFiles;
use crate::process::{Process, ProcessError};
use crate::python::debug_offsets::Disagreement;
use crate::python::objects::Disclosure;
use crate::python::thread_dump::ThreadDump;
use crate::python::{Python, SourceLines};

/// Everything that can be said about one moment of a process.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Its objects.
    pub heap: Heap<'a>,
    /// The parts of its resident set, if they can be told.
    pub composition: Option<Composition>,
    /// The stacks of its threads, if they can be read.
    pub threads: Option<ThreadDump>,
}

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
        let identity = Identity::of(&process, &python)?;
        Ok(LiveProcess { process, python, identity, options })
    }

    /// The process, its interpreter, and the capture options.
    pub fn into_parts(self) -> (Process, Python, CaptureOptions) {
        (self.process, self.python, self.options)
    }

    /// What is behind a failure: memory of two programs is read wrong in any way.
    fn behind(&self, error: impl Into<SourceError>) -> SourceError {
        match self.process.has_replaced_program() {
            true => ProcessError::Replaced { pid: self.process.pid() }.into(),
            false => error.into(),
        }
    }

    /// Its objects, its resident set and its threads, in one pause.
    ///
    /// # Errors
    /// The heap cannot be captured, or its objects cannot be found.
    pub fn moment(&self) -> Result<Moment<'_>, SourceError> {
        self.capture_moment().map_err(|error| self.behind(error))
    }

    fn capture_moment(&self) -> Result<Moment<'_>, SourceError> {
        let LiveProcess { process, python, options, .. } = self;
        // Once a thread is paused, it is no longer visible whether it was running, and on what it waited.
        let activity = python.activity(process);
        let mut raw = Err(io::ErrorKind::NotFound.into());
        let (capture, discovery) =
            Discovery::take(process, python, options, processors(), &mut || {
                raw = RawResidency::read(process);
            })?;
        let (paused, strict) = (capture.facts.paused, capture.is_strict(options));
        let threads = activity
            .and_then(|activity| python.captured_threads(process, &capture, activity, paused, None))
            .ok();
        let residency = raw.map(RawResidency::parse);
        let composition =
            Composition::of_capture(process, python, &capture, residency, strict).ok();
        let analysis = Analysis::of_discovery(process, capture, discovery)?;
        let heap = Heap::new(analysis, python, self.identity.owner());
        Ok(Moment { heap, composition, threads })
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
        let analysis = Analysis::of(&self.process, &self.python, &self.options)
            .map_err(|error| self.behind(error))?;
        Ok(Heap::new(analysis, &self.python, self.identity.owner()))
    }

    fn summary(&self, by: Grouping) -> Result<Summary, SourceError> {
        let (capture, counts) = TypeCounts::take(&self.process, &self.python, &self.options)
            .map_err(|error| self.behind(error))?;
        Ok(Summary::of_counts(&capture, &counts, self.identity.owner(), by))
    }

    fn composition(&self) -> Result<Composition, SourceError> {
        let composition = Composition::of(&self.process, &self.python, &self.options);
        composition.map_err(|error| self.behind(error))
    }

    fn threads(&self, locals: Option<Disclosure>) -> Result<ThreadDump, SourceError> {
        let dump = self.python.dump_threads(&self.process, self.options.pausing, locals);
        dump.map_err(|error| self.behind(error))
    }

    fn source_lines(&self) -> Option<SourceLines> {
        ProcessFiles::of(&self.process).ok().map(SourceLines::new)
    }

    fn host(&self) -> String {
        host()
    }

    fn monotonic_clock(&self) -> Option<Duration> {
        monotonic_clock(self.identity.pid)
    }
}

/// The name of this machine.
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.unwrap_or_default().trim().to_owned()
}

/// The time on the monotonic clock of a process; `None` if it is in another time namespace.
pub fn monotonic_clock(pid: i32) -> Option<Duration> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time")).ok();
    if namespace("self")? != namespace(&pid.to_string())? {
        return None;
    }
    clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
}
