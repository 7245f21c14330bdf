//! `leakspy show`: one object.

use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::subject::SubjectArgs;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;
use crate::heap::Selector;
use crate::inspect::object::{Options, show};
use crate::render::show::{write, write_json};

/// Print one object: sizes, reference count, referrers and referents.
///
/// Attribute names and keys are printed; values only with --values.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "leakspy show [OPTIONS] [PID|FILE] <ADDRESS|PATH>",
    mut_arg("subject", |subject| {
        subject
            .value_name("ADDRESS|PATH")
            .help("The object at an address (0x7f12…), or at a path (app.cache.CACHE['key'])")
    })
)]
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
    /// The number of referrers and referents to print.
    #[arg(long, value_name = "N", default_value_t = 20, alias = "most")]
    pub top: usize,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
}

/// Prints the object.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let subject: Selector = args.about.subject.parse()?;
    let options = Options { most: args.top, disclosure: (&args.disclosure).into() };
    let source = args.about.source.open(args.memory)?;
    let heap = args.about.source.heap(&*source, &args.disclosure)?;
    let node = match subject.find(&heap.analysis)?.as_slice() {
        [node] => *node,
        several => {
            return Err(CommandError::new(format_args!(
                "there are {} objects of the type {}; `leakspy why` prints addresses of some",
                several.len(),
                args.about.subject
            )));
        }
    };
    let shown = show(&heap.analysis, heap.names(), node, options);
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&shown, &heap.provenance, out)?),
        false => Ok(write(&shown, &heap.provenance, out)?),
    })
}
