//! `leakspy mem`: the parts of a process's resident set.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg, SubprocessesArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::children::tell_left_out;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::render::composition::{Part, write_json, write_shares, write_text};
use crate::source::Source;

/// Print what the resident set of a process is made of.
///
/// Live Python objects and their buffers; free memory in Python's own allocator and in the C library's malloc
/// (glibc); native allocations; stacks, files, shared memory. The parts add up to the resident set, and a
/// sentence says whether most of it is live, native, or kept by the allocators. With --subprocesses, a table
/// says how much memory each process has for itself, how much it shares, and what all take together.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which process.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// Prints the parts.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let divide = |source: &dyn Source| {
        Ok(Part { composition: source.composition()?, owner: source.identity().owner() })
    };
    if let Some(pid) = args.source.pid() {
        tell_left_out(pid, args.children);
    }
    let (first, others) = args.source.each(args.children, args.memory, divide)?;
    print(args.form.json, |out| {
        if args.form.json {
            let others = args.children.subprocesses.then_some(&*others);
            return Ok(write_json(&first, others, out)?);
        }
        write_text(&first, out)?;
        for part in &others {
            writeln!(out)?;
            write_text(part, out)?;
        }
        if !others.is_empty() {
            writeln!(out)?;
            write_shares(&first, &others, out)?;
        }
        Ok(())
    })
}
