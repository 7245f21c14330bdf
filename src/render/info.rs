//! What a core file is of, as text.

use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::dump::cause;
use super::labels::printable;
use crate::process::Target;
use crate::process::text::shown_path;
use crate::source::{CoreFile, Source};

/// Writes the process and moment of a core file, why the process died, and what the file has.
pub fn write(file: &CoreFile, out: &mut impl Write) -> io::Result<()> {
    let (core, identity) = (file.core(), file.identity());
    let time = Timestamp::try_from(UNIX_EPOCH + core.time()).unwrap_or_default();
    let time = time.to_zoned_datetime(TimeZone::system());
    writeln!(out, "Process {}: {}", identity.pid, printable(&identity.command))?;
    writeln!(out, "Python {}. {}.", identity.version, time.strftime("%Y-%m-%d %H:%M:%S %Z"))?;
    match core.death() {
        Some(death) => writeln!(out, "{}", cause(identity.pid, &death))?,
        None => writeln!(out, "It was alive when the core was written.")?,
    }
    let threads = core.notes().threads.len() as u64;
    let kept: u64 = core.kept(0..u64::MAX).map(|(range, _)| range.end - range.start).sum();
    writeln!(out, "{} of its memory, {} threads.", HumanBytes(kept), HumanCount(threads))?;
    let mut files: Vec<_> = core
        .maps()
        .unwrap_or_default()
        .into_iter()
        .filter(|mapping| mapping.executable && !core.has_file(mapping))
        .filter_map(|mapping| mapping.path)
        .collect();
    files.sort();
    files.dedup();
    for path in files {
        let path = shown_path(&path);
        writeln!(out, "Not found as the process had it: {}", printable(&path))?;
    }
    Ok(())
}
