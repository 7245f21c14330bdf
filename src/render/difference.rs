//! The difference between two heaps: as tables for a terminal and as JSON (docs/json.md).

use std::time::UNIX_EPOCH;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::heap::table::{lineage, signed_bytes};
use super::json::SCHEMA;
use super::labels::printable;
use super::sheet::Sheet;
use super::table::Table;
use super::{RenderError, time};
use crate::heap::ReferenceChain;
use crate::inspect::difference::{Difference, Fates, Holder, Portion, TypeFates};
use crate::source::Provenance;

/// The two heaps that were compared.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The earlier one.
    pub before: &'a Provenance,
    /// The later one.
    pub after: &'a Provenance,
    /// Whether both are of the same process.
    pub same_process: bool,
}

/// Writes up to `top` types and holders.
pub fn write(
    difference: &Difference,
    sides: Sides<'_>,
    top: usize,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let Sides { before, after, .. } = sides;
    let Fates { born, died, grown, shrunk, .. } = difference.all;
    let between = after.time.duration_since(before.time).unwrap_or_default();
    writeln!(out, "Process {}: {}", after.owner.pid, printable(&after.owner.command))?;
    writeln!(
        out,
        "Python {}. In {}: {}.",
        printable(&after.owner.python),
        time(between),
        signed_bytes(difference.all.growth())
    )?;
    writeln!(
        out,
        "Born {}, died {}; {} grew by {}, {} shrank by {}.",
        amount(born),
        amount(died),
        HumanCount(grown.objects),
        HumanBytes(grown.bytes),
        HumanCount(shrunk.objects),
        HumanBytes(shrunk.bytes),
    )?;
    if !difference.types.is_empty() {
        writeln!(out)?;
        write_types(&difference.types, top, out)?;
    }
    if !difference.holders.is_empty() {
        writeln!(out)?;
        write_holders(&difference.holders, top, out)?;
    }
    Ok(())
}

fn amount(portion: Portion) -> String {
    format!("{} objects ({})", HumanCount(portion.objects), HumanBytes(portion.bytes))
}

fn write_types(types: &[TypeFates], top: usize, out: &mut impl Sheet) -> Result<(), RenderError> {
    let names = ["type", "born", "died", "grown", "bytes", "count now", "bytes now"];
    let mut table = Table::new(names).names([0]).spare(&["bytes now", "count now", "grown"]);
    for TypeFates { name, fates } in types.iter().take(top) {
        table.add_row([
            printable(name),
            HumanCount(fates.born.objects).to_string(),
            HumanCount(fates.died.objects).to_string(),
            HumanCount(fates.grown.objects).to_string(),
            signed_bytes(fates.growth()),
            HumanCount(fates.after.objects).to_string(),
            HumanBytes(fates.after.bytes).to_string(),
        ]);
    }
    table.write(out)?;
    match types.len().saturating_sub(top) {
        0 => Ok(()),
        more => Ok(writeln!(out, "({} more)", HumanCount(more as u64))?),
    }
}

fn write_holders(holders: &[Holder], top: usize, out: &mut impl Sheet) -> Result<(), RenderError> {
    let mut table =
        Table::new(["born", "bytes", "mostly", "below", "held by"]).texts([2, 4]).names([3]);
    for holder in holders.iter().take(top) {
        let kinds = holder.held.iter().map(|(name, count)| match count {
            1 => printable(name),
            count => format!("{} {}", HumanCount(*count), printable(name)),
        });
        let object = match holder.address {
            Some(address) => format!("{} {address:#x}", printable(&holder.kind)),
            None => "(root)".to_owned(),
        };
        table.add_row([
            HumanCount(holder.born.objects).to_string(),
            HumanBytes(holder.born.bytes).to_string(),
            kinds.collect::<Vec<_>>().join(", "),
            object,
            lineage(&holder.lineage),
        ]);
    }
    table.write(out)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    before: Side<'a>,
    after: Side<'a>,
    same_process: bool,
    #[serde(flatten)]
    all: JsonFates,
    types: Vec<JsonType<'a>>,
    holders: Vec<JsonHolder<'a>>,
}

#[derive(Serialize)]
struct Side<'a> {
    pid: i32,
    command: &'a str,
    python: &'a str,
    time_s: f64,
}

#[derive(Serialize)]
struct JsonFates {
    count_before: u64,
    bytes_before: u64,
    count_after: u64,
    bytes_after: u64,
    born_count: u64,
    born_bytes: u64,
    died_count: u64,
    died_bytes: u64,
    grown_count: u64,
    grown_bytes: u64,
    shrunk_count: u64,
    shrunk_bytes: u64,
}

#[derive(Serialize)]
struct JsonType<'a> {
    r#type: &'a str,
    #[serde(flatten)]
    fates: JsonFates,
}

#[derive(Serialize)]
struct JsonHolder<'a> {
    address: Option<u64>,
    r#type: Option<&'a str>,
    #[serde(flatten)]
    lineage: &'a ReferenceChain,
    born_count: u64,
    born_bytes: u64,
    grown_bytes: u64,
    held: Vec<Held<'a>>,
}

#[derive(Serialize)]
struct Held<'a> {
    r#type: &'a str,
    count: u64,
}

impl From<Fates> for JsonFates {
    fn from(fates: Fates) -> JsonFates {
        let Fates { before, after, born, died, grown, shrunk } = fates;
        JsonFates {
            count_before: before.objects,
            bytes_before: before.bytes,
            count_after: after.objects,
            bytes_after: after.bytes,
            born_count: born.objects,
            born_bytes: born.bytes,
            died_count: died.objects,
            died_bytes: died.bytes,
            grown_count: grown.objects,
            grown_bytes: grown.bytes,
            shrunk_count: shrunk.objects,
            shrunk_bytes: shrunk.bytes,
        }
    }
}

impl<'a> From<&'a Holder> for JsonHolder<'a> {
    fn from(holder: &'a Holder) -> JsonHolder<'a> {
        let held = holder.held.iter().map(|(name, count)| Held { r#type: name, count: *count });
        JsonHolder {
            address: holder.address,
            r#type: holder.address.map(|_| holder.kind.as_str()),
            lineage: &holder.lineage,
            born_count: holder.born.objects,
            born_bytes: holder.born.bytes,
            grown_bytes: holder.grown,
            held: held.collect(),
        }
    }
}

/// Writes the difference as JSON: all types and the holders that were described.
pub fn write_json(
    difference: &Difference,
    sides: Sides<'_>,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let side = |of: &'_ Provenance| of.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let [before, after] = [sides.before, sides.after].map(|of| Side {
        pid: of.owner.pid,
        command: &of.owner.command,
        python: &of.owner.python,
        time_s: side(of).as_secs_f64(),
    });
    let document = Document {
        schema: SCHEMA,
        before,
        after,
        same_process: sides.same_process,
        all: difference.all.into(),
        types: difference
            .types
            .iter()
            .map(|one| JsonType { r#type: &one.name, fates: one.fates.into() })
            .collect(),
        holders: difference.holders.iter().map(JsonHolder::from).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
