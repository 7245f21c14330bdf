//! Known leaks: as a list of fingerprints, each with what it stands for, and apart from others in a verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::RenderError;
use super::hunt::headline;
use super::labels::printable_code;
use super::sheet::Sheet;
use crate::hunt::finding::Finding;
use crate::hunt::fingerprint::Fingerprint;
use crate::hunt::verdict::Verdict;

/// A verdict without what is known, and that: leaks, and what may be some.
pub(super) fn set_aside(verdict: &Verdict) -> (Verdict, Vec<Finding>) {
    let mut rest = verdict.clone();
    let is_known = |finding: &Finding| finding.known == Some(true);
    rest.findings.retain(|finding| !is_known(finding));
    rest.undecided.retain(|undecided| !is_known(&undecided.growth));
    let known = growths(verdict).filter(|finding| is_known(finding)).cloned().collect();
    (rest, known)
}

/// The leaks of a verdict, and what may be some.
pub fn growths(verdict: &Verdict) -> impl Iterator<Item = &Finding> {
    verdict.findings.iter().chain(verdict.undecided.iter().map(|undecided| &undecided.growth))
}

/// Writes what is known, in a line each.
pub(super) fn write_known(known: &[Finding], out: &mut impl Sheet) -> Result<(), RenderError> {
    if !known.is_empty() {
        writeln!(out, "\nKnown, and not counted:\n")?;
    }
    for finding in known {
        writeln!(out, "-  {}  {}", finding.fingerprint, headline(finding))?;
    }
    Ok(())
}

const HEADER: &str = "\
# Leaks that are known: `leakspy hunt` reads them with --baseline or --ignore. A fingerprint a line; behind # is a comment.
# A fingerprint without its second part stands for all code that adds to the same object.
";

/// The list for these findings, and the number of leaks in it.
pub fn list<'a>(findings: impl Iterator<Item = &'a Finding>) -> (String, usize) {
    // Equal ones of several processes are one.
    let mut lines: BTreeMap<Fingerprint, String> = BTreeMap::new();
    let mut leaks = BTreeSet::new();
    for finding in findings {
        leaks.insert(Fingerprint::of(finding));
        for fingerprint in Fingerprint::all_of(finding) {
            lines.entry(fingerprint).or_insert_with(|| printable_code(&headline(finding)));
        }
    }
    let lines: Vec<String> =
        lines.into_iter().map(|(it, words)| format!("{it}  # {words}\n")).collect();
    (format!("{HEADER}{}", lines.concat()), leaks.len())
}
