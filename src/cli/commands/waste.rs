//! `leakspy waste`: what is alive and needless.

use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::render::waste::{write, write_json};

/// Print what is alive and needless: equal values, room that nothing fills, dicts where slots would do.
///
/// Each finding says the bytes that would be saved, in which class and attribute, and how. Values are compared by a
/// hash of all their bytes and not shown, unless --values is given; then arrays are also searched for items
/// wider than their values. Buffers of a megabyte and more are read after the pause. A snapshot file has the
/// findings of the moment when it was written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// How much of the program's data is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// The number of findings to print.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
}

/// Prints the waste.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let source = args.source.open(args.memory)?;
    let heap = args.source.heap(&*source, &args.disclosure)?;
    let waste = source.waste(&heap, (&args.disclosure).into())?;
    let (provenance, all) = (&heap.provenance, heap.analysis.total().bytes);
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&waste, all, provenance, out)?),
        false => Ok(write(&waste, all, provenance, args.top, out)?),
    })
}
