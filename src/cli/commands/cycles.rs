//! `leakspy cycles`: objects that hold each other, and the collector that is to find them.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::cli::args::heap_source::LookArgs;
use crate::cli::errors::CommandError;
use crate::inspect::cycles::cycles;
use crate::render::cycles::{write, write_json};

/// Print the cycles of a process: which are garbage, and what the collector is doing about it.
///
/// A cycle is a set of objects that all reach each other. Garbage is what nothing holds any more and no
/// collection has found yet; nothing is collected in order to know it. "One entry" are cycles that live by
/// one object outside only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap, and how it is captured.
    #[command(flatten)]
    pub look: LookArgs,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// How many kinds of cycles are printed.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub top: usize,
}

/// Prints the cycles.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    args.look.with_heap(|heap, names, python, look| {
        let found = cycles(heap, names, python)?;
        let uptime = uptime(args.look.pid);
        let mut out = BufWriter::new(io::stdout().lock());
        match args.json {
            true => write_json(&found, look, uptime, &mut out)?,
            false => write(&found, look, uptime, args.top, &mut out)?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What the monotonic clock says in a process, if it is in our time namespace.
fn uptime(pid: i32) -> Option<Duration> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time")).ok();
    if namespace("self")? != namespace(&pid.to_string())? {
        return None;
    }
    clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
}
