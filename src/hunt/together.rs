//! The verdict on several processes: a master and its workers.
//!
//! Workers run the same code and leak in the same way. Findings of the same kind, about the same type, with the
//! same holder and the same line that feeds it become one, with the sums of their figures. Where no insertion
//! was seen, the holder decides.

use super::finding::{Feeder, Finding, Leaking};
use super::ranking::{rank, rank_feeders};
use super::verdict::{Standstill, Verdict};
use crate::python::Frame;

/// The verdicts as one, about the first process and the others; `None` if there are none.
pub fn together(verdicts: &[Verdict]) -> Option<Verdict> {
    let first = verdicts.first()?;
    let longest = |time: fn(&Verdict) -> f64| verdicts.iter().map(time).fold(0.0, f64::max);
    Some(Verdict {
        pid: first.pid,
        command: first.command.clone(),
        python: first.python.clone(),
        duration_s: longest(|it| it.duration_s),
        steps: first.steps,
        captures: verdicts.iter().map(|it| it.captures).sum(),
        complete: verdicts.iter().all(|it| it.complete),
        pause_s: Standstill {
            max: longest(|it| it.pause_s.max),
            total: verdicts.iter().map(|it| it.pause_s.total).sum(),
        },
        objects: verdicts.iter().map(|it| it.objects).sum(),
        bytes: verdicts.iter().map(|it| it.bytes).sum(),
        rss_bytes: verdicts.iter().map(|it| it.rss_bytes).sum(),
        rss_bytes_per_s: verdicts.iter().map(|it| it.rss_bytes_per_s).sum(),
        blocked_collector: verdicts.iter().find_map(|it| it.blocked_collector.clone()),
        findings: merged(verdicts),
        filling: of_all(verdicts, |it| &it.filling, |it| &it.growth),
        undecided: of_all(verdicts, |it| &it.undecided, |it| &it.growth),
        missing: first.missing.clone(),
        // The processes of a family grow in different places.
        growth: None,
        unexplained: verdicts.iter().find_map(|it| it.unexplained),
    })
}

/// The findings of all processes, the one to look at first in front.
fn merged(verdicts: &[Verdict]) -> Vec<Finding> {
    let all = || verdicts.iter().flat_map(|it| it.findings.iter().map(|finding| (it.pid, finding)));
    let mut merged: Vec<Finding> = Vec::new();
    // Those whose feeders are known come first: the others join them.
    let is_known = |finding: &Finding| line_that_feeds(finding).is_some();
    let known = all().filter(|(_, finding)| is_known(finding));
    for (pid, finding) in known.chain(all().filter(|(_, finding)| !is_known(finding))) {
        match merged.iter_mut().find(|other| is_same(other, finding)) {
            Some(other) => merge(other, pid, finding),
            None => {
                let mut finding = finding.clone();
                finding.processes = vec![leaking(pid, &finding)];
                merged.push(finding);
            }
        }
    }
    for finding in &mut merged {
        finding.processes.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        finding.take_fingerprint();
    }
    rank(&mut merged);
    merged
}

/// What all processes have of this, the fastest growth first.
fn of_all<T: Clone>(
    verdicts: &[Verdict],
    of: fn(&Verdict) -> &Vec<T>,
    growth: fn(&T) -> &Finding,
) -> Vec<T> {
    let mut all: Vec<T> = verdicts.iter().flat_map(|it| of(it).clone()).collect();
    all.sort_by(|a, b| growth(b).bytes_per_s.total_cmp(&growth(a).bytes_per_s));
    all
}

fn leaking(pid: i32, finding: &Finding) -> Leaking {
    Leaking {
        pid,
        address: finding.holder.address,
        objects_per_s: finding.objects_per_s,
        bytes_per_s: finding.bytes_per_s,
    }
}

/// The line of the program that feeds a leak, or the line of a library where no other is known.
fn line_that_feeds(finding: &Finding) -> Option<&Frame> {
    let feeder = finding.feeders.first()?;
    feeder.own_frame.as_ref().or(feeder.stack.first())
}

fn is_same(known: &Finding, finding: &Finding) -> bool {
    let line = line_that_feeds(finding);
    known.kind == finding.kind
        && known.grown == finding.grown
        && known.function == finding.function
        && known.holder.path == finding.holder.path
        && (line.is_none() || line == line_that_feeds(known))
}

/// Adds what another process leaks in the same way.
fn merge(into: &mut Finding, pid: i32, finding: &Finding) {
    let (before, added) = (into.bytes_per_s, finding.bytes_per_s);
    let sum = before + added;
    if sum > 0.0 {
        let weighed = into.bytes_per_object * before + finding.bytes_per_object * added;
        into.bytes_per_object = weighed / sum;
    }
    if into.removal.is_none() {
        into.removal.clone_from(&finding.removal);
    }
    if let Some(more) = finding.traffic {
        let sum = into.traffic.get_or_insert_default();
        sum.put_in = sum.put_in.saturating_add(more.put_in);
        sum.taken_out = sum.taken_out.saturating_add(more.taken_out);
    }
    if !finding.feeders.is_empty() {
        into.feeders = feeders(&into.feeders, before, &finding.feeders, added);
    }
    into.bytes_per_s += added;
    into.objects_per_s += finding.objects_per_s;
    into.confidence = into.confidence.max(finding.confidence);
    into.known = into.known.zip(finding.known).map(|(ours, theirs)| ours && theirs);
    for path in &finding.also {
        if !into.also.contains(path) {
            into.also.push(path.clone());
        }
    }
    if into.holder.address != finding.holder.address {
        into.holder.address = None;
    }
    into.processes.push(leaking(pid, finding));
}

/// The stacks of both, each with its share of what both grow.
fn feeders(ours: &[Feeder], our_growth: f64, theirs: &[Feeder], their_growth: f64) -> Vec<Feeder> {
    let all = our_growth + their_growth;
    let part = |growth: f64| if all > 0.0 { growth / all } else { 0.5 };
    let mut merged: Vec<Feeder> = Vec::new();
    for (feeders, part) in [(ours, part(our_growth)), (theirs, part(their_growth))] {
        for feeder in feeders {
            let share = feeder.share * part;
            match merged.iter_mut().find(|known| known.stack == feeder.stack) {
                Some(known) => {
                    known.share += share;
                    known.hits += feeder.hits;
                }
                None => merged.push(Feeder { share, ..feeder.clone() }),
            }
        }
    }
    rank_feeders(&mut merged);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::finding::{Holder, LeakKind};

    fn frame(line: u32) -> Frame {
        Frame::new("remember", "/srv/app.py", Some(line))
    }

    fn finding(path: &str, line: Option<u32>, rate: f64) -> Finding {
        let feeder = |line| Feeder {
            share: 1.0,
            hits: 10,
            stack: vec![frame(line)],
            own_frame: Some(frame(line)),
        };
        Finding {
            objects_per_s: rate / 100.0,
            bytes_per_s: rate,
            bytes_per_object: 100.0,
            confidence: 0.9,
            feeders: line.map(feeder).into_iter().collect(),
            ..Finding::new(
                LeakKind::Container,
                "app.Session",
                Holder { path: path.into(), address: Some(rate as u64), ..Holder::default() },
            )
        }
    }

    fn verdict(pid: i32, findings: Vec<Finding>) -> Verdict {
        Verdict {
            pid,
            command: "python app.py".into(),
            python: "3.12.1".into(),
            duration_s: 10.0,
            steps: None,
            captures: 4,
            complete: true,
            pause_s: Standstill { max: 0.01, total: 0.02 },
            objects: 1000,
            bytes: 100_000,
            rss_bytes: 1_000_000,
            rss_bytes_per_s: 500.0,
            blocked_collector: None,
            findings,
            filling: Vec::new(),
            undecided: Vec::new(),
            missing: Vec::new(),
            growth: None,
            unexplained: None,
        }
    }

    #[test]
    fn workers_that_leak_in_the_same_way_are_one_finding() {
        let worker = |pid, rate| verdict(pid, vec![finding("module app › CACHE", Some(7), rate)]);
        let all = [verdict(1, vec![]), worker(2, 100.0), worker(3, 300.0)];
        let together = together(&all).expect("there are verdicts");
        assert_eq!((together.pid, together.captures, together.objects), (1, 12, 3000));
        let [finding] = &*together.findings else { panic!("{together:?}") };
        assert_eq!((finding.bytes_per_s, finding.objects_per_s), (400.0, 4.0));
        assert_eq!(finding.processes.iter().map(|it| it.pid).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(finding.holder.address, None);
        let [feeder] = &*finding.feeders else { panic!("{finding:?}") };
        assert_eq!((feeder.share, feeder.hits), (1.0, 20));
    }

    #[test]
    fn other_holders_and_other_lines_are_other_findings() {
        let all = [
            verdict(1, vec![finding("module app › CACHE", Some(7), 100.0)]),
            verdict(2, vec![finding("module app › CACHE", Some(8), 200.0)]),
            verdict(3, vec![finding("module app › OTHER", Some(7), 300.0)]),
        ];
        let together = together(&all).expect("there are verdicts");
        let rates: Vec<f64> = together.findings.iter().map(|it| it.bytes_per_s).collect();
        assert_eq!(rates, [300.0, 200.0, 100.0]);
    }

    #[test]
    fn where_no_insertion_was_seen_the_holder_decides() {
        let all = [
            verdict(1, vec![finding("module app › CACHE", None, 100.0)]),
            verdict(2, vec![finding("module app › CACHE", Some(8), 200.0)]),
        ];
        let together = together(&all).expect("there are verdicts");
        let [finding] = &*together.findings else { panic!("{together:?}") };
        assert_eq!(finding.processes.len(), 2);
        assert_eq!(finding.feeders[0].share, 1.0);
    }
}
