//! `leakspy why`: what keeps objects alive.

use std::process::ExitCode;

use clap::value_parser;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::heap::Selector;
use crate::inspect::why::{Excluded, Options, why};
use crate::render::branches::Extent;
use crate::render::why::{write, write_json};

/// Print what keeps objects alive: the shortest paths that hold them.
///
/// Paths begin where objects live without another that refers to them: a thread's frame, a module, native
/// code. Those that read alike are one, with the number of objects that they lead to. A weak reference
/// holds nothing. Names of attributes and keys are printed, values are not, unless they are asked for.
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
    /// Which objects: those of a type (app.Session, or Session), the one at an address (0x7f12…), or the
    /// one behind a path (app.cache:CACHE['key'].items).
    #[arg(value_name = "TYPE|ADDRESS|PATH")]
    pub subject: String,
    /// How many paths are looked for to each object, the shortest ones: 1000 at most, and if more than one, to
    /// a thousand objects from all over the heap.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub all_paths: u32,
    /// What no path may lead through: frames, modules, native, weak (callbacks of weak references), or
    /// objects of a type.
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// How many lines are printed below each.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub breadth: usize,
    /// How deep the tree is printed.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub depth: usize,
}

/// Prints the paths.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let subject: Selector = args.subject.parse()?;
    let options = Options {
        paths: args.all_paths as usize,
        excluded: args.exclude.iter().map(|what| excluded(what)).collect(),
        disclosure: (&args.disclosure).into(),
    };
    let source = args.source.open(args.memory)?;
    let heap = source.heap()?;
    let subjects = subject.find(&heap.analysis)?;
    let found = why(&heap.analysis, heap.names(), &subjects, &options);
    let extent = Extent { breadth: args.breadth, depth: args.depth, least: 0 };
    print(|out| match args.form.json {
        true => Ok(write_json(&found, &heap.provenance, out)?),
        false => Ok(write(&found, &heap.provenance, extent, out)?),
    })
}

fn excluded(word: &str) -> Excluded {
    match word {
        "frames" => Excluded::Frames,
        "modules" => Excluded::Modules,
        "native" => Excluded::Native,
        "weak" => Excluded::Weak,
        name => Excluded::Type(name.to_owned()),
    }
}
