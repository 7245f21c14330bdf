//! One process being recorded: its guardian samples, and here samples become stacks with names.
//!
//! What a sample says is raw; functions, files and lines are read from the target as soon as it
//! arrives, while its code objects are still there.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::BinaryBytes;
use rustc_hash::FxHashMap;

use super::estimate::Tally;
use super::messages::{Call, End, Look, Message, Request, Sample};
use super::stacks::{Stack, process_root};
use super::thread_names::ThreadNames;
use crate::guardian::spawn;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::breakpoint::Way;
use crate::process::symbols::Symbols;
use crate::process::{Process, ProcessError};
use crate::python::{CodeCache, Python, PythonError, RawStack, Version};

/// The largest request that pymalloc serves itself, in bytes (`SMALL_REQUEST_THRESHOLD`,
/// Objects/obmalloc.c, 3.8 to 3.15).
const SMALL: u64 = 512;
/// Its size classes are this far apart, in bytes (`ALIGNMENT` on 64-bit machines).
const CLASS: u64 = 16;

/// Why a process cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No Python was understood in it.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// The guardian could not be started or reached.
    #[error("cannot start the process that samples: {0}")]
    Guardian(#[source] io::Error),
    /// A thread may not be traced.
    #[error("tracing thread {tid} is not permitted")]
    Denied {
        /// The thread.
        tid: i32,
    },
    /// No hardware breakpoints are to be had.
    #[error("{why}")]
    NoBreakpoints {
        /// What the kernel said.
        why: String,
    },
    /// Sampling failed in another way.
    #[error("sampling failed: {why}")]
    Failed {
        /// How.
        why: String,
    },
}

impl Obstructed for RecordError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            RecordError::Process(error) => error.obstacle(),
            RecordError::Python(error) => error.obstacle(),
            RecordError::Denied { .. } => Obstacle::Denied.of_target(),
            RecordError::NoBreakpoints { why } => {
                Obstacle::NoBreakpoints { reason: why.clone() }.of_target()
            }
            RecordError::Guardian(_) | RecordError::Failed { .. } => None,
        }
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Samples a second.
    pub rate: f64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// Whether each thread is a root of its own.
    pub threads: bool,
    /// Whether each process is a root of its own.
    pub processes: bool,
}

/// A process being recorded.
#[derive(Debug)]
pub struct Recorder {
    process: Process,
    python: Python,
    command: String,
    options: Options,
    guardian: Child,
    control: Option<ChildStdin>,
    started: Option<Instant>,
    ended: Option<Instant>,
    tally: Tally,
    naming: Naming,
}

/// What turns raw samples into stacks.
#[derive(Debug, Default)]
struct Naming {
    code: CodeCache,
    symbols: Symbols,
    threads: ThreadNames,
    leaves: FxHashMap<Asked, Arc<str>>,
    raw: RawStack,
}

/// What kinds of allocation are told apart by.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    call: Call,
    class: Option<u64>,
    asker: Option<Arc<str>>,
}

impl Recorder {
    /// Begins to record. What the guardian says arrives at `sender` with the process's PID, until
    /// [`Message::Ended`]; hand it to [`Recorder::take`].
    pub fn start(
        process: Process,
        options: Options,
        sender: Sender<(i32, Message)>,
    ) -> Result<Recorder, RecordError> {
        let python = Python::attach(&process)?;
        let command = process.command()?;
        let pid = process.pid();
        let program = Path::new(spawn::THIS_PROGRAM);
        let mut guardian =
            spawn::spawn(program, spawn::Work::Sample).map_err(RecordError::Guardian)?;
        let (Some(mut control), Some(reports)) = (guardian.stdin.take(), guardian.stdout.take())
        else {
            return Err(RecordError::Guardian(io::ErrorKind::BrokenPipe.into()));
        };
        let request =
            Request { pid, started: process.started(), rate: options.rate, way: options.way };
        let mut line = serde_json::to_vec(&request).map_err(|e| RecordError::Guardian(e.into()))?;
        line.push(b'\n');
        control.write_all(&line).map_err(RecordError::Guardian)?;
        thread::spawn(move || {
            let mut ended = false;
            for line in BufReader::new(reports).lines() {
                let Ok(message) = line.and_then(|line| Ok(serde_json::from_str(&line)?)) else {
                    break;
                };
                ended = matches!(message, Message::Ended(_));
                if sender.send((pid, message)).is_err() {
                    return;
                }
            }
            if !ended {
                let why = "the process that samples ended before its time".into();
                // Nobody waits for it any more if this fails.
                let _ = sender.send((pid, Message::Ended(End::Failed { why })));
            }
        });
        Ok(Recorder {
            process,
            python,
            command,
            options,
            guardian,
            control: Some(control),
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

    /// What was recorded so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// For how long it has been recorded.
    pub fn duration(&self) -> Duration {
        let until = self.ended.unwrap_or_else(Instant::now);
        self.started.map_or(Duration::ZERO, |started| until.saturating_duration_since(started))
    }

    /// Whether sampling has begun.
    pub fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether the guardian has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Asks the guardian to let the process go. It says when it has.
    pub fn stop(&mut self) {
        self.control = None;
    }

    /// Takes in what the guardian says.
    pub fn take(&mut self, message: &Message) {
        match message {
            Message::Started { .. } => self.started = Some(Instant::now()),
            Message::Look(look) => self.take_look(look),
            Message::Ended(_) => {
                self.ended = Some(Instant::now());
                self.control = None;
                // It has said its last word; waiting only collects it.
                let _ = self.guardian.wait();
            }
        }
    }

    /// The stacks, with totals estimated for the time recorded.
    pub fn into_profile(self) -> super::Profile {
        let duration = self.duration();
        let Recorder { tally, .. } = self;
        tally.into_profile(duration)
    }

    fn take_look(&mut self, look: &Look) {
        let Recorder { process, python, naming, options, command, .. } = self;
        let mut roots = Vec::new();
        if options.processes {
            roots.push(process_root(process.pid(), command));
        }
        self.tally.add(look, |number| {
            let sample = look.samples.get(number)?;
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
        self.raw.frames.clone_from(&sample.frames);
        self.raw.complete = sample.complete;
        let stack = self.code.resolve_stack(process, python, &self.raw);
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
            Some(small @ ..=SMALL) => format!("{small} bytes"),
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
    if bytes <= SMALL {
        bytes.max(1).next_multiple_of(CLASS)
    } else {
        bytes.checked_next_power_of_two().unwrap_or(u64::MAX)
    }
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
