//! The verdict of a hunt: for a person, as JSON, and as a flamegraph of the stacks that feed leaks.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::labels::{of_frame, printable};
use super::{Heading, Paths, Pauses, RenderError, Style, View, flamegraph};
use crate::hunt::finding::{Feeder, Finding, LeakKind};
use crate::hunt::verdict::Verdict;
use crate::profile::{Profile, Stack, Weight};

/// How many stacks of a leak are shown, and how many frames of each.
const STACKS: usize = 3;
const FRAMES: usize = 6;
const HOUR: f64 = 3600.0;
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
}

/// Writes a verdict as JSON, with those of the children, if any.
pub fn write_json(
    verdict: &Verdict,
    subprocesses: Option<&[Verdict]>,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    serde_json::to_writer_pretty(&mut *out, &Report { schema: SCHEMA, verdict, subprocesses })?;
    Ok(writeln!(out)?)
}

/// Writes a verdict for a person.
pub fn write_text(verdict: &Verdict, out: &mut impl Write) -> Result<(), RenderError> {
    writeln!(
        out,
        "Process {}: {}  (Python {})",
        verdict.pid,
        printable(&verdict.command),
        printable(&verdict.python)
    )?;
    writeln!(
        out,
        "{} objects, {}; RSS {}, {}/s. {} captures in {:.1} s; longest pause {:.1} ms, {:.1} ms in total.",
        HumanCount(verdict.objects),
        HumanBytes(verdict.bytes),
        HumanBytes(verdict.rss_bytes),
        signed_bytes(verdict.rss_bytes_per_s),
        verdict.captures,
        verdict.duration_s,
        1e3 * verdict.pause_s.max,
        1e3 * verdict.pause_s.total,
    )?;
    if !verdict.complete {
        writeln!(out, "The hunt ended early; these are the results so far.")?;
    }
    if verdict.findings.is_empty() {
        writeln!(out, "\nNo leak found: nothing grew steadily during the hunt.")?;
    }
    for (number, finding) in verdict.findings.iter().enumerate() {
        write_finding(number + 1, finding, out)?;
    }
    Ok(())
}

fn write_finding(
    number: usize,
    finding: &Finding,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let holder = &finding.holder;
    writeln!(out, "\n{number}. {}", headline(finding))?;
    let objects = match finding.objects_per_s {
        0.0 => String::new(),
        rate => format!("{rate:+.1} objects/s, "),
    };
    let each = match finding.bytes_per_object {
        0.0 => String::new(),
        bytes if finding.objects_per_s > 0.0 => format!("; each retains {}", size(bytes)),
        bytes => format!("; {} so far", size(bytes)),
    };
    writeln!(
        out,
        "   grows     {objects}{}/s, {} an hour{each}; confidence {:.1} %",
        signed_bytes(finding.bytes_per_s),
        size(finding.bytes_per_s * HOUR),
        100.0 * finding.confidence,
    )?;
    let object = match holder.address {
        Some(address) => format!("  ({} at {address:#x})", printable(&holder.kind)),
        None => String::new(),
    };
    writeln!(out, "   held by   {}{object}", printable(&holder.path))?;
    for path in &finding.also {
        writeln!(out, "             also by {}", printable(path))?;
    }
    for feeder in finding.feeders.iter().take(STACKS) {
        write_feeder(feeder, out)?;
    }
    match finding.feeders.len().checked_sub(STACKS) {
        None | Some(0) => {}
        Some(others) => writeln!(out, "             and {others} other stacks")?,
    }
    match &*finding.feeders {
        [] => writeln!(out, "   fed by    (no insertion observed)")?,
        feeders if finding.kind == LeakKind::Native => {
            let blocks: u64 = feeders.iter().map(|feeder| feeder.hits).sum();
            let error = 100.0 * error_of_share(blocks);
            writeln!(
                out,
                "             estimated from {blocks} surviving blocks; shares ± {error:.0} %"
            )?;
        }
        _ => {}
    }
    Ok(writeln!(out, "   likely    {}", finding.hint)?)
}

/// The error of a share that is estimated from this many samples, at most: two standard deviations.
fn error_of_share(drawn: u64) -> f64 {
    (1.0 / (drawn.max(1) as f64).sqrt()).min(1.0)
}

/// A finding in a line: what piles up where, and the line of the user's own code that feeds it.
fn headline(finding: &Finding) -> String {
    let (grown, name) = (printable(&finding.grown), printable(&finding.holder.name));
    let what = match finding.kind {
        LeakKind::Container if finding.objects_per_s == 0.0 => format!("{name} ({grown}) grows"),
        LeakKind::Container | LeakKind::Tasks => format!("{grown} objects pile up in {name}"),
        LeakKind::Spread => format!("{grown} objects pile up below {name}"),
        LeakKind::Chain => format!("a chain of {grown} objects grows from {name}"),
        LeakKind::Garbage => format!("{grown} objects in cycles are never collected"),
        LeakKind::Refcount => format!("{grown} objects are kept alive by native code"),
        LeakKind::Threads => format!("threads running {name} pile up"),
        LeakKind::Native => "native memory grows".into(),
    };
    let own = finding.feeders.first().and_then(|feeder| feeder.own_frame.as_ref());
    match own {
        Some(frame) => format!("{what}: {}", of_frame(frame, Paths::Short)),
        None => what,
    }
}

fn write_feeder(feeder: &Feeder, out: &mut impl Write) -> Result<(), RenderError> {
    for (depth, frame) in feeder.stack.iter().take(FRAMES).enumerate() {
        let start = match depth {
            0 => format!("   fed by    {:5.1} %  ", 100.0 * feeder.share),
            _ => format!("{:23}", ""),
        };
        let own = if feeder.own_frame.as_ref() == Some(frame) { "  ←" } else { "" };
        writeln!(out, "{start}{}{own}", of_frame(frame, Paths::Short))?;
    }
    match feeder.stack.len().checked_sub(FRAMES) {
        None | Some(0) => Ok(()),
        Some(rest) => Ok(writeln!(out, "{:23}… {rest} more", "")?),
    }
}

fn size(bytes: f64) -> String {
    HumanBytes(bytes.max(0.0).round() as u64).to_string()
}

fn signed_bytes(bytes: f64) -> String {
    let sign = if bytes < 0.0 { '-' } else { '+' };
    format!("{sign}{}", size(bytes.abs()))
}

/// Draws the stacks that feed leaks, with the holder as leaf. A frame is as wide as the growth that it fed.
pub fn write_picture(
    verdicts: &[Verdict],
    first: &Verdict,
    out: &mut impl Write,
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
        error: None,
        earlier: None,
    };
    flamegraph::write(&profile, &heading, Style::default(), out)
}
