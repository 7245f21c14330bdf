//! The view of live objects from snapshot files: one, or two with some time between them.

use std::path::Path;

use super::Args;
use super::live::{Moment, write};
use crate::cli::args::source::memory_for_files;
use crate::cli::commands::diff::say_if_unlike;
use crate::cli::errors::CommandError;
use crate::source::{SnapshotFile, Source};

/// Draws the objects of a file, or what grew and shrank between two.
pub fn record(args: &Args) -> Result<(), CommandError> {
    let open = |path: &Path| SnapshotFile::open(path, memory_for_files(args.memory));
    match args.files.as_slice() {
        [file] => write(args, moment(&open(file)?, None)?, None),
        [before, after] => {
            let [earlier, later] = [open(before)?, open(after)?];
            say_if_unlike([before, after], [&earlier, &later]);
            let between = later.facts().time.saturating_sub(earlier.facts().time);
            let first = moment(&earlier, None)?;
            let second = moment(&later, Some(&first))?;
            write(args, second, Some((first, between)))
        }
        _ => Err(CommandError::Usage("give one snapshot file, or two to compare")),
    }
}

/// The objects of a file; as many of them by themselves as in an earlier one.
fn moment(file: &SnapshotFile, earlier: Option<&Moment>) -> Result<Moment, CommandError> {
    let heap = file.heap()?;
    Ok(Moment::of(file, &heap, None, earlier))
}
