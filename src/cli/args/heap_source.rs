//! What the commands that look at the objects of one process have in common.

use std::time::SystemTime;

use bytesize::ByteSize;
use clap::value_parser;

use super::processes;
use crate::cli::errors::CommandError;
use crate::heap::{Analysis, CaptureOptions, Owner, RootNames};
use crate::python::Python;
use crate::render::preamble::Look;

/// Which process is looked at, and how.
#[derive(Debug, clap::Args)]
pub struct LookArgs {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Do not pause the process; how much did not fit together is said.
    #[arg(long)]
    pub nonblocking: bool,
    /// How much memory leakspy may use, such as 2GiB [default: half of what is available].
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
}

impl LookArgs {
    /// Captures and analyses the heap, and does something with it.
    pub fn with_heap<T>(
        &self,
        then: impl FnOnce(&Analysis<'_>, &RootNames, &Python, &Look) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let pid = self.pid;
        let (process, python) = processes::attach(pid)?;
        let owner = Owner { pid, command: process.command()?, python: python.version.to_string() };
        let options = CaptureOptions {
            pausing: !self.nonblocking,
            max_memory: self.max_memory.map(|size| size.as_u64()),
        };
        let heap = Analysis::of(&process, &python, &options)?;
        let look = Look {
            owner,
            time: SystemTime::now(),
            pause: heap.capture.facts.paused,
            inconsistencies: heap.graph.inconsistencies().count(),
        };
        then(&heap, &RootNames::of(&heap, &python), &python, &look)
    }
}
