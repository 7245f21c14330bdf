//! `leakspy heap`: every live object of a process, by type.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::args::flags::{JsonArg, MemoryArg, SubprocessesArg};
use crate::cli::args::source::{SourceArgs, quoted};
use crate::cli::children::tell_left_out;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, write_whole};
use crate::cli::saved_figures::{load, write_changes};
use crate::cli::terminal::{print, say};
use crate::heap::figures::largest;
use crate::heap::{Grouping, Summary};
use crate::python::objects::Disclosure;
use crate::render::heap::json;
use crate::render::heap::table;
use crate::render::heap::table::{Columns, Sort};
use crate::source::Source;

/// Print live objects by type, with their sizes.
///
/// Every live object is counted, in one short pause, whether the garbage collector tracks it or not. What a
/// type *retains* would be freed if its objects were.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How to group objects.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub by: By,
    /// What to sort types or modules by [default: the bytes that they take].
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["json", "diff"])]
    pub sort: Option<SortBy>,
    /// Only types or modules of the program and its packages, not those of Python and its standard library.
    #[arg(long, conflicts_with_all = ["json", "diff"])]
    pub own: bool,
    /// The number of groups to print.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub top: usize,
    /// Also print the N objects that retain the most, each with its reference chain.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub largest: usize,
    /// Hide the dict keys on those chains.
    #[arg(long, requires = "largest")]
    pub redact: bool,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// Only count objects, in a fraction of the time, without retained sizes (by type or module).
    #[arg(long, conflicts_with = "largest")]
    pub quick: bool,
    /// Save the figures, to compare later ones with.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Print the changes since the figures in this file were saved.
    #[arg(long, value_name = "FILE", conflicts_with = "largest")]
    pub diff: Option<PathBuf>,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// The groupings of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Their type.
    #[default]
    Type,
    /// The module of their type.
    Module,
    /// Their size.
    Size,
    /// Their generation in the garbage collector.
    Generation,
}

/// What groups can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// What they retain.
    Retained,
    /// The number of their objects.
    Count,
    /// The sizes of their objects alone.
    Shallow,
}

impl SortBy {
    fn sort(self) -> Sort {
        match self {
            SortBy::Retained => Sort::Retained,
            SortBy::Count => Sort::Count,
            SortBy::Shallow => Sort::Shallow,
        }
    }
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
        return Err(CommandError::Usage("`--quick` counts by type or by module only".into()));
    }
    if (args.own || args.sort.is_some()) && matches!(args.by, By::Size | By::Generation) {
        return Err(CommandError::Usage(
            "`--own` and `--sort` are for types and modules; sizes and generations have an order of their own".into(),
        ));
    }
    if args.quick && args.sort == Some(SortBy::Retained) {
        return Err(CommandError::Usage(
            "`--quick` finds out no retained sizes: sort by count or shallow".into(),
        ));
    }
    if let Some(path) = &args.save {
        check_writable(path)?;
    }
    let before = args.diff.as_deref().map(load).transpose()?;
    let ask = |source: &dyn Source| summary(source, args);
    if let Some(pid) = args.source.pid() {
        tell_left_out(pid, args.children);
    }
    let (first, others) = args.source.each(args.children, args.memory, ask)?;
    let subprocesses = args.children.subprocesses;
    if let Some(path) = &args.save {
        let mut bytes = Vec::new();
        json::write(&first, subprocesses.then_some(&*others), &mut bytes)?;
        write_whole(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        say(format_args!("Wrote {}", path.display()));
    }
    let mut all = vec![first];
    all.extend(others);
    let together = Summary::together(&all).context("there is no process")?;
    let columns = Columns {
        group: args.by.name(),
        top: args.top,
        sort: args.sort.map(SortBy::sort),
        own: args.own,
    };
    print(args.form.json, |out| match before {
        Some(before) => write_changes(&before, &together, columns, args.form, out),
        None if args.form.json => {
            let (first, others) = all.split_first().context("there is no process")?;
            Ok(json::write(first, subprocesses.then_some(others), out)?)
        }
        None => {
            for (number, summary) in all.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                table::write(summary, columns, out)?;
            }
            if all.len() > 1 {
                writeln!(out, "\nAll {} processes together:", all.len())?;
                table::write(&together, columns, out)?;
            }
            let own = Columns { own: true, ..columns }.choose(&together.types).0;
            match own.first().copied().or(together.types.first()) {
                Some(group) => {
                    let command =
                        format!("leakspy why {} {}", args.source.words(), quoted(&group.name));
                    Ok(out.next(&command, "says what keeps them alive")?)
                }
                None => Ok(()),
            }
        }
    })
}

/// The figures of one process.
fn summary(source: &dyn Source, args: &Args) -> Result<Summary, CommandError> {
    let by = args.by.grouping();
    if args.quick {
        return Ok(source.summary(by)?);
    }
    let heap = source.heap()?;
    let mut summary = Summary::of(&heap.analysis, heap.provenance.owner.clone(), by);
    summary.time = heap.provenance.time;
    if args.largest > 0 {
        let disclosure = if args.redact { Disclosure::Names } else { Disclosure::Keys };
        summary.largest = largest(&heap.analysis, heap.names(), args.largest, disclosure);
    }
    Ok(summary)
}
