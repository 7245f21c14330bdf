//! `leakspy report`: everything about a heap in one HTML file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::HumanBytes;

use super::plot::Part;
use crate::cli::args::flags::MemoryArg;
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, write_whole};
use crate::cli::terminal::say;
use crate::heap::{Grouping, Summary, largest};
use crate::hunt::verdict::Verdict;
use crate::inspect::cycles::cycles;
use crate::inspect::dominator_tree::tree;
use crate::inspect::live::{Heavy, live};
use crate::python::objects::Disclosure;
use crate::render::report::{Parts, write};
use crate::source::Source;
use crate::timeline::{Series, Timeline, Who};

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
    /// Show memory over time, from a file in which `leakspy timeline` has recorded this process.
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Hide dict keys.
    #[arg(long)]
    pub redact: bool,
    /// File to write.
    #[arg(short, long, value_name = "FILE", default_value = "leakspy.html")]
    pub output: PathBuf,
}

/// Writes the report.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    check_writable(&args.output)?;
    let timeline = args.timeline.as_deref().map(|path| Part::default().read(path)).transpose()?;
    let source = args.source.open(args.memory)?;
    if let (Some(path), Some(timeline)) = (&args.timeline, &timeline) {
        let pid = source.identity().pid;
        let is_it = |series: &Series| matches!(series.who, Who::Process(one, _) if one == pid);
        if !timeline.series.iter().any(is_it) {
            return Err(CommandError::new(format_args!(
                "There is nothing about process {pid} in {}.",
                path.display()
            )));
        }
    }
    let disclosure = if args.redact { Disclosure::Names } else { Disclosure::Keys };
    write_report(&*source, &[], timeline.as_ref(), disclosure, &args.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the report of a source, with what a hunt has found in it, if there was one, and its memory over time.
pub fn write_report(
    source: &dyn Source,
    verdicts: &[Verdict],
    timeline: Option<&Timeline>,
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
        timeline,
    };
    let mut page = Vec::new();
    write(&parts, &mut page)?;
    write_whole(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Wrote {}: {}.", path.display(), HumanBytes(page.len() as u64)));
    Ok(())
}
