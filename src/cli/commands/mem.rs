//! `leakspy mem`: what the memory of a process is made of.

use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::render::composition::{write_json, write_text};

/// Print what the memory of a process is made of, adding up to its resident set.
///
/// Live Python objects and their buffers; what Python's own allocator and the C library's malloc (glibc)
/// have free and keep; what native code has allocated; stacks, files, shared memory. And in a sentence,
/// whether most of it is live, native, or kept by the allocators.
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
