//! `leakspy tree`: the dominator tree of a heap.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::heap_source::LookArgs;
use crate::cli::errors::CommandError;
use crate::inspect::dominator_tree::tree;
use crate::inspect::live::{Heavy, live};
use crate::render::branches::Extent;
use crate::render::tree::{write, write_json};

/// Print the dominator tree of a heap: who keeps how much alive.
///
/// Below each line stands what would go if its objects went. It is the tree of `leakspy record --view
/// live`, in text: equal names under one line are one line, and each object is on one line only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap, and how it is captured.
    #[command(flatten)]
    pub look: LookArgs,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// How deep the tree is printed.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub depth: usize,
    /// What has less of the whole is left out, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5)]
    pub least: f64,
    /// How many lines are printed below each.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub breadth: usize,
}

/// Prints the tree.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    args.look.with_heap(|heap, names, _, look| {
        let lines = tree(&live(heap, names, None, Heavy::of(heap), (&args.disclosure).into()));
        let mut out = BufWriter::new(io::stdout().lock());
        if args.json {
            write_json(&lines, heap.total(), look, args.depth, &mut out)?;
        } else {
            let least = (heap.total().bytes as f64 * args.least.clamp(0.0, 100.0) / 100.0) as u64;
            let extent = Extent { breadth: args.breadth, depth: args.depth, least };
            write(&lines, heap.total(), look, extent, &mut out)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}
