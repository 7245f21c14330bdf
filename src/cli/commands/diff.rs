//! `leakspy diff`: the changes between two heaps whose figures were saved.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::flags::JsonArg;
use crate::cli::errors::CommandError;
use crate::cli::saved_figures::{load, write_changes};
use crate::cli::terminal::print;
use crate::render::heap::table::Columns;

/// Print what changed between two files saved by `leakspy heap --save`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier file.
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The later file.
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// The number of types to print.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub top: usize,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
}

/// Prints the changes.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (before, after) = (load(&args.before)?, load(&args.after)?);
    let columns = Columns { group: "type", top: args.top };
    print(|out| write_changes(&before, &after, columns, args.form, out))
}
