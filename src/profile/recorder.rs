//! One process being recorded: its guardian samples, and here the samples become stacks with names.
//!
//! Samples are raw; functions, files and lines are read from the target as soon as a sample arrives, while
//! its code objects still exist.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use indicatif::BinaryBytes;
use rustc_hash::FxHashMap;

use super::estimate::{Estimated, Tally};
use super::samples::{Burst, Call, Sample, Sampling};
use super::stacks::{Stack, process_root};
use super::thread_names::ThreadNames;
use crate::guardian::Program;
use crate::guardian::client::{Guardian, GuardianError, Tagged};
use crate::guardian::report::{End, Report, Request};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::breakpoint::Way;
use crate::process::symbols::Symbols;
use crate::process::{Process, ProcessError};
use crate::python::{CodeCache, Python, PythonError, Version, pymalloc};

/// Why a process cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It has no Python that leakspy can read.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// It cannot be sampled.
    #[error(transparent)]
    Guardian(#[from] GuardianError),
}

impl From<ProcessError> for RecordError {
    fn from(error: ProcessError) -> RecordError {
        RecordError::Guardian(error.into())
    }
}

impl Obstructed for RecordError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            RecordError::Python(error) => error.obstacle(),
            RecordError::Guardian(error) => error.obstacle(),
        }
    }
}

/// The options of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Samples a second.
    pub rate: f64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// Whether each thread is a root of its own.
    pub threads: bool,
    /// Whether each process is a root of its own.
    pub processes: bool,
    /// The program to start as guardian.
    pub guardian: Program,
}

/// A process being recorded.
#[derive(Debug)]
pub struct Recorder {
    process: Process,
    python: Python,
    command: String,
    options: Options,
    guardian: Guardian,
    started: Option<Instant>,
    ended: Option<Instant>,
    tally: Tally,
    naming: Naming,
}

/// Turns raw samples into stacks.
#[derive(Debug, Default)]
struct Naming {
    code: CodeCache,
    symbols: Symbols,
    threads: ThreadNames,
    leaves: FxHashMap<Asked, Arc<str>>,
}

/// The properties that tell kinds of allocation apart.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    call: Call,
    class: Option<u64>,
    asker: Option<Arc<str>>,
}

impl Recorder {
    /// Starts recording. The guardian's reports arrive at `sender`, until [`Report::Ended`]; hand them to
    /// [`Recorder::take`].
    pub fn start(
        process: Process,
        options: Options,
        sender: Sender<Tagged<Burst>>,
    ) -> Result<Recorder, RecordError> {
        let python = Python::attach(&process)?;
        let command = process.command()?;
        let request = Request::new(&process, options.way, Sampling { rate: options.rate });
        let guardian = Guardian::start(&options.guardian, &request, sender)?;
        Ok(Recorder {
            process,
            python,
            command,
            options,
            guardian,
            started: None,
            ended: None,
            tally: Tally::default(),
            naming: Naming::default(),
        })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its command line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The version of its Python.
    pub fn version(&self) -> Version {
        self.python.version
    }

    /// The recorded sums so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// For how long it has been recorded.
    pub fn duration(&self) -> Duration {
        let until = self.ended.unwrap_or_else(Instant::now);
        self.started.map_or(Duration::ZERO, |started| until.saturating_duration_since(started))
    }

    /// When sampling began; `None` if it has not.
    pub fn started(&self) -> Option<Instant> {
        self.started
    }

    /// When its guardian ended; `None` if it has not.
    pub fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// Why the guardian ended; `None` while it samples.
    pub fn end(&self) -> Option<&End> {
        self.guardian.end()
    }

    /// Asks the guardian to let the process go. It reports when it has done so.
    pub fn stop(&mut self) {
        self.guardian.stop();
    }

    /// Takes in a report of the guardian. That it [ended](Recorder::end) is not an error; that it failed is.
    pub fn take(&mut self, report: Report<Burst>) -> Result<(), GuardianError> {
        let now = Instant::now();
        match report {
            Report::Started { .. } => self.started = Some(now),
            Report::Ended(_) => self.ended = Some(now),
            Report::Seen(_) | Report::Cost(_) => {}
        }
        if let Some(burst) = self.guardian.take(report)? {
            self.take_burst(&burst);
        }
        Ok(())
    }

    /// What is estimated for the time recorded.
    pub fn into_estimate(self) -> Estimated {
        let duration = self.duration();
        let Recorder { tally, .. } = self;
        tally.into_estimate(duration)
    }

    fn take_burst(&mut self, burst: &Burst) {
        let Recorder { process, python, naming, options, command, .. } = self;
        let mut roots = Vec::new();
        if options.processes {
            roots.push(process_root(process.pid(), command));
        }
        self.tally.add(burst, |number| {
            let sample = burst.samples.get(number)?;
            let mut roots = roots.clone();
            if options.threads {
                let tid = Some(sample.tid);
                roots.push(naming.threads.name(process, python, tid, sample.pthread));
            }
            Some(naming.stack(process, python, roots, sample))
        });
    }
}

impl Naming {
    fn stack(
        &mut self,
        process: &Process,
        python: &Python,
        mut roots: Vec<Arc<str>>,
        sample: &Sample,
    ) -> Stack {
        let Sample { frames, complete, .. } = sample;
        let stack = self.code.resolve_frames(process, python, frames, *complete);
        if !stack.complete {
            roots.push("(stack not read to its end)".into());
        }
        Stack {
            roots,
            frames: stack.frames,
            leaf: Some(self.leaf(process, sample)),
            ..Stack::default()
        }
    }

    /// The kind of an allocation: its size, and the C function that asked for it.
    fn leaf(&mut self, process: &Process, sample: &Sample) -> Arc<str> {
        let asked = Asked {
            call: sample.call,
            class: sample.bytes.map(size_class),
            asker: self.symbols.function_at(process, sample.caller),
        };
        let text = self.leaves.entry(asked).or_insert_with_key(Asked::text);
        Arc::clone(text)
    }
}

impl Asked {
    fn text(&self) -> Arc<str> {
        let size = match self.class {
            None => "unknown size".to_owned(),
            Some(small) if pymalloc::size_class(small).is_some() => format!("{small} bytes"),
            Some(large) => format!("up to {}", BinaryBytes(large)),
        };
        let again = if self.call == Call::Realloc { "resize to " } else { "" };
        match &self.asker {
            Some(asker) => format!("{again}{size} · {asker}").into(),
            None => format!("{again}{size}").into(),
        }
    }
}

/// pymalloc's size class of a request; above those, the next power of two. In bytes.
fn size_class(bytes: u64) -> u64 {
    let above = || bytes.checked_next_power_of_two().unwrap_or(u64::MAX);
    pymalloc::size_class(bytes).unwrap_or_else(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_by_the_classes_of_the_allocator() {
        for (bytes, class) in [(0, 16), (1, 16), (16, 16), (17, 32), (512, 512), (513, 1024)] {
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
        assert_eq!(size_class(u64::MAX), u64::MAX);
    }
}
