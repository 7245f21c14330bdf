//! `leakspy dump`: the stacks of every thread, now.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use crate::cli::args::processes;
use crate::cli::errors::CommandError;
use crate::render::Paths;
use crate::render::dump::{Dump, write_json, write_text};

/// Print the stack of every Python thread of a process.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// Look at its child processes too.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Do not pause the process; what could not be read whole is said to be so.
    #[arg(long)]
    pub nonblocking: bool,
    /// Show whole paths of files.
    #[arg(long, alias = "full-filenames")]
    pub full_paths: bool,
}

/// Prints the stacks.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (dump, subprocesses) = processes::each(args.pid, args.subprocesses, |pid| dump(pid, args))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        write_json(&dump, args.subprocesses.then_some(&*subprocesses), &mut out)?;
    } else {
        let paths = if args.full_paths { Paths::Full } else { Paths::Short };
        write_text(&dump, paths, &mut out)?;
        for dump in &subprocesses {
            writeln!(out)?;
            write_text(dump, paths, &mut out)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn dump(pid: i32, args: &Args) -> Result<Dump, CommandError> {
    let (process, python) = processes::attach(pid)?;
    let snapshot = python.snapshot(&process, !args.nonblocking)?;
    Ok(Dump {
        pid,
        command: process.command()?,
        version: python.version,
        executable: process.executable()?.to_string_lossy().into_owned(),
        snapshot,
    })
}
