//! Heaps as tables for a terminal: a heading, a row per group, the largest objects, the changes.

use std::cmp::Reverse;

use indicatif::{HumanBytes, HumanCount};

use crate::heap::figures::changes::Change;
use crate::heap::{Group, LargeObject, ReferenceChain, Summary};
use crate::python::standard_library::{is_of_python, is_type_of_python};
use crate::render::labels;
use crate::render::labels::{printable, printable_code};
use crate::render::sheet::Sheet;
use crate::render::table::Table;
use crate::render::{Paths, RenderError, time};

/// The columns and rows of a table of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// What objects are grouped by: `type`.
    pub group: &'static str,
    /// The maximum number of groups.
    pub top: usize,
    /// Their order, if not their own.
    pub sort: Option<Sort>,
    /// Leaves out those that are Python's. Only types and modules can be told apart.
    pub own: bool,
}

/// By what groups are sorted, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// What they retain.
    Retained,
    /// The number of their objects.
    Count,
    /// The sizes of their objects alone.
    Shallow,
}

impl Columns {
    /// The groups that are shown, in their order, and what the others are together.
    pub fn choose<'a>(&self, groups: &'a [Group]) -> (Vec<&'a Group>, Vec<&'a Group>) {
        let is_of_python = if self.group == "module" { is_of_python } else { is_type_of_python };
        let is_shown = |group: &&Group| !self.own || !is_of_python(&group.name);
        let (mut shown, left_out): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(is_shown);
        let size = |group: &&Group| match self.sort {
            Some(Sort::Retained) => group.retained.unwrap_or_default(),
            Some(Sort::Count) => group.count,
            Some(Sort::Shallow) => group.shallow,
            // Keeps their order.
            None => 0,
        };
        shown.sort_by_key(|group| Reverse(size(group)));
        (shown, left_out)
    }
}

/// Writes the figures of a heap.
pub fn write(summary: &Summary, columns: Columns, out: &mut impl Sheet) -> Result<(), RenderError> {
    heading(summary, out)?;
    writeln!(out)?;
    let groups = summary.groups.as_ref().unwrap_or(&summary.types);
    let total = summary.total();
    let mut table =
        Table::new([columns.group, "count", "shallow", "external", "retained", "share"])
            .names([0])
            .spare(&["external", "shallow", "share"]);
    let (shown, of_python) = columns.choose(groups);
    for group in shown.iter().take(columns.top) {
        table.add_row(row(group, printable(&group.name), &total));
    }
    let rest = shown.get(columns.top..).unwrap_or_default();
    for (rest, what) in [(rest, "more"), (&of_python, "of Python")] {
        if !rest.is_empty() {
            let count = HumanCount(rest.len() as u64);
            table.add_row(row(&sum(rest), format!("({count} {what})"), &total));
        }
    }
    table.write(out)?;
    if !summary.largest.is_empty() {
        writeln!(out)?;
        write_largest(&summary.largest, out)?;
    }
    Ok(())
}

/// The process, and the totals.
fn heading(summary: &Summary, out: &mut impl Sheet) -> Result<(), RenderError> {
    let total = summary.total();
    writeln!(out, "Process {}: {}", summary.pid, printable(&summary.command))?;
    writeln!(
        out,
        "Python {}, {} objects, {}: {} shallow (sys.getsizeof), {} in buffers and attributes.",
        printable(&summary.python),
        HumanCount(total.count),
        HumanBytes(total.bytes()),
        HumanBytes(total.shallow),
        HumanBytes(total.external),
    )?;
    if summary.rss > 0 {
        writeln!(
            out,
            "That is {} of the resident set, {}.",
            percent(total.bytes(), summary.rss),
            HumanBytes(summary.rss),
        )?;
    }
    match (summary.pause.is_zero(), summary.copied) {
        (true, 0) => writeln!(out, "The target was never paused.")?,
        (true, copied) => {
            let copied = HumanBytes(copied);
            writeln!(out, "The target was never paused; {copied} were copied.")?;
        }
        (false, copied) => {
            write!(out, "Paused for {} ", time(summary.pause))?;
            writeln!(out, "while {} were copied.", HumanBytes(copied))?;
        }
    }
    // If the process was paused, they are only objects that were just being made.
    if summary.inconsistencies > 0 && summary.pause.is_zero() {
        writeln!(
            out,
            "{} references or objects were just being changed and are inconsistent.",
            HumanCount(summary.inconsistencies)
        )?;
    }
    Ok(())
}

/// Groups as one, which retains nobody knows what.
fn sum(groups: &[&Group]) -> Group {
    let mut sum = Group::default();
    for group in groups {
        sum.count = sum.count.saturating_add(group.count);
        sum.shallow = sum.shallow.saturating_add(group.shallow);
        sum.external = sum.external.saturating_add(group.external);
    }
    sum
}

fn row(group: &Group, name: String, total: &Group) -> Vec<String> {
    vec![
        name,
        HumanCount(group.count).to_string(),
        HumanBytes(group.shallow).to_string(),
        HumanBytes(group.external).to_string(),
        group.retained.map(|bytes| HumanBytes(bytes).to_string()).unwrap_or_default(),
        percent(group.bytes(), total.bytes()),
    ]
}

fn write_largest(objects: &[LargeObject], out: &mut impl Sheet) -> Result<(), RenderError> {
    let mut table = Table::new(["retained", "objects", "object", "held by"])
        .names([2])
        .texts([3])
        .spare(&["objects"]);
    for object in objects {
        table.add_row([
            HumanBytes(object.retained).to_string(),
            HumanCount(object.objects.into()).to_string(),
            format!("{} {:#x}", printable(&object.kind), object.address),
            lineage(&object.lineage),
        ]);
    }
    table.write(out)
}

/// A path in one line.
pub(in crate::render) fn lineage(lineage: &ReferenceChain) -> String {
    let frame = lineage.frame.as_ref().map(|frame| labels::of_frame(frame, Paths::Short));
    let path = lineage.path.iter().map(|link| printable_code(link));
    let parts = [printable(&lineage.root)].into_iter().chain(frame).chain(path);
    parts.collect::<Vec<_>>().join(" › ")
}

/// Writes what changed between two heaps.
pub fn write_changes(
    before: &Summary,
    after: &Summary,
    changes: &[Change],
    columns: Columns,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let (old, new) = (before.total(), after.total());
    let between = after.time.duration_since(before.time).unwrap_or_default();
    let growth = |before: u64, after: u64| signed_bytes(i128::from(after) - i128::from(before));
    writeln!(out, "Process {}: {}", after.pid, printable(&after.command))?;
    writeln!(
        out,
        "In {}: {} objects, {}; resident set {}.",
        time(between),
        signed_count(i128::from(new.count) - i128::from(old.count)),
        growth(old.bytes(), new.bytes()),
        growth(before.rss, after.rss),
    )?;
    writeln!(out)?;
    let mut table =
        Table::new([columns.group, "count", "bytes", "retained", "count now", "bytes now"])
            .names([0])
            .spare(&["bytes now", "count now", "retained"]);
    for change in changes.iter().take(columns.top) {
        table.add_row([
            printable(change.name()),
            signed_count(change.count().into()),
            signed_bytes(change.bytes().into()),
            change.retained().map(|bytes| signed_bytes(bytes.into())).unwrap_or_default(),
            HumanCount(change.after.count).to_string(),
            HumanBytes(change.after.bytes()).to_string(),
        ]);
    }
    table.write(out)?;
    if let Some(rest) = changes.len().checked_sub(columns.top).filter(|&rest| rest > 0) {
        writeln!(out, "({} more)", HumanCount(rest as u64))?;
    }
    Ok(())
}

/// A part of a whole.
pub(in crate::render) fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "0 %".to_owned(),
        all => format!("{:.1} %", 100.0 * part as f64 / all as f64),
    }
}

fn signed_count(count: i128) -> String {
    signed(count, HumanCount(magnitude(count)))
}

pub(in crate::render) fn signed_bytes(bytes: i128) -> String {
    signed(bytes, HumanBytes(magnitude(bytes)))
}

fn magnitude(number: i128) -> u64 {
    u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)
}

fn signed(number: i128, amount: impl std::fmt::Display) -> String {
    match number {
        0 => "0".to_owned(),
        1.. => format!("+{amount}"),
        _ => format!("-{amount}"),
    }
}
