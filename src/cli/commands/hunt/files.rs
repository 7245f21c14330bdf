//! `leakspy hunt A B C`: the verdict on the processes that snapshot files are of.

use super::{Args, Verdicts};
use crate::cli::args::source::memory_for_files;
use crate::cli::errors::CommandError;
use crate::cli::progress::Line;
use crate::hunt::files::{by_process, verdict};
use crate::source::SnapshotFile;

/// Compares the files of each process.
pub(super) fn compare(args: &Args) -> Result<Verdicts, CommandError> {
    let allowed = memory_for_files(args.memory);
    let open = |path| SnapshotFile::open(path, allowed);
    let files: Vec<SnapshotFile> = args.files().into_iter().map(open).collect::<Result<_, _>>()?;
    let all = files.len();
    let line = Line::begin();
    let mut read = 0;
    let mut verdicts = Vec::new();
    for files in by_process(files) {
        let mut show = |number| {
            let words = format!("Reading file {} of {all}.", read + number + 1);
            line.show("Reading the files.", || words);
        };
        verdicts.push(verdict(&files, &mut show)?);
        read += files.len();
    }
    line.clear();
    let pid = verdicts.first().map_or(0, |it| it.pid);
    Ok(Verdicts { pid, verdicts, left_out: Vec::new() })
}
