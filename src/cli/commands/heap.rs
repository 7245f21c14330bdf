//! `leakspy heap`: every live object of a process, by type.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::{ValueEnum, value_parser};

use super::diff;
use crate::cli::args::processes;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::write_whole;
use crate::cli::say;
use crate::heap::figures::largest;
use crate::heap::{Analysis, CaptureOptions, Grouping, Owner, RootNames, Summary, TypeCounts};
use crate::python::objects::Disclosure;
use crate::render::heap::json;
use crate::render::heap::table;
use crate::render::heap::table::Columns;

/// Print which objects a process has, how many and how large.
///
/// Every live object is counted, in one short pause: those that the garbage collector knows and those
/// that it does not. What a type *retains* would go if its objects went.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: i32,
    /// What objects are grouped by.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub by: By,
    /// How many groups are printed.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub top: usize,
    /// Print the objects that retain most too, each with the path that holds it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub largest: usize,
    /// Do not print the keys of dicts that are on those paths.
    #[arg(long)]
    pub redact: bool,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// Only count objects, in a fraction of the time: without what they retain. By type or by module.
    #[arg(long, conflicts_with = "largest")]
    pub quick: bool,
    /// Keep the figures in a file, to be compared with later ones.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Print what changed since the figures in this file were saved.
    #[arg(long, value_name = "FILE", conflicts_with = "largest")]
    pub diff: Option<PathBuf>,
    /// Look at its child processes too, at each by itself and at all together.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Do not pause the process; how much did not fit together is said.
    #[arg(long)]
    pub nonblocking: bool,
    /// How much memory leakspy may use, such as 2GiB [default: half of what is available].
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
}

/// What objects can be grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Their type.
    #[default]
    Type,
    /// The module of their type.
    Module,
    /// Their size.
    Size,
    /// The generation of the garbage collector that they are in.
    Generation,
}

impl By {
    fn grouping(self) -> Grouping {
        match self {
            By::Type => Grouping::Type,
            By::Module => Grouping::Module,
            By::Size => Grouping::Size,
            By::Generation => Grouping::Generation,
        }
    }

    /// The heading of the groups' names.
    fn name(self) -> &'static str {
        match self {
            By::Type => "type",
            By::Module => "module",
            By::Size => "size",
            By::Generation => "generation",
        }
    }
}

/// Prints the heap, or what changed in it.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    if args.quick && matches!(args.by, By::Size | By::Generation) {
        return Err(CommandError::Usage("`--quick` counts by type or by module only"));
    }
    let before = args.diff.as_deref().map(load).transpose()?;
    let (first, others) = processes::each(args.pid, args.subprocesses, |pid| summary(pid, args))?;
    let subprocesses = args.subprocesses.then_some(&*others);
    if let Some(path) = &args.save {
        let mut bytes = Vec::new();
        json::write(&first, subprocesses, &mut bytes)?;
        write_whole(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        say(format_args!("Wrote {}", path.display()));
    }
    let mut all = vec![first];
    all.extend(others);
    let together = Summary::together(&all).context("there is no process")?;
    let mut out = BufWriter::new(io::stdout().lock());
    let columns = Columns { group: args.by.name(), top: args.top };
    match before {
        Some(before) => diff::write(&before, &together, columns, args.json, &mut out)?,
        None if args.json => {
            let (first, others) = all.split_first().context("there is no process")?;
            json::write(first, args.subprocesses.then_some(others), &mut out)?;
        }
        None => {
            for (number, summary) in all.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                table::write(summary, columns, &mut out)?;
            }
            if all.len() > 1 {
                writeln!(out, "\nAll {} processes together:", all.len())?;
                table::write(&together, columns, &mut out)?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The figures of one process.
fn summary(pid: i32, args: &Args) -> Result<Summary, CommandError> {
    let (process, python) = processes::attach(pid)?;
    let owner = Owner { pid, command: process.command()?, python: python.version.to_string() };
    let options = CaptureOptions {
        pausing: !args.nonblocking,
        max_memory: args.max_memory.map(|size| size.as_u64()),
    };
    let by = args.by.grouping();
    if args.quick {
        let (capture, counts) = TypeCounts::take(&process, &python, &options)?;
        return Ok(Summary::of_counts(&capture, &counts, owner, by));
    }
    let heap = Analysis::of(&process, &python, &options)?;
    let mut summary = Summary::of(&heap, owner, by);
    if args.largest > 0 {
        let disclosure = if args.redact { Disclosure::Names } else { Disclosure::Keys };
        let names = RootNames::of(&heap, &python);
        summary.largest = largest(&heap, &names, args.largest, disclosure);
    }
    Ok(summary)
}

/// Reads figures that were saved.
pub fn load(path: &Path) -> Result<Summary, CommandError> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    json::read(BufReader::new(file)).with_context(cannot)
}
