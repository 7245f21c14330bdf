//! `leakspy report`: everything about a heap in one HTML file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::HumanBytes;

use crate::cli::args::flags::MemoryArg;
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::write_whole;
use crate::cli::terminal::say;
use crate::heap::{Grouping, Summary, largest};
use crate::hunt::verdict::Verdict;
use crate::inspect::cycles::cycles;
use crate::inspect::dominator_tree::tree;
use crate::inspect::live::{Heavy, live};
use crate::python::objects::Disclosure;
use crate::render::report::{Parts, write};
use crate::source::Source;

/// How many of the largest objects are shown.
const LARGEST: usize = 100;

/// Write one HTML file with everything about a heap: what memory is made of, what lives, what holds it, what is
/// needless.
///
/// The file opens in any browser, needs no network, and has at most two megabytes, whatever the heap. It has a
/// flamegraph to search and zoom, tables to sort, the dominator tree to unfold, cycles, and the stacks of threads. It
/// has names and short keys of dicts, and no values. With `leakspy hunt --report`, it begins with the verdict.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// Hide dict keys.
    #[arg(long)]
    pub redact: bool,
    /// File to write.
    #[arg(short, long, value_name = "FILE", default_value = "leakspy.html")]
    pub output: PathBuf,
}

/// Writes the report.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let source = args.source.open(args.memory)?;
    let disclosure = if args.redact { Disclosure::Names } else { Disclosure::Keys };
    write_report(&*source, &[], disclosure, &args.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the report of a source, with what a hunt has found in it, if there was one.
pub fn write_report(
    source: &dyn Source,
    verdicts: &[Verdict],
    disclosure: Disclosure,
    path: &Path,
) -> Result<(), CommandError> {
    // Of these a file may have nothing, and a process may refuse the first.
    let (composition, threads) = (source.composition().ok(), source.threads(None).ok());
    let heap = source.heap()?;
    let analysis = &heap.analysis;
    let mut summary = Summary::of(analysis, source.identity().owner(), Grouping::Type);
    summary.time = heap.provenance.time;
    summary.largest = largest(analysis, heap.names(), LARGEST, disclosure);
    let heavy = Heavy::of(analysis);
    let lines = tree(&live(analysis, heap.names(), None, heavy, disclosure));
    let cycles = cycles(analysis, heap.names(), heap.collectors()?);
    let waste = source.waste(&heap, disclosure).ok();
    let parts = Parts {
        identity: source.identity(),
        heap: &heap,
        summary: &summary,
        lines: &lines,
        composition,
        threads,
        waste: waste.as_ref(),
        cycles: &cycles,
        clock: source.monotonic_clock(),
        verdicts,
    };
    let mut page = Vec::new();
    write(&parts, &mut page)?;
    write_whole(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Wrote {}: {}.", path.display(), HumanBytes(page.len() as u64)));
    Ok(())
}
