//! The order of findings: by size, but a cause before its traces.
//!
//! Memory outside the heap is often a trace of objects that pile up: blocks that belong to them, stacks of their
//! greenlets, holes between them. It can be the larger part, yet names no line. So it comes first only if no
//! other finding is a good part of it, or if its own line is known.
//!
//! And the order of the stacks that feed one: a line of the program that does so by several calls of a library counts
//! with all of them.

use super::finding::{Feeder, Finding, LeakKind};
use crate::python::Frame;

/// A finding that is this part of a trace may be its cause.
const LEAST_OF_A_TRACE: f64 = 0.1;
/// What a thread that does not end takes with its stack, and with what the C library keeps for it, in bytes.
pub(crate) const RESIDENT_OF_A_THREAD: f64 = 262_144.0;

/// Sorts findings, the one to look at first in front.
pub(crate) fn rank(findings: &mut [Finding]) {
    findings.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
}

/// Sorts feeders: first those of the line of the program that feeds most.
pub(crate) fn rank_feeders(feeders: &mut [Feeder]) {
    let shares: Vec<(Option<Frame>, f64)> =
        feeders.iter().map(|feeder| (feeder.own_frame.clone(), feeder.share)).collect();
    let of_line = |feeder: &Feeder| match &feeder.own_frame {
        None => feeder.share,
        line => shares.iter().filter(|other| other.0 == *line).map(|other| other.1).sum(),
    };
    feeders.sort_by(|a, b| {
        of_line(b).total_cmp(&of_line(a)).then_with(|| b.share.total_cmp(&a.share))
    });
}

fn weight(finding: &Finding) -> f64 {
    let has_line = finding.feeders.iter().any(|feeder| !feeder.stack.is_empty());
    match finding.kind {
        LeakKind::Holes => LEAST_OF_A_TRACE * finding.bytes_per_s,
        LeakKind::Native | LeakKind::Mappings if !has_line => {
            LEAST_OF_A_TRACE * finding.bytes_per_s
        }
        LeakKind::Threads => finding.bytes_per_s.max(finding.objects_per_s * RESIDENT_OF_A_THREAD),
        _ => finding.bytes_per_s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::finding::Holder;

    fn finding(kind: LeakKind, bytes_per_s: f64, line: Option<u32>) -> Finding {
        let frame = |line| Frame::new("load", "app.py", Some(line));
        let feeder = Feeder {
            share: 1.0,
            hits: 10,
            stack: line.map(frame).into_iter().collect(),
            own_frame: line.map(frame),
        };
        Finding {
            bytes_per_s,
            feeders: vec![feeder],
            ..Finding::new(kind, "memory", Holder::default())
        }
    }

    fn kinds(mut findings: Vec<Finding>) -> Vec<LeakKind> {
        rank(&mut findings);
        findings.into_iter().map(|it| it.kind).collect()
    }

    #[test]
    fn memory_without_a_line_comes_after_objects_that_may_be_its_cause() {
        let container = finding(LeakKind::Container, 20.0, Some(3));
        for trace in [LeakKind::Native, LeakKind::Mappings, LeakKind::Holes] {
            let order = |bytes| kinds(vec![finding(trace, bytes, None), container.clone()]);
            assert_eq!(order(150.0), [LeakKind::Container, trace]);
            assert_eq!(order(250.0), [trace, LeakKind::Container]);
        }
        let native = finding(LeakKind::Native, 30.0, Some(9));
        assert_eq!(kinds(vec![container, native]), [LeakKind::Native, LeakKind::Container]);
    }

    #[test]
    fn a_line_counts_with_all_calls_by_which_it_feeds() {
        let feeder = |line: Option<u32>, share| Feeder {
            share,
            hits: 10,
            stack: Vec::new(),
            own_frame: line.map(|line| Frame::new("load", "app.py", Some(line))),
        };
        let mut feeders = vec![
            feeder(Some(3), 0.36),
            feeder(Some(9), 0.3),
            feeder(None, 0.2),
            feeder(Some(9), 0.14),
        ];
        rank_feeders(&mut feeders);
        let shares: Vec<f64> = feeders.iter().map(|feeder| feeder.share).collect();
        assert_eq!(shares, [0.3, 0.14, 0.36, 0.2]);
    }

    #[test]
    fn threads_weigh_what_the_system_keeps_for_them() {
        let threads = Finding { objects_per_s: 1.0, ..finding(LeakKind::Threads, 500.0, Some(3)) };
        let native = |bytes| finding(LeakKind::Native, bytes, Some(9));
        let order = |bytes| kinds(vec![native(bytes), threads.clone()]);
        assert_eq!(order(100_000.0), [LeakKind::Threads, LeakKind::Native]);
        assert_eq!(order(300_000.0), [LeakKind::Native, LeakKind::Threads]);
    }
}
