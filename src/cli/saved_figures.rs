//! Figures that `leakspy heap --save` wrote, read back and compared.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::args::flags::JsonArg;
use super::errors::{CommandError, Context};
use super::terminal::{Out, say};
use crate::heap::Summary;
use crate::heap::figures::changes::changes;
use crate::render::heap::json;
use crate::render::heap::table;
use crate::render::heap::table::Columns;
use crate::render::labels::printable;

/// Reads saved figures.
pub fn load(path: &Path) -> Result<Summary, CommandError> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    json::read(BufReader::new(file)).with_context(cannot)
}

/// Writes the changes between two heaps, in the groups that both have.
pub fn write_changes(
    before: &Summary,
    after: &Summary,
    columns: Columns,
    form: JsonArg,
    out: &mut Out,
) -> Result<(), CommandError> {
    if (before.pid, &before.command) != (after.pid, &after.command) {
        say(format_args!(
            "leakspy: the figures are of two processes, {} ({}) and {} ({}).",
            before.pid,
            printable(&before.command),
            after.pid,
            printable(&after.command)
        ));
    }
    if after.time < before.time {
        say("leakspy: the first figures are the later ones.");
    }
    let changes = match (&before.groups, &after.groups) {
        (Some(old), Some(new)) => changes(old, new),
        _ => changes(&before.types, &after.types),
    };
    match form.json {
        true => json::write_changes(before, after, &changes, out)?,
        false => table::write_changes(before, after, &changes, columns, out)?,
    }
    Ok(())
}
