//! The view of live objects from snapshot files: one, or two with some time between them.

use std::path::Path;

use super::Args;
use super::live::{Moment, write};
use crate::cli::args::source::memory_for_files;
use crate::cli::commands::diff::say_if_unlike;
use crate::cli::errors::CommandError;
use crate::source::{SnapshotFile, Source};

/// Draws the objects of a file, or what grew and shrank from it to a later one.
pub fn record(args: &Args, file: &Path) -> Result<(), CommandError> {
    let open = |path: &Path| SnapshotFile::open(path, memory_for_files(args.memory));
    let first = open(file)?;
    let Some(path) = &args.later else {
        return write(args, moment(&first, None)?, None);
    };
    let later = open(path)?;
    say_if_unlike([file, path], [&first, &later]);
    let between = later.facts().time.saturating_sub(first.facts().time);
    let before = moment(&first, None)?;
    let after = moment(&later, Some(&before))?;
    write(args, after, Some((before, between)))
}

/// The objects of a file; as many of them by themselves as in an earlier one.
fn moment(file: &SnapshotFile, earlier: Option<&Moment>) -> Result<Moment, CommandError> {
    let heap = file.heap()?;
    Ok(Moment::of(file, &heap, None, earlier))
}
