//! `leakspy diff`: the changes between two snapshot files, object by object, or between two heaps whose figures
//! were saved.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::source::memory_for_files;
use crate::cli::errors::CommandError;
use crate::cli::saved_figures::{load, write_changes};
use crate::cli::terminal::{print, say};
use crate::inspect::difference::difference;
use crate::render::difference::{Sides, write, write_json};
use crate::render::heap::table::Columns;
use crate::render::labels::printable;
use crate::snapshot::FileError;
use crate::source::{SnapshotFile, Source, SourceError};

/// Print what changed between two snapshot files of a process: what was born, what died, and what holds it.
///
/// CPython does not move objects, so the files are compared object by object. An object that was born is listed
/// below the nearest one above it that was there before. Files that `leakspy heap --save` wrote are compared by
/// type.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier file.
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The later file.
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// The number of types, and of holders, to print.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub top: usize,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// How much of keys is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// Prints the changes.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    // Both files are in memory at once.
    let allowed = memory_for_files(args.memory) / 2;
    match [open(&args.before, allowed)?, open(&args.after, allowed)?] {
        [Some(before), Some(after)] => compare(args, &before, &after),
        [None, None] => {
            let (before, after) = (load(&args.before)?, load(&args.after)?);
            let columns = Columns { group: "type", top: args.top, sort: None, own: false };
            print(args.form.json, |out| write_changes(&before, &after, columns, args.form, out))
        }
        [before, _] => {
            let (file, other) = match before {
                Some(_) => (&args.before, &args.after),
                None => (&args.after, &args.before),
            };
            Err(CommandError::new(format_args!(
                "{} is a snapshot and {} is not: compare two files of one kind",
                file.display(),
                other.display()
            )))
        }
    }
}

/// Opens a snapshot; `None` if it is another kind of file.
fn open(path: &Path, allowed: u64) -> Result<Option<SnapshotFile>, CommandError> {
    match SnapshotFile::open(path, allowed) {
        Ok(file) => Ok(Some(file)),
        Err(SourceError::File { error: FileError::Foreign, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn compare(
    args: &Args,
    before: &SnapshotFile,
    after: &SnapshotFile,
) -> Result<ExitCode, CommandError> {
    say_if_unlike([&args.before, &args.after], [before, after]);
    let (earlier, later) = (before.heap()?, after.heap()?);
    let disclosure = (&args.disclosure).into();
    let found = difference(&earlier.analysis, &later.analysis, later.names(), args.top, disclosure);
    let same_process = before.is_same_process(after);
    let sides = Sides { before: &earlier.provenance, after: &later.provenance, same_process };
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&found, sides, out)?),
        false => Ok(write(&found, sides, args.top, out)?),
    })
}

/// Says so if two files to be compared are of different processes, or in the wrong order.
pub fn say_if_unlike(paths: [&Path; 2], files: [&SnapshotFile; 2]) {
    let [one, other] = files.map(SnapshotFile::facts);
    if !files[0].is_same_process(files[1]) {
        say(format_args!(
            "leakspy: the files are of two processes, {} on {} and {} on {}: an object at the same address is \
             not the same object.",
            one.pid,
            printable(&one.host),
            other.pid,
            printable(&other.host)
        ));
    }
    if other.time < one.time {
        say(format_args!(
            "leakspy: {} was written before {}: the comparison goes backwards in time.",
            paths[1].display(),
            paths[0].display()
        ));
    }
}
