//! `leakspy cycles`: objects that hold each other, and the collector that must find them.

use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::inspect::cycles::cycles;
use crate::render::cycles::{write, write_json};

/// Print reference cycles: which are garbage, and the state of the garbage collector.
///
/// A cycle is a set of objects that all reach each other. Garbage is unreachable and not collected yet;
/// leakspy finds it without collecting anything. A cycle with "one entry" is kept alive by a single object
/// outside it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// The number of kinds of cycles to print.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub top: usize,
}

/// Prints the cycles.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let source = args.source.open(args.memory)?;
    let heap = source.heap()?;
    let found = cycles(&heap.analysis, heap.names(), heap.collectors()?);
    let (provenance, clock) = (&heap.provenance, source.monotonic_clock());
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&found, provenance, clock, out)?),
        false => {
            write(&found, provenance, clock, args.top, out)?;
            match found.patterns.first() {
                Some(first) => {
                    let command =
                        format!("leakspy show {} {:#x}", args.source.words(), first.address);
                    Ok(out.next(&command, "shows an object of the first")?)
                }
                None => Ok(()),
            }
        }
    })
}
