//! The conclusion of a hunt: which suspects leak, and which findings are credible.

use std::time::Duration;

use super::schedule::FEWEST_CAPTURES;
use super::{HuntError, Hunter, MOST};
use crate::hunt::accounts::Rates;
use crate::hunt::accounts::leaks::shows;
use crate::hunt::causes::one_for_each;
use crate::hunt::compare::heap_columns::{HeapColumns, Totals};
use crate::hunt::compare::steadiness::confidence;
use crate::hunt::finding::{Feeder, Filling, Finding, LeakKind, Reason, Undecided, Unseen};
use crate::hunt::ranking::{RESIDENT_OF_A_THREAD, rank, rank_feeders};
use crate::hunt::suspects::suspect::{Key, Suspect};
use crate::hunt::verdict::{Standstill, Verdict};
use crate::process::ProcessError;
use crate::python::Frame;

/// The share of the growth that objects of built-in types held only by native code must reach.
const CREDIBLE_SHARE: f64 = 0.2;
/// So many bytes of them there must be.
const CREDIBLE_BYTES: f64 = 32_768.0;
/// Code that is known to remove, without a word when, is not believed to after so many seconds without a removal.
const TELLS_IN_S: f64 = 180.0;
/// The last capture comes a little earlier.
const LATEST: f64 = 0.9;
/// A heap that has grown by less than this, or by a smaller part of it, is as large as it was.
const LEAST_GROWTH: f64 = 262_144.0;
const LEAST_PART: f64 = 0.005;
/// What a thread that does not end may take of the C library's memory.
const BLOCKS_OF_A_THREAD: f64 = 16_384.0;
/// The share of native memory that must be allocated in such threads if it is all theirs.
const MOST_OF_NATIVE: f64 = 0.9;

impl Hunter {
    /// The verdict; an error if the hunt was too short for one.
    pub fn verdict(self) -> Result<Verdict, HuntError> {
        let ([first, ..], [.., last]) = (&*self.snapshots, &*self.snapshots) else {
            return Err(self.too_short());
        };
        if self.snapshots.len() < FEWEST_CAPTURES {
            return Err(self.too_short());
        }
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let watches = [self.trails.pauses(), self.follow_pauses].into_iter();
        let compared = self.snapshots.iter().map(|it| it.totals.paused);
        let pauses = compared.chain(self.forgotten.iter().copied());
        let seconds_of = |pause: Duration| pause.as_secs_f64();
        let (mut undecided, mut findings) = (Vec::new(), Vec::new());
        for suspect in self.suspects.iter().filter(|it| it.is_steady) {
            match self.told(suspect) {
                Some(growth) if self.is_open(suspect, &growth) => undecided.push(Undecided {
                    growth,
                    tells_in_s: suspect.slows.unwrap_or(TELLS_IN_S),
                    slows: suspect.slows.is_some(),
                }),
                growth => findings.extend(growth),
            }
        }
        undecided.sort_by(|a, b| b.growth.bytes_per_s.total_cmp(&a.growth.bytes_per_s));
        let mut filling: Vec<Filling> =
            self.suspects.iter().filter_map(|it| self.filling(it)).collect();
        filling.sort_by(|a, b| b.growth.bytes_per_s.total_cmp(&a.growth.bytes_per_s));
        filling.truncate(MOST);
        let threads = self.suspects.iter().find(|it| it.key == Key::Threads && it.is_steady);
        let threads_per_s = threads.map_or(0.0, |it| it.finding.objects_per_s);
        let explained = threads_per_s * self.bytes_of_a_thread();
        let outside = self.outside().leaks().into_iter();
        let outside =
            outside.filter(|it| it.bytes_per_s > explained || it.kind == LeakKind::Copied);
        for finding in outside {
            let native = not_of_threads(self.with_native_feeders(finding), &mut findings);
            findings.extend(native);
        }
        let rss_bytes_per_s = (last.totals.rss as f64 - first.totals.rss as f64) / seconds;
        let growth = Growth::between(&first.totals, &last.totals, seconds);
        findings.retain(|finding| growth.makes_credible(finding));
        rank(&mut findings);
        let mut findings = one_for_each(findings);
        findings.truncate(MOST);
        let known = findings.iter().chain(filling.iter().map(|filling| &filling.growth));
        let known = known.chain(undecided.iter().map(|undecided| &undecided.growth));
        let known = known.filter(|it| it.kind != LeakKind::Copied).map(|it| it.bytes_per_s).sum();
        let unexplained = self.outside().unexplained(known);
        let filled = filling.iter_mut().map(|it| &mut it.growth);
        let growths = undecided.iter_mut().map(|it| &mut it.growth).chain(filled);
        findings.iter_mut().chain(growths).for_each(Finding::take_fingerprint);
        Ok(Verdict {
            pid: self.process.pid(),
            command: self.command.clone(),
            python: self.python.version.to_string(),
            duration_s: match self.clock.steps() {
                Some(_) => self.began.elapsed().as_secs_f64(),
                None => last.at.as_secs_f64(),
            },
            steps: self.clock.steps(),
            captures: self.captures() as u32,
            complete: self.complete,
            pause_s: Standstill {
                max: pauses
                    .clone()
                    .chain(watches.clone().map(|it| it.max))
                    .max()
                    .map_or(0.0, seconds_of),
                total: pauses.chain(watches.map(|it| it.total)).map(seconds_of).sum(),
            },
            objects: last.totals.heap.objects.into(),
            bytes: last.totals.heap.bytes,
            rss_bytes: last.totals.rss,
            rss_bytes_per_s,
            blocked_collector: self.collector.blocked,
            findings,
            filling,
            undecided,
            missing: Vec::new(),
            growth: Rates::of(&self.accounts),
            unexplained,
        })
    }

    /// Whether it is undecided if what grows most leaks; or the heap grows and nothing explains it.
    pub(super) fn is_undecided(&self) -> bool {
        let steady = self.suspects.iter().filter(|it| it.is_steady);
        let told = steady.filter_map(|it| Some((it, self.told(it)?)));
        let is_explained = self.suspects.iter().any(|it| it.level.is_some());
        match told.max_by(|(_, a), (_, b)| a.bytes_per_s.total_cmp(&b.bytes_per_s)) {
            None => !is_explained && self.heap_grows(),
            Some((suspect, growth)) => self.is_open(suspect, &growth),
        }
    }

    /// Whether it is undecided if a growth is a leak: its pace falls a little, or code removes from it, but was not
    /// seen to.
    fn is_open(&self, suspect: &Suspect, growth: &Finding) -> bool {
        suspect.slows.is_some() || self.may_be_removed(growth)
    }

    /// Whether code on the way removes from what grows, without a word when, and has not been seen to.
    fn may_be_removed(&self, finding: &Finding) -> bool {
        let watched = self.snapshots.last().map_or(0.0, |it| it.at.as_secs_f64());
        let is_open = finding.removal.as_ref().is_some_and(|it| it.until.is_none());
        let removes = finding.traffic.is_some_and(|it| it.taken_out > 0);
        is_open && !removes && watched < LATEST * TELLS_IN_S
    }

    /// Whether the heap has become larger, and in the last interval too.
    fn heap_grows(&self) -> bool {
        let [first, .., before, last] = &*self.snapshots else { return false };
        let bytes = |it: &HeapColumns| it.totals.heap.bytes as f64;
        let grown = bytes(last) - bytes(first);
        grown >= LEAST_GROWTH.max(LEAST_PART * bytes(last)) && bytes(last) > bytes(before)
    }

    /// A finding outside the heap, with the code that allocates native memory that stays.
    fn with_native_feeders(&self, finding: Finding) -> Finding {
        let followed = self.native_feeders.as_ref();
        let shown = followed.filter(|(growing, _)| shows(growing, finding.kind));
        let mut feeders = shown.map(|(_, feeders)| feeders.clone()).unwrap_or_default();
        rank_feeders(&mut feeders);
        let unseen = match finding.kind {
            _ if !feeders.is_empty() => None,
            LeakKind::Copied => Some(Unseen { reason: Reason::NoCounter, watched_s: 0.0 }),
            _ if followed.is_some() && shown.is_none() => {
                Some(self.unseen(Unseen { reason: Reason::NotWatched, watched_s: 0.0 }))
            }
            _ => Some(self.not_followed()),
        };
        Finding { feeders, unseen, ..finding }
    }

    /// What of growth outside the heap a thread explains, in bytes.
    fn bytes_of_a_thread(&self) -> f64 {
        match self.accounts.is_empty() {
            true => RESIDENT_OF_A_THREAD,
            false => BLOCKS_OF_A_THREAD,
        }
    }

    fn too_short(&self) -> HuntError {
        match self.process.is_alive() {
            true => HuntError::TooShort,
            false => ProcessError::Ended { pid: self.process.pid() }.into(),
        }
    }

    /// A suspect that grows towards a level.
    fn filling(&self, suspect: &Suspect) -> Option<Filling> {
        let level = suspect.level.clone()?;
        Some(Filling {
            growth: self.told(suspect)?,
            limit: level.limit,
            full_in_s: level.in_s,
            bytes_to_come: level.bytes,
        })
    }

    /// The finding for a suspect that has proved to grow.
    fn told(&self, suspect: &Suspect) -> Option<Finding> {
        let mut finding = suspect.finding.clone();
        finding.traffic = self.trails.of(suspect.key).and_then(|trail| trail.traffic);
        let Some(trail) = self.trails.of(suspect.key) else {
            finding.unseen = Some(self.unseen(Unseen::not_watched()));
            return Some(finding);
        };
        // Threads are watched where they are started, in a dict that holds each only for a moment.
        if suspect.key != Key::Threads && trail.sizes.len() > 1 {
            finding.confidence = confidence(&trail.sizes)?;
        }
        finding.feeders.clone_from(&trail.feeders);
        rank_feeders(&mut finding.feeders);
        finding.unseen = trail.unseen().map(|unseen| self.unseen(unseen));
        Some(finding)
    }

    /// Why no allocation of native memory was followed.
    fn not_followed(&self) -> Unseen {
        let watched_s = self.followed.as_secs_f64();
        let reason = match self.followed.is_zero() {
            _ if !self.can_follow => Reason::NoCounter,
            true => Reason::NotWatched,
            false => Reason::TooFew,
        };
        self.unseen(Unseen { reason, watched_s })
    }

    /// Why nobody was seen, with what the hunt itself knows.
    fn unseen(&self, unseen: Unseen) -> Unseen {
        let reason = match unseen.reason {
            Reason::NotWatched | Reason::TooFew if self.trouble.is_some() => Reason::NoBreakpoints,
            Reason::NotWatched | Reason::TooFew if !self.process.is_alive() => Reason::Ended,
            reason => reason,
        };
        Unseen { reason, ..unseen }
    }
}

/// The native memory that leaks, unless the threads that pile up have allocated it: then it is theirs.
fn not_of_threads(native: Finding, findings: &mut [Finding]) -> Option<Finding> {
    let Some(threads) = findings.iter_mut().find(|it| it.kind == LeakKind::Threads) else {
        return Some(native);
    };
    // The function in which each of them is started makes blocks for it.
    let starts: Vec<&Frame> = threads.feeders.iter().filter_map(|it| it.stack.first()).collect();
    let is_theirs = |feeder: &&Feeder| {
        feeder.stack.iter().any(|frame| {
            let run = format!("{} ({}:", frame.function, frame.file);
            let starts_them =
                |start: &&Frame| start.function == frame.function && start.file == frame.file;
            threads.holder.name.starts_with(&run) || starts.iter().any(starts_them)
        })
    };
    let share: f64 = native.feeders.iter().filter(is_theirs).map(|feeder| feeder.share).sum();
    if share < MOST_OF_NATIVE {
        return Some(native);
    }
    threads.bytes_per_s += native.bytes_per_s;
    threads.bytes_per_object = threads.bytes_per_s / threads.objects_per_s;
    None
}

/// How much a process has grown during a hunt.
pub(crate) struct Growth {
    resident_bytes_per_s: f64,
    heap_bytes_per_s: f64,
    seconds: f64,
}

impl Growth {
    /// Between the first snapshot and the last, so many seconds later.
    pub(crate) fn between(first: &Totals, last: &Totals, seconds: f64) -> Growth {
        let pace = |before: u64, after: u64| (after as f64 - before as f64) / seconds.max(1e-3);
        Growth {
            resident_bytes_per_s: pace(first.rss, last.rss),
            heap_bytes_per_s: pace(first.heap.bytes, last.heap.bytes),
            seconds,
        }
    }

    /// Whether a finding is credible. References inside objects of unknown types are guessed from their words,
    /// and those behind the objects' own pointers are not seen. So a few objects of built-in types that only
    /// native code seems to hold do not prove a leak unless they make up a good part of the growth, and of a
    /// growth that is more than chance. The heap may grow into memory that was freed while the program started:
    /// then the resident set does not grow yet.
    pub(crate) fn makes_credible(&self, finding: &Finding) -> bool {
        if finding.kind != LeakKind::Refcount || finding.grown.contains('.') {
            return true;
        }
        let is_much = finding.bytes_per_s * self.seconds >= CREDIBLE_BYTES;
        let grows = self.resident_bytes_per_s.max(self.heap_bytes_per_s);
        let is_seen = grows >= CREDIBLE_SHARE * finding.bytes_per_s;
        let is_a_good_part = finding.bytes_per_s >= CREDIBLE_SHARE * self.resident_bytes_per_s;
        is_much && is_seen && is_a_good_part
    }
}
