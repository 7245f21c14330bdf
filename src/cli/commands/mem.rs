//! `leakspy mem`: the parts of a process's resident set.

use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::render::composition::{write_json, write_text};

/// Print what the resident set of a process is made of.
///
/// Live Python objects and their buffers; free memory in Python's own allocator and in the C library's malloc
/// (glibc); native allocations; stacks, files, shared memory. The parts add up to the resident set, and a
/// sentence says whether most of it is live, native, or kept by the allocators.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which process.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// Prints the parts.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let source = args.source.open(args.memory)?;
    let (composition, owner) = (source.composition()?, source.identity().owner());
    print(|out| match args.form.json {
        true => Ok(write_json(&composition, &owner, out)?),
        false => Ok(write_text(&composition, &owner, out)?),
    })
}
