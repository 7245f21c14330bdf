//! `leakspy mem`: what the memory of a process is made of.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::value_parser;

use crate::cli::args::processes;
use crate::cli::errors::CommandError;
use crate::heap::{CaptureOptions, Composition, Owner};
use crate::render::composition::{write_json, write_text};

/// Print what the memory of a process is made of, adding up to its resident set.
///
/// Live Python objects and their buffers; what Python's own allocator and the C library's malloc (glibc)
/// have free and keep; what native code has allocated; stacks, files, shared memory. And in a sentence,
/// whether most of it is live, native, or kept by the allocators.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// Do not pause the process; what changes meanwhile makes the parts inexact.
    #[arg(long)]
    pub nonblocking: bool,
    /// How much memory leakspy may use, such as 2GiB [default: half of what is available].
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
}

/// Prints the parts.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (process, python) = processes::attach(args.pid)?;
    let owner =
        Owner { pid: args.pid, command: process.command()?, python: python.version.to_string() };
    let options = CaptureOptions {
        pausing: !args.nonblocking,
        max_memory: args.max_memory.map(|size| size.as_u64()),
    };
    let composition = Composition::of(&process, &python, &options)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.json {
        true => write_json(&composition, &owner, &mut out)?,
        false => write_text(&composition, &owner, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
