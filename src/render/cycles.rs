//! The cycles of a heap: as a table for a terminal and as JSON (docs/json.md).

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::labels::printable;
use super::preamble::Head;
use super::sheet::Sheet;
use super::table::Table;
use super::{RenderError, time};
use crate::inspect::cycles::{Cycles, Fate, Pattern};
use crate::python::collector::{Collections, Collector};
use crate::source::Provenance;

/// How many types of a cycle are named.
const MOST_TYPES: usize = 4;

impl Fate {
    /// A word for the fate.
    fn word(self) -> &'static str {
        match self {
            Fate::Garbage => "garbage",
            Fate::OneEntry => "one entry",
            Fate::Held => "held",
        }
    }
}

/// Writes the cycles, up to a number of patterns. `uptime` is the time on the process's monotonic clock, if
/// known.
pub fn write(
    cycles: &Cycles,
    provenance: &Provenance,
    uptime: Option<Duration>,
    top: usize,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let says = format!(
        "{} cycles, {} of them garbage: {} objects, {} retained.",
        HumanCount(cycles.count),
        HumanCount(cycles.garbage_count),
        HumanCount(cycles.garbage.objects.into()),
        HumanBytes(cycles.garbage.bytes),
    );
    provenance.heading(&says, out)?;
    for collector in &cycles.collectors {
        writeln!(out)?;
        write_collector(collector, uptime, out)?;
    }
    if !cycles.uncollectable.is_empty() {
        let types = types(&cycles.uncollectable, usize::MAX);
        writeln!(out, "In gc.garbage, never freed: {types}.")?;
    }
    if cycles.patterns.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let names = ["fate", "cycles", "objects", "bytes", "retained", "made of", "held by"];
    let mut table = Table::new(names).names([0]).texts([5, 6]).spare(&["bytes", "objects"]);
    for pattern in cycles.patterns.iter().take(top) {
        table.add_row(row(pattern));
    }
    table.write(out)?;
    if let Some(rest) = cycles.patterns.len().checked_sub(top).filter(|&rest| rest > 0) {
        writeln!(out, "({} more)", HumanCount(rest as u64))?;
    }
    for pattern in &cycles.patterns {
        remark(pattern, out)?;
    }
    Ok(())
}

fn row(pattern: &Pattern) -> Vec<String> {
    vec![
        pattern.fate.word().to_owned(),
        HumanCount(pattern.count).to_string(),
        HumanCount(pattern.objects).to_string(),
        HumanBytes(pattern.bytes).to_string(),
        HumanBytes(pattern.retained).to_string(),
        types(&pattern.types, MOST_TYPES),
        pattern.entry.as_deref().map(printable).unwrap_or_default(),
    ]
}

/// Remarks on finalizers of garbage cycles.
fn remark(pattern: &Pattern, out: &mut impl Sheet) -> Result<(), RenderError> {
    for name in &pattern.blocking {
        let name = printable(name);
        writeln!(out, "{name} has an old finalizer (tp_del): its cycles are never freed.")?;
    }
    if pattern.fate == Fate::Garbage {
        for name in &pattern.finalizers {
            let name = printable(name);
            writeln!(out, "{name} has a __del__, which runs when its cycles are collected.")?;
        }
    }
    Ok(())
}

/// Types with counts: `2 app.Node, list, 3 more types`.
fn types(types: &[(String, u64)], most: usize) -> String {
    let one = |(name, count): &(String, u64)| match count {
        1 => printable(name),
        count => format!("{} {}", HumanCount(*count), printable(name)),
    };
    let mut words: Vec<String> = types.iter().take(most).map(one).collect();
    match types.len().saturating_sub(most) {
        0 => {}
        1 => words.push("1 more type".to_owned()),
        more => words.push(format!("{more} more types")),
    }
    words.join(", ")
}

fn write_collector(
    collector: &Collector,
    uptime: Option<Duration>,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let state = if collector.enabled { "on" } else { "off (gc.disable())" };
    write!(out, "The collector is {state}; {} objects are frozen", HumanCount(collector.frozen))?;
    match collector.debug {
        0 => writeln!(out, ".")?,
        _ if collector.saves_all() => {
            writeln!(out, ", and everything it finds goes to gc.garbage (gc.DEBUG_SAVEALL).")?;
        }
        flags => writeln!(out, ", its debug flags are {flags:#x}.")?,
    }
    let names =
        ["generation", "count", "threshold", "collections", "collected", "uncollectable", "last"];
    let mut table = Table::new(names).names([0]).spare(&["threshold", "collections"]);
    let generations = ["young", "middle", "old"];
    let rows = generations.iter().zip(&collector.counts).zip(&collector.thresholds);
    for (((name, count), threshold), sums) in rows.zip(&collector.collections) {
        table.add_row([
            (*name).to_owned(),
            count.to_string(),
            threshold.to_string(),
            HumanCount(sums.count).to_string(),
            HumanCount(sums.collected).to_string(),
            HumanCount(sums.uncollectable).to_string(),
            last(sums, uptime).unwrap_or_default(),
        ]);
    }
    table.write(out)
}

/// When the last collection was, and how long it took.
fn last(collections: &Collections, uptime: Option<Duration>) -> Option<String> {
    let last = collections.last?;
    let ago = uptime?.checked_sub(last.ended)?;
    Some(format!("{} ago, took {}", time(ago), time(last.took)))
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    cycles: u64,
    garbage_cycles: u64,
    garbage_objects: u32,
    garbage_bytes: u64,
    patterns: Vec<JsonPattern<'a>>,
    uncollectable: Vec<Type<'a>>,
    collectors: Vec<JsonCollector>,
}

#[derive(Serialize)]
struct Type<'a> {
    r#type: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct JsonPattern<'a> {
    fate: &'a str,
    types: Vec<Type<'a>>,
    cycles: u64,
    objects: u64,
    bytes: u64,
    retained: u64,
    entry: Option<&'a str>,
    finalizers: &'a [String],
    blocking: &'a [String],
    address: u64,
}

#[derive(Serialize)]
struct JsonCollector {
    enabled: bool,
    debug: u32,
    frozen: u64,
    generations: Vec<JsonGeneration>,
}

#[derive(Serialize)]
struct JsonGeneration {
    count: i32,
    threshold: i32,
    collections: u64,
    collected: u64,
    uncollectable: u64,
    last_ago_s: Option<f64>,
    last_took_s: Option<f64>,
}

/// Writes the cycles as JSON.
pub fn write_json(
    cycles: &Cycles,
    provenance: &Provenance,
    uptime: Option<Duration>,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let document = Document {
        head: provenance.head(),
        cycles: cycles.count,
        garbage_cycles: cycles.garbage_count,
        garbage_objects: cycles.garbage.objects,
        garbage_bytes: cycles.garbage.bytes,
        patterns: cycles.patterns.iter().map(json_pattern).collect(),
        uncollectable: json_types(&cycles.uncollectable),
        collectors: cycles.collectors.iter().map(|one| json_collector(one, uptime)).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

fn json_types(types: &[(String, u64)]) -> Vec<Type<'_>> {
    types.iter().map(|(name, count)| Type { r#type: name, count: *count }).collect()
}

fn json_pattern(pattern: &Pattern) -> JsonPattern<'_> {
    JsonPattern {
        fate: pattern.fate.word(),
        types: json_types(&pattern.types),
        cycles: pattern.count,
        objects: pattern.objects,
        bytes: pattern.bytes,
        retained: pattern.retained,
        entry: pattern.entry.as_deref(),
        finalizers: &pattern.finalizers,
        blocking: &pattern.blocking,
        address: pattern.address,
    }
}

fn json_collector(collector: &Collector, uptime: Option<Duration>) -> JsonCollector {
    let generation = |index: usize| {
        let sums = collector.collections.get(index).copied().unwrap_or_default();
        let ago = sums.last.zip(uptime).and_then(|(last, now)| now.checked_sub(last.ended));
        JsonGeneration {
            count: collector.counts.get(index).copied().unwrap_or_default(),
            threshold: collector.thresholds.get(index).copied().unwrap_or_default(),
            collections: sums.count,
            collected: sums.collected,
            uncollectable: sums.uncollectable,
            last_ago_s: ago.map(|ago| ago.as_secs_f64()),
            last_took_s: sums.last.map(|last| last.took.as_secs_f64()),
        }
    };
    JsonCollector {
        enabled: collector.enabled,
        debug: collector.debug,
        frozen: collector.frozen,
        generations: (0..3).map(generation).collect(),
    }
}
