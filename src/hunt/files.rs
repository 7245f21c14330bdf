//! The verdict that snapshot files allow: what grows and what holds it, from heaps captured at any time before.
//!
//! A file says of objects what a capture does, but for their values, and nothing that happens between captures: no
//! insertions, hence no feeders. What it lacks is listed in the verdict.

use std::time::Duration;

use super::accounts::{Account, Outside, Rates};
use super::compare::heap_columns::HeapColumns;
use super::compare::interpreter::{Interpreter, KeptInterpreter};
use super::compare::steadiness::Series;
use super::finding::{Filling, Finding, Reason, Unseen};
use super::hunter::{FEWEST_CAPTURES, Growth, MOST};
use super::ranking::rank;
use super::suspects::find::suspects;
use super::suspects::suspect::{Key, Suspect};
use super::verdict::{Missing, Standstill, Verdict};
use crate::obstacle::{Obstructed, Obstruction};
use crate::source::{SnapshotFile, Source, SourceError};

/// The most files: captures are numbered in a byte.
const MOST_FILES: usize = 200;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There are too few.
    #[error(
        "a verdict takes at least {FEWEST_CAPTURES} snapshots of a process, and of process {pid} there {} {found}",
        if *found == 1 { "is" } else { "are" }
    )]
    TooFew {
        /// The process.
        pid: i32,
        /// Their number.
        found: usize,
    },
    /// There are too many.
    #[error("{found} snapshots of process {pid} are too many: the most is {MOST_FILES}")]
    TooMany {
        /// The process.
        pid: i32,
        /// Their number.
        found: usize,
    },
    /// Two are of the same moment.
    #[error("two of the snapshots of process {pid} are of the same moment")]
    SameMoment {
        /// The process.
        pid: i32,
    },
}

impl Obstructed for FilesError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            FilesError::Source(error) => error.obstacle(),
            _ => None,
        }
    }
}

/// The files of each process, the earliest first; processes in the order of the files.
pub fn by_process(files: Vec<SnapshotFile>) -> Vec<Vec<SnapshotFile>> {
    let mut processes: Vec<Vec<SnapshotFile>> = Vec::new();
    for file in files {
        let of = |known: &&mut Vec<SnapshotFile>| {
            known.first().is_some_and(|first| first.is_same_process(&file))
        };
        match processes.iter_mut().find(of) {
            Some(known) => known.push(file),
            None => processes.push(vec![file]),
        }
    }
    for files in &mut processes {
        files.sort_by_key(|file| file.facts().time);
    }
    processes
}

/// The verdict on a process, from snapshots of it, the earliest first. `progress` is called before each is read.
///
/// # Errors
/// There are too few, two are of the same moment, or one cannot be read.
pub fn verdict(
    files: &[SnapshotFile],
    progress: &mut dyn FnMut(usize),
) -> Result<Verdict, FilesError> {
    let (Some(first), Some(last)) = (files.first(), files.last()) else {
        return Err(FilesError::TooFew { pid: 0, found: 0 });
    };
    let (pid, found) = (first.facts().pid, files.len());
    if found < FEWEST_CAPTURES {
        return Err(FilesError::TooFew { pid, found });
    }
    if found > MOST_FILES {
        return Err(FilesError::TooMany { pid, found });
    }
    let at = |file: &SnapshotFile| file.facts().time.saturating_sub(first.facts().time);
    if files.windows(2).any(|pair| matches!(pair, [one, next] if at(one) == at(next))) {
        return Err(FilesError::SameMoment { pid });
    }
    let mut comparison = Comparison::default();
    for (number, file) in files.iter().enumerate() {
        progress(number);
        comparison.add(file, at(file), number + 1 == found)?;
    }
    Ok(comparison.verdict(last))
}

/// What the files so far have shown.
#[derive(Default)]
struct Comparison {
    snapshots: Vec<HeapColumns>,
    /// The resident sets, divided up, as far as files have that.
    accounts: Vec<Account>,
    suspects: Vec<Suspect>,
    objects: u64,
    bytes: u64,
}

impl Comparison {
    fn add(&mut self, file: &SnapshotFile, at: Duration, is_last: bool) -> Result<(), FilesError> {
        let heap = file.heap()?;
        let collectors = heap.collectors().unwrap_or_default();
        let kept = KeptInterpreter {
            names: heap.names(),
            collectors: &collectors,
            version: file.identity().version,
        };
        let interpreter = Interpreter::Kept(kept);
        let columns = HeapColumns::of(&heap.analysis, interpreter, at, self.snapshots.last_mut());
        self.snapshots.push(columns);
        self.accounts.extend(file.composition().ok().map(|it| Account::kept(at, it)));
        if is_last {
            let total = heap.analysis.total();
            (self.objects, self.bytes) = (total.objects.into(), total.bytes);
            self.suspects = suspects(&heap.analysis, interpreter, &self.snapshots, |_| Vec::new());
            self.suspects.truncate(MOST);
        }
        Ok(())
    }

    fn verdict(self, last: &SnapshotFile) -> Verdict {
        let rss: Series = self.snapshots.iter().map(|it| (it.at, it.totals.rss as f64)).collect();
        let gained = rss.first().zip(rss.last()).map_or(0.0, |(first, last)| last.1 - first.1);
        let seconds = rss.last().map_or(0.0, |(at, _)| at.as_secs_f64());
        let rss_bytes_per_s = if seconds > 0.0 { gained / seconds } else { 0.0 };
        let told = |suspect: &Suspect| {
            let unseen = Some(Unseen { reason: Reason::Files, watched_s: 0.0 });
            Finding { unseen, ..suspect.finding.clone() }
        };
        let filling = |suspect: &Suspect| {
            let level = suspect.level.clone()?;
            Some(Filling {
                growth: told(suspect),
                limit: level.limit,
                full_in_s: level.in_s,
                bytes_to_come: level.bytes,
            })
        };
        let steady = self.suspects.iter().filter(|it| it.is_steady);
        let mut findings: Vec<Finding> = steady.map(told).collect();
        let mut filling: Vec<Filling> = self.suspects.iter().filter_map(filling).collect();
        // Threads have stacks and blocks of their own.
        let threads = self.suspects.iter().any(|it| it.key == Key::Threads && it.is_steady);
        let has_accounts = self.accounts.len() == self.snapshots.len();
        if has_accounts && !threads {
            let Comparison { snapshots, accounts, .. } = &self;
            let outside = Outside { snapshots, resident: &rss, private: &[], accounts };
            let unseen = Some(Unseen { reason: Reason::Files, watched_s: 0.0 });
            findings.extend(outside.leaks().into_iter().map(|it| Finding { unseen, ..it }));
        }
        if let ([first, ..], [.., last]) = (&*self.snapshots, &*self.snapshots) {
            let growth = Growth::between(&first.totals, &last.totals, seconds);
            findings.retain(|finding| growth.makes_credible(finding));
        }
        rank(&mut findings);
        let all = findings.iter_mut().chain(filling.iter_mut().map(|it| &mut it.growth));
        all.for_each(Finding::take_fingerprint);
        let pauses = self.snapshots.iter().map(|it| it.totals.paused.as_secs_f64());
        let mut missing = vec![Missing::Feeders, Missing::Limits, Missing::States, Missing::Values];
        missing.extend((!has_accounts).then_some(Missing::Native));
        let facts = last.facts();
        Verdict {
            pid: facts.pid,
            command: facts.command.clone(),
            python: facts.python.clone(),
            duration_s: seconds,
            steps: None,
            captures: self.snapshots.len() as u32,
            complete: true,
            pause_s: Standstill { max: pauses.clone().fold(0.0, f64::max), total: pauses.sum() },
            objects: self.objects,
            bytes: self.bytes,
            rss_bytes: facts.rss,
            rss_bytes_per_s,
            blocked_collector: None,
            findings,
            filling,
            undecided: Vec::new(),
            growth: Rates::of(&self.accounts).filter(|_| has_accounts),
            unexplained: None,
            missing,
        }
    }
}
