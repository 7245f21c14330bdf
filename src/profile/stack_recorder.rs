//! Stacks at regular instants, without ever pausing the target: what `--nonblocking` records.
//!
//! One sample is the stack of whoever holds the GIL. Nothing is known about memory then, and a stack
//! that changes while it is read may be torn; one that is seen to be so is left out, and counted.

use std::time::{Duration, Instant};

use super::stacks::{Profile, Stack, Weight};
use crate::memory::ReadError;
use crate::python::{CodeCache, Python, PythonError, RawStack, Version};
use crate::target::{Process, ProcessError};

/// Samples the stacks of one process.
#[derive(Debug)]
pub struct StackRecorder {
    process: Process,
    python: Python,
    command: String,
    code: CodeCache,
    raw: RawStack,
    profile: Profile,
    begun: Instant,
    samples: u64,
    torn: u64,
}

/// Why stacks cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StackRecordError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No Python was understood in it.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// Its memory cannot be read.
    #[error("cannot read who holds the GIL: {0}")]
    Read(#[from] ReadError),
}

impl StackRecorder {
    /// Begins with no sample.
    pub fn start(process: Process) -> Result<StackRecorder, StackRecordError> {
        let python = Python::attach(&process)?;
        let command = process.command()?;
        Ok(StackRecorder {
            process,
            python,
            command,
            code: CodeCache::new(),
            raw: RawStack::default(),
            profile: Profile::new(),
            begun: Instant::now(),
            samples: 0,
            torn: 0,
        })
    }

    /// Takes a sample, if anybody holds the GIL. `Ok(false)`: the process has ended.
    pub fn sample(&mut self) -> Result<bool, StackRecordError> {
        let holders = match self.python.gil_holders(&self.process) {
            Ok(holders) => holders,
            Err(_) if !self.process.is_alive() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for thread in holders {
            let copied = self.python.copy_stack(&self.process, thread, &mut self.raw);
            let stack = self.code.resolve_stack(&self.process, &self.python, &self.raw);
            if copied.is_err() || !stack.complete || stack.frames.is_empty() {
                self.torn += 1;
                continue;
            }
            self.samples += 1;
            let stack = Stack { frames: stack.frames, ..Stack::default() };
            self.profile.add(stack, Weight { bytes: 0.0, objects: 1.0 });
        }
        Ok(true)
    }

    /// For how long it has been recorded.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The process's PID.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its command line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The version of its Python.
    pub fn version(&self) -> Version {
        self.python.version
    }

    /// Stacks that were read whole.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Stacks that changed while they were read.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// The stacks; a weight's `objects` counts samples.
    pub fn into_profile(self) -> Profile {
        self.profile
    }
}
