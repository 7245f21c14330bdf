//! The verdict on several processes, for a person: a line for each, and what they leak together.

use indicatif::{HumanBytes, HumanCount};

use super::files::write_missing;
use super::growing::{write_other_growth, write_whether_it_leaks};
use super::hunt::{signed_bytes, unit, write_blocked, write_finding};
use super::known_leaks::{set_aside, write_known};
use super::labels::printable;
use super::sheet::Sheet;
use super::table::Table;
use super::{RenderError, phrases};
use crate::hunt::together::together;
use crate::hunt::verdict::{LeftOut, Verdict, WhyLeftOut};

/// Writes the verdicts as one.
pub fn write_text(
    verdicts: &[Verdict],
    left_out: &[LeftOut],
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let Some(all) = together(verdicts) else { return Ok(()) };
    let children = match verdicts.len().saturating_sub(1) {
        1 => "1 child process".to_owned(),
        several => format!("{several} child processes"),
    };
    writeln!(
        out,
        "Process {}: {}  (Python {}) and {children}, {:.1} s:",
        all.pid,
        printable(&all.command),
        printable(&all.python),
        all.duration_s,
    )?;
    let names =
        ["process", "objects", "heap", "RSS", "RSS grows", "captures", "longest pause", "in total"];
    let mut table = Table::new(names).spare(&["captures", "heap", "longest pause"]);
    for verdict in verdicts {
        table.add_row(row(verdict.pid.to_string(), verdict));
    }
    table.add_row(row("together".to_owned(), &all));
    table.write(out)?;
    let partly: Vec<i32> = verdicts.iter().filter(|it| !it.complete).map(|it| it.pid).collect();
    if !partly.is_empty() {
        writeln!(out, "The hunt ended early in {}; these are the results so far.", named(&partly))?;
    }
    write_left_out(left_out, out)?;
    write_missing(&all.missing, out)?;
    let (all, known) = &set_aside(&all);
    write_whether_it_leaks(all, known, "in any of these processes", out)?;
    for (number, finding) in all.findings.iter().enumerate() {
        // What to type next is about the process that leaks most.
        let pid = finding.processes.first().map(|it| it.pid);
        let of_process = verdicts.iter().find(|it| Some(it.pid) == pid).unwrap_or(all);
        write_finding(number + 1, finding, of_process, out)?;
    }
    for verdict in verdicts {
        if let Some(blocked) = &verdict.blocked_collector {
            write_blocked(verdict.pid, blocked, out)?;
        }
    }
    write_other_growth(all, out)?;
    write_known(known, out)
}

fn row(name: String, verdict: &Verdict) -> [String; 8] {
    let pause = |seconds: f64| format!("{:.1} ms", 1e3 * seconds);
    [
        name,
        HumanCount(verdict.objects).to_string(),
        HumanBytes(verdict.bytes).to_string(),
        HumanBytes(verdict.rss_bytes).to_string(),
        format!("{}/{}", signed_bytes(verdict.rss_bytes_per_s), unit(verdict)),
        verdict.captures.to_string(),
        pause(verdict.pause_s.max),
        pause(verdict.pause_s.total),
    ]
}

/// Writes which processes have no verdict, and why.
pub fn write_left_out(left_out: &[LeftOut], out: &mut impl Sheet) -> Result<(), RenderError> {
    for (reason, words) in [
        (WhyLeftOut::Ended, "ended during the hunt"),
        (WhyLeftOut::Late, "started too late"),
        (WhyLeftOut::Many, "too many at a time: `--pid` hunts one of them"),
        (WhyLeftOut::Failed, "could not be observed"),
    ] {
        let of_reason = left_out.iter().filter(|it| it.reason == reason);
        let pids: Vec<i32> = of_reason.map(|it| it.pid).collect();
        if !pids.is_empty() {
            writeln!(out, "Without a verdict: {} ({words}).", named(&pids))?;
        }
    }
    Ok(())
}

fn named(pids: &[i32]) -> String {
    let noun = if pids.len() == 1 { "process" } else { "processes" };
    format!("{noun} {}", phrases::pids(pids))
}
