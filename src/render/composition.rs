//! The parts of the resident set: as a table with a verdict, and as JSON (docs/json.md).

use std::io::Write;
use std::iter;

use indicatif::HumanCount;
use serde::Serialize;

use super::json::SCHEMA;
use super::labels::printable;
use super::phrases::mib;
use super::{RenderError, time};
use crate::heap::{Composition, Owner, Verdict};

/// One process.
#[derive(Debug)]
pub struct Part {
    /// The parts of its resident set.
    pub composition: Composition,
    /// Which process it is.
    pub owner: Owner,
}

/// Writes a table, and the verdict as a sentence.
pub fn write_text(part: &Part, out: &mut impl Write) -> Result<(), RenderError> {
    let (c, owner) = (&part.composition, &part.owner);
    writeln!(out, "Process {}: {}", owner.pid, printable(&owner.command))?;
    if c.is_of_core() {
        writeln!(
            out,
            "Python {}. The core has {} of its memory, pages of zeros not counted. What was resident it does not \
             say.",
            owner.python,
            mib(c.rss as f64),
        )?;
    } else {
        writeln!(
            out,
            "Python {}, resident set {}. Paused for {} while {} were copied.",
            owner.python,
            mib(c.rss as f64),
            time(c.facts.pause),
            mib(c.facts.copied as f64),
        )?;
        writeln!(
            out,
            "Of the resident set, {} are private (USS) and {} shared with other processes.",
            mib(c.share.uss as f64),
            mib(c.mapped_by_others() as f64),
        )?;
    }
    writeln!(out)?;
    let malloc = c.malloc.others + c.malloc.free + c.malloc.top;
    let pymalloc = c.free_in_pymalloc() + c.pymalloc.overhead;
    let rows = [
        ("Python objects and their buffers", c.live_python()),
        ("  objects in pymalloc blocks", c.python.small_objects),
        ("  their buffers in pymalloc blocks", c.python.small_buffers),
        ("  objects in malloc blocks", c.python.large_objects),
        ("  their buffers in malloc blocks", c.python.large_buffers),
        ("Free in pymalloc, and overhead", pymalloc),
        ("  free blocks in pools in use", c.pymalloc.in_used_pools),
        ("  free pools in arenas in use", c.pymalloc.free_pools),
        ("  pool headers and remainders", c.pymalloc.overhead),
        ("Rest of malloc's heap", malloc),
        ("  in use by native code", c.malloc.others),
        ("  free between blocks", c.malloc.free),
        ("  free at the top", c.malloc.top),
        ("Thread stacks", c.stacks),
        ("Program data", c.program_data),
        ("Mapped files", c.files),
        ("Shared memory", c.shared),
        ("Other anonymous memory", c.other),
        (if c.is_of_core() { "In the core" } else { "Resident set (RSS)" }, c.rss),
    ];
    for (name, bytes) in rows {
        let share = 100.0 * bytes as f64 / c.rss.max(1) as f64;
        writeln!(out, "{name:<42}{:>12}{share:>8.1} %", mib(bytes as f64))?;
    }
    writeln!(out)?;
    for (verdict, bytes) in iter::once(c.verdict()).chain(c.besides()) {
        writeln!(out, "{}", sentence(c, verdict, bytes))?;
    }
    for remark in remarks(c) {
        writeln!(out, "{remark}")?;
    }
    Ok(())
}

/// Writes how much memory each of several processes has for itself, and what all have together.
pub fn write_shares(
    first: &Part,
    others: &[Part],
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let all = || iter::once(first).chain(others).map(|part| &part.composition);
    let total = Total::of(all());
    writeln!(out, "All {} processes together:\n", total.processes)?;
    let headings = ["private (USS)", "shared", "RSS", "PSS"];
    writeln!(out, "{:>10}{}", "process", headings.map(|name| format!("{name:>15}")).concat())?;
    let mut row = |name: &str, uss: u64, rss: u64, pss: u64| {
        let cells = [uss, rss.saturating_sub(uss), rss, pss];
        let cells = cells.map(|bytes| format!("{:>15}", mib(bytes as f64)));
        writeln!(out, "{name:>10}{}", cells.concat())
    };
    for part in iter::once(first).chain(others) {
        let Composition { rss, share, .. } = part.composition;
        row(&part.owner.pid.to_string(), share.uss, rss, share.pss)?;
    }
    row("together", total.uss_bytes, total.rss_bytes, total.pss_bytes)?;
    writeln!(
        out,
        "\nTogether they take {} (PSS): {} are private, and shared pages are divided among the processes that \
         map them. The resident sets count each shared page several times.",
        mib(total.pss_bytes as f64),
        mib(total.uss_bytes as f64),
    )?;
    Ok(())
}

/// The verdict, in a sentence.
fn sentence(c: &Composition, verdict: Verdict, bytes: u64) -> String {
    let share = 100.0 * bytes as f64 / c.rss.max(1) as f64;
    let whole = if c.is_of_core() { "the core" } else { "the resident set" };
    let amount = format!("{} ({share:.0} % of {whole})", mib(bytes as f64));
    match verdict {
        Verdict::LivePython => format!(
            "Live Python objects: {amount} are live objects and their buffers. `leakspy heap` lists them \
             by type, `leakspy record` shows what retains them."
        ),
        Verdict::Native => format!(
            "Native: {amount} were allocated with malloc by native code; no Python object is known to \
             own them."
        ),
        Verdict::Retention => format!(
            "Retention: {amount} are free in malloc's heap; malloc_trim would return them to the system."
        ),
        Verdict::Fragmentation => format!(
            "Fragmentation: {amount} are free in pymalloc's arenas, which {} live blocks in {} arenas \
             keep from being returned.",
            HumanCount(c.facts.python_blocks),
            HumanCount(c.facts.python_arenas)
        ),
        Verdict::Mappings => format!(
            "Anonymous mappings: {amount} were mapped by neither malloc nor pymalloc: by an allocator inside a \
             library, or by mmap itself."
        ),
        Verdict::Mixed => "No single part stands out.".into(),
    }
}

/// Further remarks for the reader.
fn remarks(c: &Composition) -> Vec<String> {
    let mut remarks = Vec::new();
    match (c.facts.other_allocator, c.facts.malloc_arenas) {
        (Some(other), None) => remarks.push(format!(
            "The process uses {other}, whose heap leakspy cannot read: its contents, Python's larger \
             buffers included, count as other anonymous memory."
        )),
        (Some(other), Some(_)) => remarks.push(format!(
            "The process has {other} loaded: its allocations count as other anonymous memory."
        )),
        (None, None) => remarks.push(
            "No glibc malloc heap was found: allocations from another allocator count as other \
             anonymous memory."
                .into(),
        ),
        (None, Some(_)) => {}
    }
    if c.facts.malloc_unread > 0 {
        remarks.push(format!(
            "{} of malloc's heap could not be read and count as in use by native code.",
            mib(c.facts.malloc_unread as f64)
        ));
    }
    remarks
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    first: Process<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprocesses: Option<Vec<Process<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
}

/// The sums over several processes.
#[derive(Serialize, Default)]
struct Total {
    processes: u64,
    rss_bytes: u64,
    uss_bytes: u64,
    pss_bytes: u64,
}

impl Total {
    fn of<'a>(all: impl Iterator<Item = &'a Composition>) -> Total {
        all.fold(Total::default(), |total, one| Total {
            processes: total.processes + 1,
            rss_bytes: total.rss_bytes + one.rss,
            uss_bytes: total.uss_bytes + one.share.uss,
            pss_bytes: total.pss_bytes + one.share.pss,
        })
    }
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    command: &'a str,
    python: &'a str,
    pause_s: f64,
    copied_bytes: u64,
    rss_bytes: u64,
    uss_bytes: u64,
    pss_bytes: u64,
    verdict: &'static str,
    verdict_bytes: u64,
    python_bytes: Python,
    pymalloc_bytes: Pymalloc,
    malloc_bytes: Malloc,
    stacks_bytes: u64,
    program_data_bytes: u64,
    files_bytes: u64,
    shared_bytes: u64,
    other_bytes: u64,
    trimmable_bytes: u64,
    pymalloc_arenas: u64,
    pymalloc_blocks: u64,
    malloc_arenas: Option<u64>,
    malloc_unread_bytes: u64,
    other_allocator: Option<&'static str>,
}

#[derive(Serialize)]
struct Python {
    small_objects: u64,
    small_buffers: u64,
    large_objects: u64,
    large_buffers: u64,
}

#[derive(Serialize)]
struct Pymalloc {
    in_used_pools: u64,
    free_pools: u64,
    overhead: u64,
}

#[derive(Serialize)]
struct Malloc {
    others: u64,
    others_mapped: u64,
    free: u64,
    top: u64,
}

/// Writes JSON, with that of the child processes if requested.
pub fn write_json(
    first: &Part,
    others: Option<&[Part]>,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let together =
        |others: &[Part]| Total::of(iter::once(first).chain(others).map(|part| &part.composition));
    let document = Document {
        schema: SCHEMA,
        first: process(first),
        subprocesses: others.map(|others| others.iter().map(process).collect()),
        total: others.map(together),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

fn process(part: &Part) -> Process<'_> {
    let (c, owner) = (&part.composition, &part.owner);
    let (verdict, verdict_bytes) = c.verdict();
    Process {
        pid: owner.pid,
        command: &owner.command,
        python: &owner.python,
        pause_s: c.facts.pause.as_secs_f64(),
        copied_bytes: c.facts.copied,
        rss_bytes: c.rss,
        uss_bytes: c.share.uss,
        pss_bytes: c.share.pss,
        verdict: match verdict {
            Verdict::LivePython => "live",
            Verdict::Native => "native",
            Verdict::Retention => "retention",
            Verdict::Fragmentation => "fragmentation",
            Verdict::Mappings => "mappings",
            Verdict::Mixed => "mixed",
        },
        verdict_bytes,
        python_bytes: Python {
            small_objects: c.python.small_objects,
            small_buffers: c.python.small_buffers,
            large_objects: c.python.large_objects,
            large_buffers: c.python.large_buffers,
        },
        pymalloc_bytes: Pymalloc {
            in_used_pools: c.pymalloc.in_used_pools,
            free_pools: c.pymalloc.free_pools,
            overhead: c.pymalloc.overhead,
        },
        malloc_bytes: Malloc {
            others: c.malloc.others,
            others_mapped: c.malloc.others_mapped,
            free: c.malloc.free,
            top: c.malloc.top,
        },
        stacks_bytes: c.stacks,
        program_data_bytes: c.program_data,
        files_bytes: c.files,
        shared_bytes: c.shared,
        other_bytes: c.other,
        trimmable_bytes: c.facts.trimmable,
        pymalloc_arenas: c.facts.python_arenas,
        pymalloc_blocks: c.facts.python_blocks,
        malloc_arenas: c.facts.malloc_arenas,
        malloc_unread_bytes: c.facts.malloc_unread,
        other_allocator: c.facts.other_allocator,
    }
}
