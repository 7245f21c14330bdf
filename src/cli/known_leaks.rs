//! Lists of known leaks: `--ignore` and `--baseline`. What is in a list does not fail a build.

use std::fs;
use std::path::{Path, PathBuf};

use super::errors::{CommandError, Context};
use super::output::write_whole;
use super::terminal::say;
use crate::hunt::finding::Finding;
use crate::hunt::fingerprint::KnownLeaks;
use crate::hunt::verdict::Verdict;
use crate::render::known_leaks;

/// The files with known leaks.
#[derive(Debug, Clone, clap::Args)]
pub struct KnownLeaksArg {
    /// Do not count leaks whose fingerprints are in this file, one a line.
    #[arg(long, value_name = "FILE")]
    pub ignore: Option<PathBuf>,
    /// The same, but if there is no such file, write it with the leaks found now.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// The leaks known before a hunt.
#[derive(Debug)]
pub struct Known {
    /// Nothing if no list was named.
    leaks: Option<KnownLeaks>,
    /// The list that has to be written.
    missing: Option<PathBuf>,
}

impl KnownLeaksArg {
    /// Reads the lists.
    pub fn read(&self) -> Result<Known, CommandError> {
        let mut leaks: Option<KnownLeaks> = None;
        let is_there = self.baseline.as_ref().is_some_and(|path| path.exists());
        let baseline = self.baseline.as_ref().filter(|_| is_there);
        for path in self.ignore.iter().chain(baseline) {
            leaks.get_or_insert_default().extend(read(path)?);
        }
        let missing = self.baseline.clone().filter(|_| !is_there);
        // Said now, and not after the hunt.
        let folder = missing.as_ref().and_then(|path| path.parent());
        if let Some(folder) = folder.filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
            let folder = folder.display();
            return Err(CommandError::new(format_args!(
                "There is no folder {folder} to write to."
            )));
        }
        Ok(Known { leaks, missing })
    }
}

fn read(path: &Path) -> Result<KnownLeaks, CommandError> {
    let named = || format!("cannot read {}", path.display());
    let text = fs::read_to_string(path).with_context(named)?;
    KnownLeaks::parse(&text).map_err(|line| {
        CommandError::new(format_args!(
            "Line {line} of {} is no fingerprint. A list of known leaks has one a line, such as 5f1c09ab-7d00e231, \
             and comments behind #.",
            path.display()
        ))
    })
}

impl Known {
    /// Notes in the findings which of them are known.
    pub fn mark(&self, verdicts: &mut [Verdict]) {
        let Some(leaks) = &self.leaks else { return };
        for Verdict { findings, undecided, .. } in verdicts {
            let growths = undecided.iter_mut().map(|undecided| &mut undecided.growth);
            for finding in findings.iter_mut().chain(growths) {
                finding.known = Some(leaks.contain(finding));
            }
        }
    }

    /// Whether a finding is not known, nor, where the list has yet to be written, will be.
    pub fn is_new(&self, finding: &Finding) -> bool {
        self.missing.is_none() && finding.known != Some(true)
    }

    /// Writes the list, if it was not there.
    pub fn write(&self, verdicts: &[Verdict]) -> Result<(), CommandError> {
        let Some(path) = &self.missing else { return Ok(()) };
        let findings = verdicts.iter().flat_map(known_leaks::growths);
        let (text, leaks) = known_leaks::list(findings.filter(|it| it.known != Some(true)));
        let named = || format!("cannot write {}", path.display());
        write_whole(path, text.as_bytes()).with_context(named)?;
        let words = match leaks {
            1 => "1 leak, known from now on".to_owned(),
            several => format!("{several} leaks, known from now on"),
        };
        say(format_args!("Wrote {}: {words}.", path.display()));
        Ok(())
    }
}
