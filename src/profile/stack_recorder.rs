//! Stacks at regular instants, without ever pausing the target: the recording of `--nonblocking`.
//!
//! A sample is the stack of the thread that holds the GIL. It says nothing about memory, and a stack that
//! changes while being read may be torn; stacks found to be torn are left out, and counted. Processes come
//! and go as in a [`recording`](super::recording).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stacks::{Profile, Stack, Weight, process_root};
use super::thread_names::ThreadNames;
use crate::memory::ReadError;
use crate::obstacle::{Obstructed, Obstruction, is_not_python};
use crate::process::newcomers::Newcomers;
use crate::process::{AddressSpace, Process, ProcessError, ThreadIds};
use crate::python::{CodeCache, Python, PythonError, RawStack, Version};

/// Which processes are recorded, and the roots of their stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether each thread is a root of its own.
    pub threads: bool,
    /// Whether descendants are recorded too, and each process is a root of its own.
    pub subprocesses: bool,
}

/// Samples the stacks of a process and, if wanted, of its descendants.
#[derive(Debug)]
pub struct StackRecorder {
    pid: i32,
    options: Options,
    newcomers: Newcomers,
    observed: Vec<Observed>,
    first: Option<First>,
    profile: Profile,
    samples: u64,
    torn: u64,
    refusals: Vec<(i32, StackRecordError)>,
}

/// The first process that was a Python.
#[derive(Debug)]
struct First {
    pid: i32,
    command: String,
    version: Version,
    begun: Instant,
}

/// The result of recording stacks.
#[derive(Debug)]
pub struct RecordedStacks {
    /// The stacks; a weight's `objects` counts samples.
    pub profile: Profile,
    /// The first process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its Python.
    pub version: Version,
    /// For how long it was recorded.
    pub duration: Duration,
    /// Stacks that were read whole.
    pub samples: u64,
    /// Stacks that changed while they were read.
    pub torn: u64,
}

/// A process whose stacks are sampled.
#[derive(Debug)]
struct Observed {
    process: Process,
    program: AddressSpace,
    python: Python,
    root: Arc<str>,
    threads: ThreadNames,
    code: CodeCache,
    raw: RawStack,
}

/// Why stacks cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StackRecordError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It has no Python that leakspy can read.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// Its memory cannot be read.
    #[error("cannot read its memory: {0}")]
    Read(#[from] ReadError),
}

impl Obstructed for StackRecordError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            StackRecordError::Process(error) => error.obstacle(),
            StackRecordError::Python(error) => error.obstacle(),
            StackRecordError::Read(error) => error.obstacle(),
        }
    }
}

impl StackRecorder {
    /// Starts with a process that is a Python, or has children that are.
    pub fn attach(process: Process, options: Options) -> Result<StackRecorder, StackRecordError> {
        let mut recorder = StackRecorder::new(&process, options);
        match recorder.observe(process) {
            Err(error) if options.subprocesses && is_not_python(&error) => {
                recorder.newcomers.look_around(recorder.pid);
                recorder.try_newcomers()?;
                if recorder.observed.is_empty() { Err(error) } else { Ok(recorder) }
            }
            result => result.map(|()| recorder),
        }
    }

    /// Starts with a process that has just been started, as soon as it is a Python.
    pub fn expect(process: &Process, options: Options) -> StackRecorder {
        let mut recorder = StackRecorder::new(process, options);
        recorder.newcomers.expect(process);
        recorder
    }

    fn new(process: &Process, options: Options) -> StackRecorder {
        StackRecorder {
            pid: process.pid(),
            options,
            newcomers: Newcomers::beside(process),
            observed: Vec::new(),
            first: None,
            profile: Profile::new(),
            samples: 0,
            torn: 0,
            refusals: Vec::new(),
        }
    }

    /// Takes a sample of each process in which a thread holds the GIL. `Ok(false)` when all have ended.
    /// Returns an error of the process asked for, if nothing has been recorded yet.
    pub fn sample(&mut self) -> Result<bool, StackRecordError> {
        if self.options.subprocesses {
            self.newcomers.look_around_sometimes(self.pid);
        }
        self.try_newcomers()?;
        for mut observed in std::mem::take(&mut self.observed) {
            if observed.program.is_gone() {
                if observed.process.is_alive() {
                    self.newcomers.expect_again(observed.process.pid());
                }
                continue;
            }
            observed.sample(self.options, |stack| match stack {
                Some(stack) => {
                    self.samples += 1;
                    self.profile.add(stack, Weight { bytes: 0.0, objects: 1.0 });
                }
                None => self.torn += 1,
            });
            self.observed.push(observed);
        }
        Ok(!self.observed.is_empty() || !self.newcomers.is_empty())
    }

    /// For how long it has been recording; `None` if it has not begun.
    pub fn elapsed(&self) -> Option<Duration> {
        self.first.as_ref().map(|first| first.begun.elapsed())
    }

    /// The processes that are recorded.
    pub fn processes(&self) -> usize {
        self.observed.len()
    }

    /// Stacks that were read whole so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Why some processes could not be recorded; returned once.
    pub fn refusals(&mut self) -> Vec<(i32, StackRecordError)> {
        std::mem::take(&mut self.refusals)
    }

    /// The result; `None` if nothing was ever recorded.
    pub fn finish(self) -> Option<RecordedStacks> {
        let First { pid, command, version, begun } = self.first?;
        let StackRecorder { profile, samples, torn, .. } = self;
        let duration = begun.elapsed();
        Some(RecordedStacks { profile, pid, command, version, duration, samples, torn })
    }

    fn observe(&mut self, process: Process) -> Result<(), StackRecordError> {
        let begun = Instant::now();
        let (observed, command) = Observed::new(process)?;
        self.first = Some(First::new(&observed, command, begun));
        self.observed.push(observed);
        Ok(())
    }

    fn try_newcomers(&mut self) -> Result<(), StackRecordError> {
        let StackRecorder { newcomers, observed, first, .. } = self;
        let mut refused = Vec::new();
        let given_up = newcomers.try_all(|process| {
            let (pid, begun) = (process.pid(), Instant::now());
            match Observed::new(process) {
                Ok((new, command)) => {
                    first.get_or_insert_with(|| First::new(&new, command, begun));
                    observed.push(new);
                }
                Err(StackRecordError::Python(error)) if error.is_lasting() => {
                    refused.push((pid, error.into()));
                }
                Err(error) => return Err(error),
            }
            Ok(())
        });
        refused.extend(given_up.into_iter().filter(|(_, error)| !is_of_no_interest(error)));
        for (pid, error) in refused {
            if pid == self.pid && self.first.is_none() {
                return Err(error);
            }
            self.refusals.push((pid, error));
        }
        Ok(())
    }
}

impl First {
    fn new(observed: &Observed, command: String, begun: Instant) -> First {
        First { pid: observed.process.pid(), command, version: observed.python.version, begun }
    }
}

impl Observed {
    /// Returns the process with its command line.
    fn new(process: Process) -> Result<(Observed, String), StackRecordError> {
        // Opened first, so that it shows whether the program is replaced later.
        let program = process.address_space();
        let python = Python::attach(&process)?;
        let program = program.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ReadError::Denied,
            _ => ReadError::Ended,
        })?;
        let command = process.command()?;
        let observed = Observed {
            root: process_root(process.pid(), &command),
            process,
            program,
            python,
            threads: ThreadNames::default(),
            code: CodeCache::new(),
            raw: RawStack::default(),
        };
        Ok((observed, command))
    }

    /// Passes on the stack of each thread that holds a GIL, or `None` if it changed meanwhile.
    fn sample(&mut self, options: Options, mut take: impl FnMut(Option<Stack>)) {
        let Ok(holders) = self.python.gil_holders(&self.process) else { return take(None) };
        for thread in holders {
            let copied = self.python.copy_stack(&self.process, thread, &mut self.raw);
            let stack = self.code.resolve_stack(&self.process, &self.python, &self.raw);
            if copied.is_err() || !stack.complete || stack.frames.is_empty() {
                take(None);
                continue;
            }
            let mut roots = Vec::new();
            if options.subprocesses {
                roots.push(Arc::clone(&self.root));
            }
            if options.threads {
                let Some(name) = self.thread_name(thread) else {
                    take(None);
                    continue;
                };
                roots.push(name);
            }
            take(Some(Stack { roots, frames: stack.frames, ..Stack::default() }));
        }
    }

    /// The name of the thread with this state; `None` if it no longer exists.
    fn thread_name(&mut self, address: u64) -> Option<Arc<str>> {
        let Observed { process, python, threads, .. } = self;
        let states = python.thread_states(process).ok()?;
        let state = states.iter().find(|state| state.address == address)?;
        let ids = ThreadIds::read(process).ok()?;
        let tid = state.native_id.and_then(|id| ids.outer(id));
        Some(threads.name(process, python, tid, state.pthread))
    }
}

/// Whether a newcomer is not a Python, or has ended.
fn is_of_no_interest(error: &StackRecordError) -> bool {
    match error {
        StackRecordError::Python(PythonError::Process(error))
        | StackRecordError::Process(error) => {
            matches!(error, ProcessError::Ended { .. } | ProcessError::NoSuchProcess { .. })
        }
        other => is_not_python(other),
    }
}
