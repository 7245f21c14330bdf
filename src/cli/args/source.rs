//! Which heap a command is about: today that of a live process, by its PID.
//!
//! A new [`Source`] is a new argument here, in the place of `--pid`.

use super::flags::{MemoryArg, NonblockingArg, PidArg, SubprocessesArg};
use crate::cli::errors::{CommandError, Context};
use crate::cli::processes::{each, open};
use crate::heap::CaptureOptions;
use crate::source::Source;

/// Where the heap comes from.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(mut_arg("pid", |pid| pid.required(true)))]
pub struct SourceArgs {
    /// Which process.
    #[command(flatten)]
    pid: PidArg,
    /// Whether it is paused.
    #[command(flatten)]
    pausing: NonblockingArg,
}

impl SourceArgs {
    /// The process that was asked for, if it is one.
    pub fn pid(&self) -> Option<i32> {
        self.pid.pid
    }

    /// Opens the source. Nothing is paused or captured until it is asked something.
    pub fn open(&self, memory: MemoryArg) -> Result<Box<dyn Source>, CommandError> {
        let (pid, options) = self.process(memory)?;
        Ok(Box::new(open(pid, options)?))
    }

    /// Asks the source, and where `children` says so the descendants of its process that are Pythons:
    /// the answer of the first of them, and those of the others.
    pub fn each<T>(
        &self,
        children: SubprocessesArg,
        memory: MemoryArg,
        mut ask: impl FnMut(&dyn Source) -> Result<T, CommandError>,
    ) -> Result<(T, Vec<T>), CommandError> {
        let (pid, options) = self.process(memory)?;
        each(pid, children.subprocesses, |pid| ask(&open(pid, options)?))
    }

    fn process(&self, memory: MemoryArg) -> Result<(i32, CaptureOptions), CommandError> {
        let pid = self.pid.pid.context("there is no process")?;
        let pausing = !self.pausing.nonblocking;
        Ok((pid, CaptureOptions { pausing, max_memory: memory.bytes() }))
    }
}
