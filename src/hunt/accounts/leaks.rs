//! Growth that no Python object explains: of malloc blocks that Python does not own, of the holes between them, of
//! mappings, of memory that is no longer shared; or, where those cannot be told apart, of the resident set
//! beyond the growth of the heap.

use std::time::Duration;

use super::account::Account;
use super::growth::{Rates, Unexplained};
use super::place::Place;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::steadiness::{
    Series, SteadyGrowth, certainty, confidence, steady_growth,
};
use crate::hunt::finding::{Finding, Holder, LeakKind};
use crate::hunt::mallocs::functions::Growing;

/// The least growth of a leak, in bytes.
const LEAST: f64 = 1_048_576.0;
/// Growth beyond the heap's from which it is worth dividing up the resident set.
pub const SUSPICIOUS: f64 = LEAST / 4.0;
/// An allocator needs more than an object's own bytes: this many times the growth of the heap is explained.
const EXPLAINED: f64 = 1.5;
/// The share of the resident set's growth that must be unexplained.
const LEAST_SHARE: f64 = 0.5;
/// The share of the resident set's growth that counted blocks must account for, and that other places must.
const LEAST_COUNTED: f64 = 0.1;
const LEAST_ELSEWHERE: f64 = 0.25;
/// How often the resident set must have been divided up.
const FEWEST_ACCOUNTS: usize = 3;
/// Where the blocks together grow by less than this share of what is resident of them, pages of old blocks are
/// written to for the first time.
const NEW_BLOCKS: f64 = 0.25;
/// The share of the growth of private memory that the last interval must still have.
const STILL: f64 = 0.05;

/// The data on memory outside the heap.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// The heap, at several times.
    pub snapshots: &'a [HeapColumns],
    /// The resident set, read many times between them.
    pub resident: &'a [(Duration, f64)],
    /// The memory that has been written to and no other process maps, at the time of each snapshot.
    pub private: &'a [(Duration, f64)],
    /// The resident set divided up, at the times when that was done.
    pub accounts: &'a [Account],
}

impl Outside<'_> {
    /// Whether to divide up the resident set: it, or the private part of it, has grown more than the heap.
    pub fn is_suspicious(&self) -> bool {
        let ([first, ..], [.., last]) = (self.snapshots, self.snapshots) else { return false };
        let heap = heap_gained(first, last);
        let gained = last.totals.rss as f64 - first.totals.rss as f64;
        let private = match self.private {
            [first, .., last] => last.1 - first.1,
            _ => 0.0,
        };
        gained.max(private) - heap >= SUSPICIOUS
    }

    /// Whether blocks or mappings have grown enough to find out which code makes them.
    pub fn may_leak(&self) -> bool {
        let makes = [Place::NativeBlocks, Place::MallocFree, Place::Mappings];
        makes.into_iter().any(|place| self.gained(place) >= SUSPICIOUS)
            || self.leaks().iter().any(|it| shows(&Growing::Blocks(Vec::new()), it.kind))
    }

    /// What to follow: what has grown most; blocks of these sizes become more.
    pub fn growing(&self, sizes: Option<Vec<u64>>) -> Growing {
        let of_malloc = self.gained(Place::NativeBlocks) + self.gained(Place::MallocFree);
        match self.gained(Place::Mappings) > of_malloc {
            true => Growing::Mappings,
            false => Growing::Blocks(sizes.unwrap_or_default()),
        }
    }

    /// How much a place has grown, in bytes.
    fn gained(&self, place: Place) -> f64 {
        let [first, .., last] = self.accounts else { return 0.0 };
        last.bytes(place) - first.bytes(place)
    }

    /// The leaks outside the heap.
    pub fn leaks(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = self.copied().into_iter().collect();
        let Some((whole, confidence)) = self.growth() else { return found };
        if self.accounts.len() < FEWEST_ACCOUNTS {
            found.extend(self.beyond_the_heap(whole, confidence));
            return found;
        }
        let knows_malloc = self.accounts.iter().all(Account::knows_malloc);
        let places = [
            (Place::NativeBlocks, LeakKind::Native, LEAST_COUNTED),
            (Place::MallocFree, LeakKind::Holes, LEAST_ELSEWHERE),
            (Place::PymallocFree, LeakKind::Holes, LEAST_ELSEWHERE),
            (Place::Mappings, LeakKind::Mappings, LEAST_ELSEWHERE),
            (Place::Shared, LeakKind::Mappings, LEAST_ELSEWHERE),
            (Place::Files, LeakKind::Mappings, LEAST_ELSEWHERE),
        ];
        for (place, kind, share) in places {
            let Some(growth) = steady_growth(&self.series(|it| it.bytes(place))) else { continue };
            // Accounts begin later than the hunt.
            let net = growth.per_second * whole.net / whole.per_second;
            if net >= LEAST.max(share * whole.net) {
                let (holder, hint) = self.words(place, growth, knows_malloc);
                found.push(finding(kind, holder, hint, growth.per_second, confidence));
            }
        }
        found
    }

    /// The growth of the resident set without a known cause, if that is most of a steady growth. The causes
    /// that are known explain so many bytes a second.
    pub fn unexplained(&self, explained: f64) -> Option<Unexplained> {
        let (whole, _) = self.growth()?;
        let rest = whole.per_second - explained;
        if whole.net < LEAST || rest < LEAST_SHARE * whole.per_second {
            return None;
        }
        let place = Rates::of(self.accounts).and_then(|rates| rates.fastest());
        Some(Unexplained { bytes_per_s: rest, place })
    }

    /// The growth of the resident set, if it is steady, and how certain that is.
    fn growth(&self) -> Option<(SteadyGrowth, f64)> {
        let rss: Series = self.snapshots.iter().map(|it| (it.at, it.totals.rss as f64)).collect();
        let whole = steady_growth(&rss)?;
        let confidence = confidence(self.resident)?.max(whole.confidence);
        Some((whole, confidence))
    }

    /// Growth of private memory without growth of the resident set: pages that were shared are copied.
    fn copied(&self) -> Option<Finding> {
        let [first, .., before, last] = self.private else { return None };
        let gained = last.1 - first.1;
        // Captures between the first and the last may have been forgotten.
        let ([begin, ..], [.., end]) = (self.snapshots, self.snapshots) else { return None };
        let resident = end.totals.rss as f64 - begin.totals.rss as f64;
        let grows = self.private.is_sorted_by(|before, after| before.1 <= after.1);
        let is_over = last.1 - before.1 < STILL * gained;
        if !grows || is_over || gained - resident.max(0.0) < LEAST.max(LEAST_SHARE * gained) {
            return None;
        }
        let seconds = last.0.checked_sub(first.0)?.as_secs_f64();
        let holder = "pages shared with the process that forked it";
        let hint = "each page is copied when it is first written to, and using an object writes its reference \
                    count: keep what workers share in arrays or shared memory, not in many objects, and load \
                    it after the fork if each needs its own";
        let per_second = (gained - resident.max(0.0)) / seconds;
        let confidence = certainty(self.private);
        Some(finding(LeakKind::Copied, holder, hint.into(), per_second, confidence))
    }

    /// What is said of the growth at a place: what holds it, and the hint.
    fn words(
        &self,
        place: Place,
        growth: SteadyGrowth,
        knows_malloc: bool,
    ) -> (&'static str, String) {
        let blocks = self.series(|it| it.blocks as f64);
        let sizes = self.series(|it| it.block_bytes as f64);
        let gained = |series: &Series| match &**series {
            [first, .., last] => last.1 - first.1,
            _ => 0.0,
        };
        let (new, bytes) = (gained(&blocks), gained(&sizes));
        match place {
            Place::NativeBlocks if bytes < NEW_BLOCKS * growth.net => (
                "native code",
                "blocks that native code allocated before are being filled, page after page: an arena, a pool \
                 or a table of its own; it stops growing when it is full"
                    .into(),
            ),
            Place::NativeBlocks => (
                "native code",
                "no Python object explains it: a native library allocates and does not free".into(),
            ),
            Place::MallocFree if new >= 1.0 && bytes > 0.0 => (
                "malloc",
                format!(
                    "memory is freed, but {new:.0} small native blocks of {:.0} bytes on average that came to \
                     stay lie in between and keep it from being used or given back: whoever keeps those leaks",
                    bytes / new
                ),
            ),
            Place::MallocFree => (
                "malloc",
                "malloc keeps freed memory that does not fit what is asked for next: fewer arenas \
                 (MALLOC_ARENA_MAX=2), malloc_trim(0), or another allocator (jemalloc) help"
                    .into(),
            ),
            Place::PymallocFree => (
                "pymalloc",
                "a few long-lived objects in each arena keep it from being given back: create what stays \
                 before what goes"
                    .into(),
            ),
            Place::Shared => (
                "shared memory",
                "shared memory is made or written to and never released: multiprocessing.shared_memory wants \
                 close() and unlink()"
                    .into(),
            ),
            Place::Files => (
                "mapped files",
                "files are mapped and stay mapped, or more of them is read: close memory maps; such pages go \
                 when memory is short"
                    .into(),
            ),
            Place::Mappings if !knows_malloc => (
                "an allocator other than glibc's",
                "its blocks cannot be told apart from outside: use the statistics of that allocator, such as \
                 MALLOC_CONF=stats_print:true or MIMALLOC_SHOW_STATS=1"
                    .into(),
            ),
            _ => (
                "anonymous mappings",
                "pages are mapped and not unmapped, by neither malloc nor Python's allocator: by an allocator \
                 inside a library (those of Arrow and polars have statistics: pyarrow.total_allocated_bytes()) \
                 or by mmap itself"
                    .into(),
            ),
        }
    }

    /// What is unexplained where the resident set was not divided up.
    fn beyond_the_heap(&self, whole: SteadyGrowth, confidence: f64) -> Option<Finding> {
        let ([first, ..], [.., last]) = (self.snapshots, self.snapshots) else { return None };
        let heap = heap_gained(first, last);
        let unexplained = whole.net - EXPLAINED * heap;
        if unexplained < LEAST.max(LEAST_SHARE * whole.net) {
            return None;
        }
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let hint = "no Python object explains it: a native library allocates and does not free, or its \
                    allocator keeps freed memory";
        let rate = (whole.net - heap) / seconds;
        Some(finding(LeakKind::Native, "native code", hint.into(), rate, confidence))
    }

    fn series(&self, figure: impl Fn(&Account) -> f64) -> Series {
        self.accounts.iter().map(|it| (it.at, figure(it))).collect()
    }
}

/// Whether following this shows who feeds a leak of this kind.
pub fn shows(followed: &Growing, kind: LeakKind) -> bool {
    match followed {
        Growing::Blocks(_) => matches!(kind, LeakKind::Native | LeakKind::Holes),
        Growing::Mappings => kind == LeakKind::Mappings,
    }
}

fn heap_gained(first: &HeapColumns, last: &HeapColumns) -> f64 {
    last.totals.heap.bytes.saturating_sub(first.totals.heap.bytes) as f64
}

fn finding(
    kind: LeakKind,
    holder: &str,
    hint: String,
    bytes_per_s: f64,
    confidence: f64,
) -> Finding {
    let holder = Holder { path: holder.into(), name: holder.into(), ..Holder::default() };
    Finding { hint, bytes_per_s, confidence, ..Finding::new(kind, "memory", holder) }
}
