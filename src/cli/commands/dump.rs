//! `leakspy dump`: the present stack of every thread, or the last one before its process died.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg, PathsArg, SubprocessesArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::render::dump::{Dump, write_json, write_text};
use crate::source::Source;

/// Print the stack of every Python thread of a process.
///
/// With --core it also says which signal the process died of, where, and in which thread.
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
    /// How files are shown.
    #[command(flatten)]
    pub paths: PathsArg,
}

/// Prints the stacks.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (dump, others) = args.source.each(args.children, MemoryArg::default(), dump)?;
    print(args.form.json, |out| {
        if args.form.json {
            let others = args.children.subprocesses.then_some(&*others);
            return Ok(write_json(&dump, others, out)?);
        }
        let paths = args.paths.paths();
        write_text(&dump, paths, out)?;
        for dump in &others {
            writeln!(out)?;
            write_text(dump, paths, out)?;
        }
        Ok(())
    })
}

fn dump(source: &dyn Source) -> Result<Dump, CommandError> {
    let identity = source.identity().clone();
    Ok(Dump {
        pid: identity.pid,
        command: identity.command,
        version: identity.version,
        executable: identity.executable,
        threads: source.threads()?,
        death: source.death(),
    })
}
