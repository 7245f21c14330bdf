//! `leakspy why`: what keeps objects alive.

use std::process::ExitCode;

use clap::value_parser;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg, NoSourceArg};
use crate::cli::args::subject::SubjectArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::heap::Selector;
use crate::heap::figures::type_names::full_names;
use crate::inspect::why::{Excluded, Options, why};
use crate::render::branches::Extent;
use crate::render::why::{write, write_json};
use crate::source::Heap;

/// Print what keeps objects alive: their shortest reference chains from GC roots.
///
/// A chain begins at a GC root: a thread's frame, a module, native code. Chains that read alike are merged,
/// with the number of objects they lead to. Weak references keep nothing alive. Attribute names and keys are
/// printed; values only with --values.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy why [OPTIONS] [PID|FILE] <TYPE|ADDRESS|PATH>")]
pub struct Args {
    /// Which heap, and which objects.
    #[command(flatten)]
    pub about: SubjectArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// The number of shortest chains to search for each object, at most 1000; with more than one, for at most
    /// a thousand objects, spread over the heap.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub all_paths: u32,
    /// What chains must not pass through: frames, modules, native, weak (callbacks of weak references), or
    /// objects of a type.
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// The most children to print below each node.
    #[arg(long, value_name = "N", default_value_t = 8, alias = "breadth")]
    pub top: usize,
    /// The depth to print.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub depth: usize,
    /// Whether lines of source code are shown.
    #[command(flatten)]
    pub source_lines: NoSourceArg,
}

/// Prints the paths.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let subject: Selector = args.about.subject.parse()?;
    let source = args.about.source.open(args.memory)?;
    let heap = args.about.source.heap(&*source, &args.disclosure)?;
    let mut shut = Vec::new();
    for what in &args.exclude {
        shut.extend(excluded(&heap, what)?);
    }
    let options = Options {
        paths: args.all_paths as usize,
        excluded: shut,
        disclosure: (&args.disclosure).into(),
    };
    let subjects = subject.find(&heap.analysis)?;
    let mut found = why(&heap.analysis, heap.names(), &subjects, &options);
    if let Some(mut lines) = args.source_lines.of(&*source) {
        found.frames_mut().for_each(|frame| lines.look_up(frame));
    }
    let extent = Extent { breadth: args.top, depth: args.depth, least: 0 };
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&found, &heap.provenance, out)?),
        false => {
            write(&found, &heap.provenance, extent, out)?;
            match found.example.last() {
                Some((address, _)) => {
                    let command =
                        format!("leakspy show {} {address:#x}", args.about.source.words());
                    Ok(out.next(&command, "shows one of them")?)
                }
                None => Ok(()),
            }
        }
    })
}

/// What a word of `--exclude` means: a kind of holder, or the types with this name.
fn excluded(heap: &Heap<'_>, word: &str) -> Result<Vec<Excluded>, CommandError> {
    Ok(match word {
        "frames" => vec![Excluded::Frames],
        "modules" => vec![Excluded::Modules],
        "native" => vec![Excluded::Native],
        "weak" => vec![Excluded::Weak],
        name => full_names(&heap.analysis, name)?.into_iter().map(Excluded::Type).collect(),
    })
}
