//! `leakspy tree`: the dominator tree of a heap.

use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::inspect::dominator_tree::tree;
use crate::inspect::live::{Heavy, live};
use crate::render::branches::Extent;
use crate::render::tree::{write, write_json};

/// Print the dominator tree: what retains how much.
///
/// Below each line stands what its objects retain. It is the tree of `leakspy record --view live` as text:
/// siblings with equal names share a line, and each object is on one line only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// The depth to print.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub depth: usize,
    /// Hide nodes that retain less than this percentage of the heap.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5)]
    pub least: f64,
    /// The most children to print below each node.
    #[arg(long, value_name = "N", default_value_t = 6, alias = "breadth")]
    pub top: usize,
}

/// Prints the tree.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let source = args.source.open(args.memory)?;
    let heap = args.source.heap(&*source, &args.disclosure)?;
    let (analysis, provenance) = (&heap.analysis, &heap.provenance);
    let (heavy, disclosure) = (Heavy::of(analysis), (&args.disclosure).into());
    let lines = tree(&live(analysis, heap.names(), None, heavy, disclosure));
    let total = analysis.total();
    print(args.form.json, |out| {
        if args.form.json {
            return Ok(write_json(&lines, total, provenance, args.depth, out)?);
        }
        let least = (total.bytes as f64 * args.least.clamp(0.0, 100.0) / 100.0) as u64;
        let extent = Extent { breadth: args.top, depth: args.depth, least };
        Ok(write(&lines, total, provenance, extent, out)?)
    })
}
