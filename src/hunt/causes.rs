//! One cause, one finding: a call into a library can leave objects in several places, each with a stack of its own
//! inside the library. What the same line of the program feeds, at the same pace, is one leak.

use super::finding::{Feeder, Finding};
use super::ranking::rank;
use crate::python::Frame;

/// The share of the insertions that one line must make.
const LEAST_SHARE: f64 = 0.9;
/// How far two paces may be apart to be the same.
const SAME_PACE: f64 = 1.25;

/// Merges findings with the same cause; the largest, which should come first, stays and names the places of the
/// others.
pub(crate) fn one_for_each(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        match merged.iter_mut().find(|known| have_one_cause(known, &finding)) {
            Some(known) => merge(known, finding),
            None => merged.push(finding),
        }
    }
    rank(&mut merged);
    merged
}

/// The line of the program that makes nearly all insertions, where a library inserts for it.
fn cause(finding: &Finding) -> Option<&Frame> {
    let inserts_itself = |feeder: &&Feeder| {
        feeder.own_frame.is_some() && feeder.own_frame.as_ref() == feeder.stack.first()
    };
    let line = finding.feeders.first()?.own_frame.as_ref()?;
    let by_it = finding.feeders.iter().filter(|feeder| feeder.own_frame.as_ref() == Some(line));
    if by_it.clone().any(|feeder| inserts_itself(&feeder)) {
        return None;
    }
    let share: f64 = by_it.map(|feeder| feeder.share).sum();
    (share >= LEAST_SHARE).then_some(line)
}

fn have_one_cause(known: &Finding, finding: &Finding) -> bool {
    let line = cause(known);
    let (fast, slow) = (
        known.objects_per_s.max(finding.objects_per_s),
        known.objects_per_s.min(finding.objects_per_s),
    );
    line.is_some() && line == cause(finding) && slow > 0.0 && fast <= SAME_PACE * slow
}

fn merge(known: &mut Finding, finding: Finding) {
    known.bytes_per_s += finding.bytes_per_s;
    known.bytes_per_object = known.bytes_per_s / known.objects_per_s;
    for path in [finding.holder.path].into_iter().chain(finding.also) {
        if !known.also.contains(&path) {
            known.also.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::finding::{Holder, LeakKind};

    fn frame(file: &str, line: u32) -> Frame {
        Frame::new("f", file, Some(line))
    }

    /// A finding fed by a line of a library, called by this line of the program.
    fn finding(holder: &str, line: u32, pace: f64) -> Finding {
        let own = frame("app.py", line);
        Finding {
            objects_per_s: pace,
            bytes_per_s: 100.0 * pace,
            bytes_per_object: 100.0,
            confidence: 0.9,
            feeders: vec![Feeder {
                share: 1.0,
                hits: 9,
                stack: vec![frame(holder, 1), own.clone()],
                own_frame: Some(own),
            }],
            ..Finding::new(
                LeakKind::Container,
                "hooks.Handler",
                Holder { path: holder.into(), ..Holder::default() },
            )
        }
    }

    #[test]
    fn what_one_line_feeds_at_one_pace_is_one_leak() {
        let all = vec![finding("a", 7, 11.0), finding("b", 7, 10.0), finding("c", 8, 10.0)];
        let merged = one_for_each(all);
        let [first, second] = &*merged else { panic!("{merged:?}") };
        assert_eq!((&*first.also, first.bytes_per_s), (&["b".to_owned()][..], 2100.0));
        assert_eq!(second.holder.path, "c");
    }

    #[test]
    fn another_pace_or_a_line_that_inserts_itself_is_another_leak() {
        let mut itself = finding("b", 7, 10.0);
        itself.feeders[0].stack.remove(0);
        for other in [finding("b", 7, 20.0), itself] {
            assert_eq!(one_for_each(vec![finding("a", 7, 10.0), other]).len(), 2);
        }
    }
}
