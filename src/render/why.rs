//! Why objects are alive: as a tree for a terminal and as JSON (docs/json.md).

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::branches::{Extent, Row, branches};
use super::fitting::width;
use super::labels;
use super::labels::{printable, printable_code};
use super::preamble::Head;
use super::sheet::Sheet;
use super::source_lines::beside;
use super::table::{GAP, Table};
use super::{Paths, RenderError};
use crate::inspect::why::{Line, What, Why};
use crate::python::Frame;
use crate::source::Provenance;

/// The names of the columns. All but the first are figures.
const COLUMNS: [&str; 4] = ["held by", "paths", "objects", "retained"];

/// Writes why objects are alive.
pub fn write(
    why: &Why,
    provenance: &Provenance,
    extent: Extent,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    provenance.heading(&sentence(why), out)?;
    for remark in remarks(why) {
        writeln!(out, "{remark}")?;
    }
    if why.lines.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let room = out.width().map(|width| width.saturating_sub(width_of_figures(&why.lines)));
    let rows = why.lines.iter().map(|line| row(line, room)).collect();
    let mut table = Table::new(COLUMNS).names([0]);
    let more = |paths| vec![HumanCount(paths).to_string()];
    for (text, columns) in branches(rows, extent, more) {
        table.add_row([text].into_iter().chain(columns));
    }
    table.write(out)
}

/// What was asked for, and its retained size.
fn sentence(why: &Why) -> String {
    let retained = HumanBytes(why.retained.bytes);
    match (&why.kind, why.asked) {
        (Some(kind), 1) => {
            format!("This {} retains {retained}.", printable(kind))
        }
        (None, 1) => format!("This object retains {retained}."),
        (Some(kind), count) => format!(
            "{} objects of type {} together retain {retained}.",
            HumanCount(count),
            printable(kind)
        ),
        (None, count) => format!("{} objects together retain {retained}.", HumanCount(count)),
    }
}

/// Remarks about the paths.
fn remarks(why: &Why) -> Vec<String> {
    let mut remarks = Vec::new();
    if why.sampled < why.asked {
        remarks.push(format!(
            "Paths were searched to {} of them, spread over the heap.",
            HumanCount(why.sampled)
        ));
    }
    match why.unreached {
        0 => {}
        1 if why.sampled == 1 => remarks.push("Nothing else holds it.".to_owned()),
        count => remarks.push(format!("Nothing else holds {} of them.", HumanCount(count))),
    }
    remarks
}

fn row(line: &Line, room: Option<usize>) -> Row {
    let branches = 2 * line.depth as usize;
    let text = match &line.what {
        What::Root(words) => printable(words),
        What::Frame(frame) => {
            let room = room.map(|room| room.saturating_sub(branches));
            beside(labels::of_frame(frame, Paths::Short), frame, room)
        }
        What::Objects { link, kind } => {
            let link = link.as_deref().map(printable_code);
            let address = line.address.filter(|_| line.objects == 1);
            let address = address.map(|address| format!("{address:#x}"));
            let value = line.value.as_deref().map(printable_code);
            let what = |name: Option<String>, address: Option<String>| {
                let parts = [link.clone(), Some(printable(kind)), name, address, value.clone()];
                parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            };
            match &line.function {
                None => what(None, address),
                // Its name says more than its place, and that more than its address. An attribute that has the
                // name of the function need not be named twice.
                Some(function) => {
                    let name = labels::escape(&function.function);
                    let place = labels::of_frame(function, Paths::Short);
                    let room = room.map_or(usize::MAX, |room| room.saturating_sub(branches));
                    let is_said = link.as_deref().is_some_and(|link| name.ends_with(link));
                    let least = if is_said {
                        format!("{} {name}", printable(kind))
                    } else {
                        what(Some(name.clone()), None)
                    };
                    let all = what(Some(place.clone()), address);
                    let forms = [all, what(Some(place), None), what(Some(name), None)];
                    let mut fitting = forms.into_iter().filter(|text| width(text) <= room);
                    fitting.next().unwrap_or(least)
                }
            }
        }
    };
    Row { depth: line.depth as usize, text, columns: figures(line), weight: line.paths }
}

/// The figures of a line: roots and frames have fewer.
fn figures(line: &Line) -> Vec<String> {
    let mut figures = vec![HumanCount(line.paths).to_string()];
    if let Some(retained) = line.retained {
        figures.push(HumanCount(line.objects).to_string());
        figures.push(HumanBytes(retained).to_string());
    }
    figures
}

/// The columns that the figures of these lines take beside a name, with the blanks before each.
fn width_of_figures(lines: &[Line]) -> usize {
    let names = COLUMNS.iter().skip(1);
    let mut widths: Vec<usize> = names.map(|name| GAP + width(name)).collect();
    for line in lines {
        for (most, figure) in widths.iter_mut().zip(figures(line)) {
            *most = (*most).max(GAP + width(&figure));
        }
    }
    widths.iter().sum()
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    r#type: Option<&'a str>,
    objects: u64,
    retained: u64,
    sampled: u64,
    unreached: u64,
    paths: u64,
    lines: Vec<JsonLine<'a>>,
    example: Vec<JsonObject<'a>>,
}

#[derive(Serialize)]
struct JsonObject<'a> {
    address: u64,
    r#type: &'a str,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    depth: u32,
    root: Option<&'a str>,
    frame: Option<&'a Frame>,
    link: Option<&'a str>,
    r#type: Option<&'a str>,
    paths: u64,
    ends: u64,
    objects: u64,
    retained: Option<u64>,
    address: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a Frame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

impl<'a> From<&'a Line> for JsonLine<'a> {
    fn from(line: &'a Line) -> JsonLine<'a> {
        let (mut root, mut frame, mut link, mut kind) = (None, None, None, None);
        match &line.what {
            What::Root(words) => root = Some(&**words),
            What::Frame(found) => frame = Some(found),
            What::Objects { link: held, kind: found } => {
                link = held.as_deref();
                kind = Some(&**found);
            }
        }
        JsonLine {
            depth: line.depth,
            root,
            frame,
            link,
            r#type: kind,
            paths: line.paths,
            ends: line.ends,
            objects: line.objects,
            retained: line.retained,
            address: line.address,
            function: line.function.as_ref(),
            value: line.value.as_deref(),
        }
    }
}

/// Writes why objects are alive as JSON.
pub fn write_json(
    why: &Why,
    provenance: &Provenance,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let document = Document {
        head: provenance.head(),
        r#type: why.kind.as_deref(),
        objects: why.asked,
        retained: why.retained.bytes,
        sampled: why.sampled,
        unreached: why.unreached,
        paths: why.paths,
        lines: why.lines.iter().map(JsonLine::from).collect(),
        example: why
            .example
            .iter()
            .map(|(address, kind)| JsonObject { address: *address, r#type: kind })
            .collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
