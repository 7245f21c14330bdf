//! `leakspy show`: one object.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::heap_source::LookArgs;
use crate::cli::errors::CommandError;
use crate::heap::Selector;
use crate::inspect::object::{Options, show};
use crate::render::show::{write, write_json};

/// Print one object: its size, its references, who refers to it and what it refers to.
///
/// Names of attributes and keys are printed, values are not, unless they are asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap, and how it is captured.
    #[command(flatten)]
    pub look: LookArgs,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// Which object: the one at an address (0x7f12…), or behind a path (app.cache:CACHE['key']).
    #[arg(value_name = "ADDRESS|PATH")]
    pub subject: String,
    /// How many objects are printed that refer to it, and that it refers to.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub most: usize,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
}

/// Prints the object.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let subject: Selector = args.subject.parse()?;
    let options = Options { most: args.most, disclosure: (&args.disclosure).into() };
    args.look.with_heap(|heap, names, _, look| {
        let node = match subject.find(heap)?.as_slice() {
            [node] => *node,
            several => {
                return Err(CommandError::new(format_args!(
                    "there are {} objects of the type {}; `leakspy why` prints addresses of some",
                    several.len(),
                    args.subject
                )));
            }
        };
        let shown = show(heap, names, node, options);
        let mut out = BufWriter::new(io::stdout().lock());
        match args.json {
            true => write_json(&shown, look, &mut out)?,
            false => write(&shown, look, &mut out)?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}
