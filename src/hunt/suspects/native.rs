//! Growth that no Python object explains: of malloc blocks that Python does not own or, where those cannot be
//! told apart, of the resident set beyond the growth of the heap.

use std::time::Duration;

use super::collector::Collector;
use super::hints;
use super::hints::Circumstances;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::steadiness::{Series, confidence, steady_growth};
use crate::hunt::finding::{Finding, Holder, LeakKind};

/// The least growth of a leak, in bytes.
const LEAST: f64 = 1_048_576.0;
/// Growth beyond the heap's from which it is worth counting malloc's blocks.
const SUSPICIOUS: f64 = LEAST / 4.0;
/// An allocator needs more than an object's own bytes: this many times the growth of the heap is explained.
const EXPLAINED: f64 = 1.5;
/// The share of the resident set's growth that must be unexplained.
const LEAST_SHARE: f64 = 0.5;
/// The share of the resident set's growth that counted blocks must account for.
const LEAST_COUNTED: f64 = 0.1;
/// How often they must have been counted.
const FEWEST_COUNTS: usize = 3;

/// The data on memory outside the heap.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// The heap, at several times.
    pub snapshots: &'a [HeapColumns],
    /// The resident set, read many times between them.
    pub resident: &'a [(Duration, f64)],
    /// The bytes of malloc's blocks that are not Python's, at the times when they were counted.
    pub blocks: &'a [(Duration, f64)],
}

impl Outside<'_> {
    /// Whether to count malloc's blocks: the resident set has grown more than the heap.
    pub fn is_suspicious(&self) -> bool {
        let ([first, ..], [.., last]) = (self.snapshots, self.snapshots) else { return false };
        let gained = last.totals.rss as f64 - first.totals.rss as f64;
        gained - heap_gained(first, last) >= SUSPICIOUS
    }

    /// Whether blocks have grown enough to find out which code allocates them.
    pub fn may_leak(&self) -> bool {
        steady_growth(self.blocks).is_some_and(|it| it.net >= SUSPICIOUS) || self.leak().is_some()
    }

    /// A leak outside the heap, if there is one.
    pub fn leak(&self) -> Option<Finding> {
        let rss: Series = self.snapshots.iter().map(|it| (it.at, it.totals.rss as f64)).collect();
        let whole = steady_growth(&rss)?;
        let confidence = confidence(self.resident)?.max(whole.confidence);
        if self.blocks.len() >= FEWEST_COUNTS {
            let counted = steady_growth(self.blocks)?;
            let seconds = whole.net / whole.per_second;
            let net = counted.per_second * seconds;
            let is_much = net >= LEAST.max(LEAST_COUNTED * whole.net);
            return is_much.then(|| finding(counted.per_second, confidence));
        }
        let ([first, ..], [.., last]) = (self.snapshots, self.snapshots) else { return None };
        let heap = heap_gained(first, last);
        let unexplained = whole.net - EXPLAINED * heap;
        if unexplained < LEAST.max(LEAST_SHARE * whole.net) {
            return None;
        }
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        Some(finding((whole.net - heap) / seconds, confidence))
    }
}

fn heap_gained(first: &HeapColumns, last: &HeapColumns) -> f64 {
    last.totals.heap.bytes.saturating_sub(first.totals.heap.bytes) as f64
}

fn finding(bytes_per_s: f64, confidence: f64) -> Finding {
    let holder =
        Holder { path: "native code".into(), name: "native code".into(), ..Holder::default() };
    let kind = LeakKind::Native;
    let grown = "memory".to_owned();
    let hint = hints::hint(&Circumstances {
        kind,
        holder: &holder,
        grown: &grown,
        keeps_frames: false,
        filling: None,
        collector: Collector::default(),
    });
    Finding {
        kind,
        grown,
        function: None,
        holder,
        also: Vec::new(),
        objects_per_s: 0.0,
        bytes_per_s,
        bytes_per_object: 0.0,
        confidence,
        hint,
        feeders: Vec::new(),
        unseen: None,
        removal: None,
        traffic: None,
        processes: Vec::new(),
        fingerprint: String::new(),
        known: None,
    }
}
