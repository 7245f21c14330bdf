//! The verdict of a hunt: for a person, as JSON, and as a flamegraph of the stacks that feed leaks.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::accounts::write_places;
use super::files::write_missing;
use super::growing::{removal_in_words, write_other_growth, write_whether_it_leaks};
use super::known_leaks::{set_aside, write_known};
use super::labels::{of_frame, printable, printable_code, short_places};
use super::sheet::{CULPRIT, GREW, HOLDER, Sheet};
use super::source_lines::{remark, write_below};
use super::{Heading, Paths, Pauses, RenderError, Style, View, flamegraph};
use crate::hunt::finding::{Feeder, Finding, LeakKind, Leaking, Reason, Traffic, Unseen};
use crate::hunt::together::together;
use crate::hunt::verdict::{BlockedCollector, LeftOut, Verdict};
use crate::profile::{Profile, Stack, Weight};

/// How many stacks of a leak are shown, and how many frames of each.
const STACKS: usize = 3;
const FRAMES: usize = 6;
/// How many processes of a finding are shown.
const PROCESSES: usize = 8;
/// The column in which stacks begin.
const STACK: usize = 23;
const HOUR: f64 = 3600.0;
/// The highest confidence that is printed, in percent.
const MOST_CERTAIN: f64 = 99.9;
/// The version of the JSON.
const SCHEMA: u32 = 1;

/// A verdict, and those of the children if requested.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    #[serde(flatten)]
    verdict: &'a Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprocesses: Option<&'a [Verdict]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    together: Option<Verdict>,
    #[serde(skip_serializing_if = "<[LeftOut]>::is_empty")]
    left_out: &'a [LeftOut],
}

/// Writes a verdict as JSON, with those of the children and of all together, if there are any.
pub fn write_json(
    verdict: &Verdict,
    subprocesses: Option<&[Verdict]>,
    left_out: &[LeftOut],
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let several = subprocesses.filter(|others| !others.is_empty());
    let all = |others: &[Verdict]| [std::slice::from_ref(verdict), others].concat();
    let together = several.and_then(|others| together(&all(others)));
    let report = Report { schema: SCHEMA, verdict, subprocesses, together, left_out };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    Ok(writeln!(out)?)
}

/// Writes a verdict for a person.
pub fn write_text(verdict: &Verdict, out: &mut impl Sheet) -> Result<(), RenderError> {
    writeln!(
        out,
        "Process {}: {}  (Python {})",
        verdict.pid,
        printable(&verdict.command),
        printable(&verdict.python)
    )?;
    let steps = verdict.steps.map_or(String::new(), |steps| format!("{steps} steps, "));
    writeln!(
        out,
        "{} objects, {}; RSS {}, {}/{}. {steps}{} captures in {:.1} s; longest pause {:.1} ms, {:.1} ms in total.",
        HumanCount(verdict.objects),
        HumanBytes(verdict.bytes),
        HumanBytes(verdict.rss_bytes),
        signed_bytes(verdict.rss_bytes_per_s),
        unit(verdict),
        verdict.captures,
        verdict.duration_s,
        1e3 * verdict.pause_s.max,
        1e3 * verdict.pause_s.total,
    )?;
    write_missing(&verdict.missing, out)?;
    if !verdict.complete {
        writeln!(out, "The hunt ended early; these are the results so far.")?;
    }
    // Where all that grows is objects, the findings say where.
    let is_outside = |it: &Finding| {
        matches!(
            it.kind,
            LeakKind::Native | LeakKind::Holes | LeakKind::Mappings | LeakKind::Copied
        )
    };
    let says_where = verdict.unexplained.is_some() || verdict.findings.iter().any(is_outside);
    if let Some(growth) = verdict.growth.as_ref().filter(|_| says_where) {
        write_places(growth, verdict, out)?;
    }
    let (verdict, known) = &set_aside(verdict);
    write_whether_it_leaks(verdict, known, "during the hunt", out)?;
    for (number, finding) in verdict.findings.iter().enumerate() {
        write_finding(number + 1, finding, verdict, out)?;
    }
    if let Some(blocked) = &verdict.blocked_collector {
        write_blocked(verdict.pid, blocked, out)?;
    }
    write_other_growth(verdict, out)?;
    write_known(known, out)
}

/// Says that the collector does not finish, and where its finalizer is.
pub(super) fn write_blocked(
    pid: i32,
    blocked: &BlockedCollector,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    writeln!(
        out,
        "\nThe garbage collector of process {pid} has not finished for {:.0} s: a finalizer does not return. \
         Until it does, no reference cycle is freed.",
        blocked.for_s
    )?;
    for (depth, frame) in blocked.stack.iter().take(FRAMES).enumerate() {
        let start = if depth == 0 { "it is in" } else { "" };
        writeln!(out, "   {start:<10}{}", of_frame(frame, Paths::Short))?;
    }
    Ok(())
}

/// What growth is measured by.
pub(super) fn unit(verdict: &Verdict) -> &'static str {
    if verdict.steps.is_some() { "step" } else { "s" }
}

/// Writes a finding, with its place in the list.
pub(super) fn write_finding(
    number: usize,
    finding: &Finding,
    verdict: &Verdict,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let holder = &finding.holder;
    let culprit = out.styled(CULPRIT, &headline(finding));
    writeln!(out, "\n{number}. {culprit}")?;
    let unit = unit(verdict);
    let an_hour = match verdict.steps {
        Some(_) => String::new(),
        None => format!(", {} an hour", size(finding.bytes_per_s * HOUR)),
    };
    let objects = match finding.objects_per_s {
        0.0 => String::new(),
        rate => format!("{} objects/{unit}, ", signed_rate(rate)),
    };
    let each = match finding.bytes_per_object {
        0.0 => String::new(),
        bytes if finding.objects_per_s > 0.0 => format!("; each retains {}", size(bytes)),
        bytes => format!("; {} so far", size(bytes)),
    };
    let grew = format!("{objects}{}/{unit}", signed_bytes(finding.bytes_per_s));
    let grew = out.styled(GREW, &grew);
    writeln!(
        out,
        "   grows     {grew}{an_hour}{each}; confidence {:.1} %",
        (100.0 * finding.confidence).min(MOST_CERTAIN),
    )?;
    if !finding.processes.is_empty() {
        let rate = |it: &Leaking| format!("{} ({}/{unit})", it.pid, signed_bytes(it.bytes_per_s));
        let mut rates: Vec<String> = finding.processes.iter().take(PROCESSES).map(rate).collect();
        if let Some(more @ 1..) = finding.processes.len().checked_sub(PROCESSES) {
            rates.push(format!("{more} more"));
        }
        writeln!(out, "   in        {}", rates.join(", "))?;
    }
    let object = match holder.address {
        Some(address) => format!("  ({} at {address:#x})", printable(&holder.kind)),
        None => String::new(),
    };
    let path = out.styled(HOLDER, &short_places(&printable_code(&holder.path)));
    writeln!(out, "   held by   {path}{object}")?;
    for path in &finding.also {
        writeln!(out, "             also by {}", short_places(&printable_code(path)))?;
    }
    for feeder in finding.feeders.iter().take(STACKS) {
        write_feeder(feeder, out)?;
    }
    match finding.feeders.len().checked_sub(STACKS) {
        None | Some(0) => {}
        Some(others) => writeln!(out, "             and {others} other stacks")?,
    }
    match &*finding.feeders {
        [] => writeln!(out, "   fed by    nobody was seen: {}", why_unseen(finding, verdict))?,
        feeders if finding.kind.is_of_blocks() => {
            let blocks: u64 = feeders.iter().map(|feeder| feeder.hits).sum();
            let error = 100.0 * error_of_share(number_alike(feeders));
            let what = match finding.kind {
                LeakKind::Mappings => "mappings",
                _ => "blocks",
            };
            writeln!(
                out,
                "             estimated from {blocks} surviving {what}; shares ± {error:.0} %"
            )?;
        }
        _ => {}
    }
    write_traffic(finding, out)?;
    writeln!(out, "   likely    {}", finding.hint)?;
    Ok(writeln!(out, "   id        {}", finding.fingerprint)?)
}

/// What was put in and taken out, and by which code it can be taken out.
fn write_traffic(finding: &Finding, out: &mut impl Sheet) -> Result<(), RenderError> {
    if let Some(Traffic { put_in, taken_out }) = finding.traffic {
        let [put_in, taken_out] = [put_in, taken_out].map(HumanCount);
        writeln!(out, "   seen      {put_in} put in, {taken_out} taken out while it was watched")?;
    }
    if let Some(removal) = &finding.removal {
        writeln!(out, "   removed   by {}", removal_in_words(removal))?;
    }
    Ok(())
}

/// Why nobody was seen to feed a leak, and what to type next.
fn why_unseen(finding: &Finding, verdict: &Verdict) -> String {
    let Some(Unseen { reason, watched_s }) = finding.unseen else {
        return "nobody was watched".to_owned();
    };
    let what = match finding.kind {
        LeakKind::Mappings => "mappings that stayed",
        kind if kind.is_of_blocks() => "blocks that stayed",
        _ => "insertions",
    };
    let longer = format!("hunt for longer: --duration {}", longer(finding, verdict));
    match reason {
        Reason::TooFew => format!("0 {what} in {watched_s:.0} s watched; {longer}"),
        Reason::NoCounter if finding.kind == LeakKind::Mappings => {
            "only calls of glibc's mmap can be followed, and here is another C library".to_owned()
        }
        Reason::NoCounter if finding.kind == LeakKind::Copied => {
            "whatever uses a shared object writes to it".to_owned()
        }
        Reason::NoCounter if finding.kind.is_of_blocks() => {
            "only calls of glibc's malloc can be followed, and here another allocator is used"
                .to_owned()
        }
        Reason::NoCounter => format!(
            "no word in memory counts these objects; sample who allocates: leakspy record --view alloc \
             --duration 30 --pid {}",
            verdict.pid
        ),
        Reason::NoBreakpoints => {
            "no breakpoint could be set; the other way may work: --breakpoints ptrace".to_owned()
        }
        Reason::Replaced => {
            format!("another object took its place within {watched_s:.0} s; {longer}")
        }
        Reason::NotWatched => format!("the hunt ended before it was watched; {longer}"),
        Reason::Files => format!(
            "files do not say who adds to it; hunt the process: leakspy hunt --pid {}",
            verdict.pid
        ),
        Reason::Ended => format!("the process ended; it was watched for {watched_s:.0} s"),
    }
}

/// A duration in seconds in which a leak would be fed often enough to see by whom.
fn longer(finding: &Finding, verdict: &Verdict) -> u64 {
    /// Insertions that show who makes them.
    const ENOUGH: f64 = 5.0;
    /// The share of a hunt in which insertions are watched.
    const WATCHED: f64 = 0.25;
    /// The longest that is proposed: a day.
    const LONGEST: f64 = 86_400.0;
    let needed = match finding.objects_per_s {
        rate if rate > 0.0 => ENOUGH / rate / WATCHED,
        _ => 0.0,
    };
    let seconds = needed.max(4.0 * verdict.duration_s).min(LONGEST);
    10 * (seconds / 10.0).ceil() as u64
}

/// How many blocks of equal weight would say as much: some blocks stand for more bytes than others.
fn number_alike(feeders: &[Feeder]) -> f64 {
    let weights = |feeder: &Feeder| feeder.share.powi(2) / feeder.hits.max(1) as f64;
    1.0 / feeders.iter().map(weights).sum::<f64>().max(f64::MIN_POSITIVE)
}

/// The error of a share that is estimated from this many samples, at most: two standard deviations.
fn error_of_share(drawn: f64) -> f64 {
    (1.0 / drawn.max(1.0).sqrt()).min(1.0)
}

/// A finding in a line: what piles up where, and the line of the user's own code that feeds it.
pub(super) fn headline(finding: &Finding) -> String {
    let name = printable_code(&finding.holder.name);
    let grown = printable_code(&finding.grown);
    let objects = match &finding.function {
        Some(function) => format!("{grown} objects {}", of_frame(function, Paths::Short)),
        None => format!("{grown} objects"),
    };
    let what = match finding.kind {
        LeakKind::Container if finding.objects_per_s == 0.0 => format!("{name} ({grown}) grows"),
        LeakKind::Container | LeakKind::Tasks => format!("{objects} pile up in {name}"),
        LeakKind::Spread => format!("{objects} pile up below {name}"),
        LeakKind::Chain => format!("a chain of {grown} objects grows from {name}"),
        LeakKind::Garbage => format!("{objects} in cycles are never collected"),
        LeakKind::Uncollectable => {
            format!("{objects} pile up in cycles that no collection can free")
        }
        LeakKind::Refcount => format!("{objects} are kept alive by native code"),
        LeakKind::Threads => format!("threads running {name} pile up"),
        LeakKind::Native => "native memory grows".into(),
        LeakKind::Holes => format!("free memory that {name} cannot use grows"),
        LeakKind::Mappings => format!("memory in {name} grows"),
        LeakKind::Copied => "private memory grows: shared pages are copied".into(),
    };
    let what = match &*finding.processes {
        [] => what,
        [one] => format!("{what} in process {}", one.pid),
        several => format!("{what} in {} processes", several.len()),
    };
    let own = finding.feeders.first().and_then(|feeder| feeder.own_frame.as_ref());
    match own {
        Some(frame) => format!("{what}: {}", of_frame(frame, Paths::Short)),
        None => what,
    }
}

fn write_feeder(feeder: &Feeder, out: &mut impl Sheet) -> Result<(), RenderError> {
    for (depth, frame) in feeder.stack.iter().take(FRAMES).enumerate() {
        let start = match depth {
            0 => format!("   fed by    {:5.1} %  ", 100.0 * feeder.share),
            _ => format!("{:STACK$}", ""),
        };
        let frame_in_words = of_frame(frame, Paths::Short);
        let line = match feeder.own_frame.as_ref() == Some(frame) {
            true => out.styled(CULPRIT, &format!("{frame_in_words}  ←")),
            false => frame_in_words,
        };
        writeln!(out, "{start}{line}{}", remark(frame))?;
        write_below(frame, STACK, out)?;
    }
    match feeder.stack.len().checked_sub(FRAMES) {
        None | Some(0) => Ok(()),
        Some(rest) => Ok(writeln!(out, "{:STACK$}… {rest} more", "")?),
    }
}

pub(super) fn size(bytes: f64) -> String {
    HumanBytes(bytes.max(0.0).round() as u64).to_string()
}

/// A rate; one below one a second has a digit more.
pub(super) fn signed_rate(rate: f64) -> String {
    if rate.abs() < 1.0 { format!("{rate:+.2}") } else { format!("{rate:+.1}") }
}

pub(super) fn signed_bytes(bytes: f64) -> String {
    let sign = if bytes < 0.0 { '-' } else { '+' };
    format!("{sign}{}", size(bytes.abs()))
}

/// Draws the stacks that feed leaks, with the holder as leaf. A frame is as wide as the growth that it fed.
pub fn write_picture(
    verdicts: &[Verdict],
    first: &Verdict,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let mut profile = Profile::new();
    let mut inserts = 0;
    for verdict in verdicts {
        for finding in &verdict.findings {
            for feeder in &finding.feeders {
                inserts += feeder.hits;
                let stack = Stack {
                    frames: feeder.stack.clone(),
                    leaf: Some(finding.holder.name.as_str().into()),
                    ..Stack::default()
                };
                let weight = verdict.duration_s * feeder.share;
                let bytes = finding.bytes_per_s * weight;
                profile.add(stack, Weight { bytes, objects: finding.objects_per_s * weight });
            }
        }
    }
    let heading = Heading {
        pid: first.pid,
        command: first.command.clone(),
        python: first.python.clone(),
        view: View::Fed,
        duration: Duration::try_from_secs_f64(first.duration_s).unwrap_or_default(),
        samples: inserts,
        pauses: Pauses::default(),
        accuracy: None,
        earlier: None,
    };
    flamegraph::write(&profile, &heading, Style::default(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::finding::Holder;
    use crate::hunt::verdict::Standstill;
    use crate::python::Frame;

    fn verdict(finding: Finding) -> Verdict {
        Verdict {
            pid: 7,
            command: "app".into(),
            python: "3.12.1".into(),
            duration_s: 29.0,
            steps: None,
            captures: 4,
            complete: true,
            pause_s: Standstill::default(),
            objects: 1,
            bytes: 1,
            rss_bytes: 1,
            rss_bytes_per_s: 1.0,
            blocked_collector: None,
            findings: vec![finding],
            filling: Vec::new(),
            undecided: Vec::new(),
            missing: Vec::new(),
            growth: None,
            unexplained: None,
        }
    }

    fn finding(reason: Reason, watched_s: f64) -> Finding {
        Finding {
            kind: LeakKind::Container,
            grown: "function".into(),
            function: Some(Frame::new("closed", "chat.py", Some(20))),
            holder: Holder { name: "app.HUB".into(), ..Holder::default() },
            also: Vec::new(),
            objects_per_s: 0.1,
            bytes_per_s: 20.0,
            bytes_per_object: 200.0,
            confidence: 0.99,
            hint: "a list".into(),
            feeders: Vec::new(),
            unseen: Some(Unseen { reason, watched_s }),
            removal: None,
            traffic: None,
            processes: Vec::new(),
            fingerprint: String::new(),
            known: None,
        }
    }

    fn said(reason: Reason, watched_s: f64) -> String {
        let mut out = Vec::new();
        write_text(&verdict(finding(reason, watched_s)), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn where_nobody_was_seen_it_says_why_and_what_to_type() {
        let few = said(Reason::TooFew, 12.0);
        assert!(
            few.contains(
                "nobody was seen: 0 insertions in 12 s watched; hunt for longer: --duration 200"
            ),
            "{few}"
        );
        assert!(
            said(Reason::NoCounter, 0.0)
                .contains("leakspy record --view alloc --duration 30 --pid 7")
        );
        assert!(said(Reason::NoBreakpoints, 0.0).contains("--breakpoints ptrace"));
        assert!(said(Reason::Replaced, 3.0).contains("took its place within 3 s"));
        assert!(said(Reason::NotWatched, 0.0).contains("the hunt ended before it was watched"));
        assert!(said(Reason::Ended, 4.0).contains("the process ended; it was watched for 4 s"));
    }

    #[test]
    fn functions_are_named() {
        let said = said(Reason::TooFew, 12.0);
        assert!(said.contains("function objects closed (chat.py:20) pile up in app.HUB"), "{said}");
    }
}
