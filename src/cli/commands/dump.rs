//! `leakspy dump`: the present stack of every thread, or the last one before its process died.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::args::flags::{JsonArg, MemoryArg, NoSourceArg, PathsArg, SubprocessesArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::python::objects::Disclosure;
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
    /// Also print the local variables of each frame and their types. The process is paused longer.
    #[arg(long)]
    pub locals: bool,
    /// With --locals, also print values, shortened.
    #[arg(long, requires = "locals")]
    pub values: bool,
    /// Whether lines of source code are shown.
    #[command(flatten)]
    pub source_lines: NoSourceArg,
}

/// Prints the stacks.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (dump, others) =
        args.source.each(args.children, MemoryArg::default(), |source| dump(source, args))?;
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

fn dump(source: &dyn Source, args: &Args) -> Result<Dump, CommandError> {
    let disclosure = if args.values { Disclosure::Values } else { Disclosure::Keys };
    let mut threads = source.threads(args.locals.then_some(disclosure))?;
    if let Some(mut lines) = args.source_lines.of(source) {
        let frames = threads.threads.iter_mut().flat_map(|thread| &mut thread.stack.frames);
        frames.for_each(|frame| lines.look_up(frame));
    }
    let identity = source.identity().clone();
    Ok(Dump {
        pid: identity.pid,
        command: identity.command,
        version: identity.version,
        executable: identity.executable,
        threads,
        death: source.death(),
    })
}
