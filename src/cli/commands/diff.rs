//! `leakspy diff`: what changed between two heaps whose figures were saved.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::heap::load;
use crate::cli::errors::CommandError;
use crate::heap::Summary;
use crate::heap::figures::changes::changes;
use crate::render::heap::json;
use crate::render::heap::table;
use crate::render::heap::table::Columns;

/// Print what changed between two files that `leakspy heap --save` wrote.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier file.
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The later file.
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// How many types are printed.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub top: usize,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
}

/// Prints what changed.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (before, after) = (load(&args.before)?, load(&args.after)?);
    let mut out = BufWriter::new(io::stdout().lock());
    write(&before, &after, Columns { group: "type", top: args.top }, args.json, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what changed between two heaps, in the groups that both have.
pub fn write(
    before: &Summary,
    after: &Summary,
    columns: Columns,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let changes = match (&before.groups, &after.groups) {
        (Some(old), Some(new)) => changes(old, new),
        _ => changes(&before.types, &after.types),
    };
    match as_json {
        true => json::write_changes(before, after, &changes, out)?,
        false => table::write_changes(before, after, &changes, columns, out)?,
    }
    Ok(())
}
