//! Growth that no Python object explains: of the resident set, beyond that of the heap.

use std::time::Duration;

use super::collector::Collector;
use super::finding::{Finding, Holder, LeakKind};
use super::hints::{self, Circumstances};
use super::snapshot::Snapshot;
use super::trend::{Series, confidence, trend};

/// What the resident set must gain beyond the heap, in bytes.
const LEAST: f64 = 1_048_576.0;
/// Beside an object's own bytes an allocator needs some more: so much of what the heap gains is explained.
const EXPLAINED: f64 = 1.5;
/// So much of what the resident set gains must be without explanation.
const LEAST_SHARE: f64 = 0.5;

/// A leak outside the heap, if there is one: seen in the snapshots, and in the resident set as it was read
/// many times between them.
pub fn native(snapshots: &[Snapshot], resident: &[(Duration, f64)]) -> Option<Finding> {
    let rss: Series = snapshots.iter().map(|it| (it.at, it.totals.rss as f64)).collect();
    let whole = trend(&rss)?;
    let ([first, ..], [.., last]) = (snapshots, snapshots) else { return None };
    let heap = last.totals.heap.bytes.saturating_sub(first.totals.heap.bytes) as f64;
    let unexplained = whole.net - EXPLAINED * heap;
    if unexplained < LEAST.max(LEAST_SHARE * whole.net) {
        return None;
    }
    let seconds = last.at.saturating_sub(first.at).as_secs_f64();
    let holder =
        Holder { path: "native code".into(), name: "native code".into(), ..Holder::default() };
    let kind = LeakKind::Native;
    let grown = "memory".to_owned();
    let hint = hints::hint(&Circumstances {
        kind,
        holder: &holder,
        grown: &grown,
        keeps_frames: false,
        collector: Collector::default(),
    });
    Some(Finding {
        kind,
        grown,
        holder,
        also: Vec::new(),
        objects_per_s: 0.0,
        bytes_per_s: (whole.net - heap) / seconds,
        bytes_per_object: 0.0,
        confidence: confidence(resident)?.max(whole.confidence),
        hint,
        feeders: Vec::new(),
    })
}
