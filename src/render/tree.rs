//! The dominator tree: as lines for a terminal and as JSON (docs/json.md).

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::branches::{Extent, Row, branches};
use super::heap::table::percent;
use super::labels;
use super::labels::{printable, short_places};
use super::preamble::Head;
use super::sheet::Sheet;
use super::table::Table;
use super::{Paths, RenderError};
use crate::heap::Amount;
use crate::inspect::dominator_tree::{Line, Part};
use crate::python::Frame;
use crate::source::Provenance;

/// Writes the tree of a heap with this total.
pub fn write(
    lines: &[Line],
    total: Amount,
    provenance: &Provenance,
    extent: Extent,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let says = format!(
        "{} objects, {}; below each line what its objects retain.",
        HumanCount(total.objects.into()),
        HumanBytes(total.bytes)
    );
    provenance.heading(&says, out)?;
    writeln!(out)?;
    let row = |line: &Line| Row {
        depth: line.depth as usize,
        text: match &line.part {
            Part::Root(words) => printable(words),
            Part::Objects(words) => printable(&short_places(words)),
            Part::Frame(frame) => labels::of_frame(frame, Paths::Short),
        },
        columns: vec![
            HumanBytes(line.bytes).to_string(),
            percent(line.bytes, total.bytes),
            HumanCount(line.objects).to_string(),
            HumanCount(line.own).to_string(),
        ],
        weight: line.bytes,
    };
    let rows = lines.iter().map(row).collect();
    let mut table = Table::new(["object", "retained", "share", "objects", "here"])
        .names([0])
        .spare(&["here", "objects"]);
    let more = |weight| vec![HumanBytes(weight).to_string(), percent(weight, total.bytes)];
    for (text, columns) in branches(rows, extent, more) {
        table.add_row([text].into_iter().chain(columns));
    }
    table.write(out)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    objects: u32,
    bytes: u64,
    lines: Vec<JsonLine<'a>>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    depth: u32,
    root: Option<&'a str>,
    frame: Option<&'a Frame>,
    held: Option<&'a str>,
    retained: u64,
    objects: u64,
    own_objects: u64,
}

/// Writes the tree as JSON, down to a given depth.
pub fn write_json(
    lines: &[Line],
    total: Amount,
    provenance: &Provenance,
    depth: usize,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let shown = lines.iter().filter(|line| (line.depth as usize) < depth);
    let document = Document {
        head: provenance.head(),
        objects: total.objects,
        bytes: total.bytes,
        lines: shown.map(json_line).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

fn json_line(line: &Line) -> JsonLine<'_> {
    let (mut root, mut frame, mut held) = (None, None, None);
    match &line.part {
        Part::Root(words) => root = Some(&**words),
        Part::Frame(found) => frame = Some(found),
        Part::Objects(words) => held = Some(&**words),
    }
    JsonLine {
        depth: line.depth,
        root,
        frame,
        held,
        retained: line.bytes,
        objects: line.objects,
        own_objects: line.own,
    }
}
