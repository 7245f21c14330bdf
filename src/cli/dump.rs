//! `leakspy dump`: the stacks of every thread, now.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use super::obstacle::is_not_python;
use super::{advice, say};
use crate::python::Python;
use crate::render::Paths;
use crate::render::dump::{Dump, write_json, write_text};
use crate::target::Process;
use crate::target::family::descendants;

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
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (dump, subprocesses) =
        if args.subprocesses { family(args)? } else { (dump(args.pid, args)?, Vec::new()) };
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

/// The process and its descendants, as far as they are Pythons: the first of them, and the others.
fn family(args: &Args) -> anyhow::Result<(Dump, Vec<Dump>)> {
    let first = dump(args.pid, args);
    let mut others = Vec::new();
    for pid in descendants(args.pid) {
        match dump(pid, args) {
            Ok(dump) => others.push(dump),
            Err(error) if is_not_python(&error) => {}
            Err(error) => say(format_args!("leakspy: {}", advice::explain(&error, Some(pid)))),
        }
    }
    match first {
        Err(error) if is_not_python(&error) && !others.is_empty() => Ok((others.remove(0), others)),
        first => Ok((first?, others)),
    }
}

fn dump(pid: i32, args: &Args) -> anyhow::Result<Dump> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    for difference in &python.disagreements {
        say(format_args!(
            "leakspy: process {pid} says that {} is at {}, and not at {} as expected.",
            difference.field, difference.found, difference.expected
        ));
    }
    let snapshot = python.snapshot(&process, !args.nonblocking)?;
    Ok(Dump {
        pid,
        command: process.command()?,
        version: python.version,
        executable: process.executable()?.to_string_lossy().into_owned(),
        snapshot,
    })
}
