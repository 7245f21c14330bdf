//! Why objects live: as a tree for a terminal and as JSON (docs/json.md).

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::CellAlignment;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::heap::table::{table, write_table};
use super::json::SCHEMA;
use super::labels::{self, printable};
use super::{Paths, RenderError, time};
use crate::heap::Owner;
use crate::profile::why::{Line, What, Why};
use crate::python::Frame;

/// Of what, when and at which price a heap was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Whose heap it is.
    pub owner: Owner,
    /// When it was looked at.
    pub time: SystemTime,
    /// How long the process stood still.
    pub pause: Duration,
    /// References and objects that did not fit together.
    pub inconsistencies: u64,
}

impl Look {
    /// Writes of whom the heap is, what is to be said of it, and how long it stood still.
    pub(in crate::render) fn heading(
        &self,
        says: &str,
        out: &mut impl Write,
    ) -> Result<(), RenderError> {
        writeln!(out, "Process {}: {}", self.owner.pid, printable(&self.owner.command))?;
        writeln!(out, "Python {}. {says}", self.owner.python)?;
        writeln!(out, "It stood still for {}.", time(self.pause))?;
        // In a pause it is an object that was just being made.
        if self.inconsistencies > 0 && self.pause.is_zero() {
            writeln!(
                out,
                "{} references or objects changed while they were read and did not fit together.",
                HumanCount(self.inconsistencies)
            )?;
        }
        Ok(())
    }

    /// The same for JSON.
    pub(in crate::render) fn head(&self) -> Head<'_> {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Head {
            schema: SCHEMA,
            pid: self.owner.pid,
            command: &self.owner.command,
            python: &self.owner.python,
            time_s: since.as_secs_f64(),
            pause_s: self.pause.as_secs_f64(),
            inconsistencies: self.inconsistencies,
        }
    }
}

/// What every document about a heap begins with.
#[derive(Serialize)]
pub(in crate::render) struct Head<'a> {
    schema: u32,
    pid: i32,
    command: &'a str,
    python: &'a str,
    time_s: f64,
    pause_s: f64,
    inconsistencies: u64,
}

/// How much of a tree is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many lines at most below one.
    pub breadth: usize,
    /// How many lines deep at most.
    pub depth: usize,
}

/// A line of a tree, to be shown or not.
pub(in crate::render) struct Row {
    /// How many lines lead to it.
    pub depth: usize,
    /// What is written there.
    pub text: String,
    /// What stands in the columns beside it.
    pub columns: Vec<String>,
    /// What is counted of lines that are left out.
    pub weight: u64,
}

/// Lines that go into a table, each with its branch drawn before it. Those that are too many become one
/// that says so, with columns for what they weigh.
pub(in crate::render) fn branches(
    rows: Vec<Row>,
    extent: Extent,
    more_columns: impl Fn(u64) -> Vec<String>,
) -> Vec<(String, Vec<String>)> {
    let mut kept: Vec<Row> = Vec::new();
    // How many lines have been seen at each depth below the current line of the depth before.
    let mut seen: Vec<(usize, usize, u64)> = Vec::new();
    let mut hidden_below = usize::MAX;
    let close = |kept: &mut Vec<Row>, seen: &mut Vec<(usize, usize, u64)>, to: usize| {
        while seen.len() > to {
            let depth = seen.len() - 1;
            if let Some((_, more @ 1.., weight)) = seen.pop() {
                let text = format!("({} more)", HumanCount(more as u64));
                let columns = more_columns(weight);
                kept.push(Row { depth, text, columns, weight });
            }
        }
    };
    for row in rows {
        if row.depth >= extent.depth || row.depth > hidden_below {
            continue;
        }
        hidden_below = usize::MAX;
        close(&mut kept, &mut seen, row.depth + 1);
        seen.resize(row.depth + 1, (0, 0, 0));
        if let Some((shown, more, weight)) = seen.last_mut() {
            if *shown < extent.breadth {
                *shown += 1;
            } else {
                *more += 1;
                *weight = weight.saturating_add(row.weight);
                hidden_below = row.depth;
                continue;
            }
        }
        kept.push(row);
    }
    close(&mut kept, &mut seen, 0);
    draw(kept)
}

/// Draws the branch before each line.
fn draw(rows: Vec<Row>) -> Vec<(String, Vec<String>)> {
    // From the last line upwards it is known at which depths others follow.
    let mut follows: Vec<bool> = Vec::new();
    let mut drawn: Vec<(String, Vec<String>)> = rows
        .into_iter()
        .rev()
        .map(|row| {
            let mut text = String::new();
            follows.resize(row.depth + 1, false);
            for depth in 1..row.depth {
                text.push_str(if follows.get(depth) == Some(&true) { "│ " } else { "  " });
            }
            if row.depth > 0 {
                let more = follows.get(row.depth) == Some(&true);
                text.push_str(if more { "├ " } else { "└ " });
            }
            if let Some(here) = follows.last_mut() {
                *here = true;
            }
            text.push_str(&row.text);
            (text, row.columns)
        })
        .collect();
    drawn.reverse();
    drawn
}

/// Writes why objects live. `what` says which they are: `objects of the type app.Session`.
pub fn write(
    why: &Why,
    look: &Look,
    extent: Extent,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    look.heading(&sentence(why), out)?;
    for remark in remarks(why) {
        writeln!(out, "{remark}")?;
    }
    if why.lines.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows = why.lines.iter().map(row).collect();
    let mut table = table(["held by", "paths", "objects", "retained"], 1);
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let more = |paths| vec![HumanCount(paths).to_string()];
    for (text, columns) in branches(rows, extent, more) {
        table.add_row([text].into_iter().chain(columns));
    }
    write_table(&table, out)
}

/// What was asked for, and what it retains.
fn sentence(why: &Why) -> String {
    let retained = HumanBytes(why.retained.bytes);
    match (&why.kind, why.asked) {
        (Some(kind), 1) => {
            format!("The object of the type {} retains {retained}.", printable(kind))
        }
        (None, 1) => format!("The object retains {retained}."),
        (Some(kind), count) => format!(
            "{} objects of the type {} retain {retained} together.",
            HumanCount(count),
            printable(kind)
        ),
        (None, count) => format!("{} objects retain {retained} together.", HumanCount(count)),
    }
}

/// What is to be known about the paths.
fn remarks(why: &Why) -> Vec<String> {
    let mut remarks = Vec::new();
    if why.sampled < why.asked {
        remarks.push(format!(
            "Paths were looked for to {} of them, from all over the heap.",
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

fn row(line: &Line) -> Row {
    let text = match &line.what {
        What::Root(words) => printable(words),
        What::Frame(frame) => labels::of_frame(frame, Paths::Short),
        What::Objects { link, kind } => {
            let mut text = printable(kind);
            if let Some(link) = link {
                text = format!("{} {text}", printable(link));
            }
            match line.address {
                Some(address) if line.objects == 1 => format!("{text} {address:#x}"),
                _ => text,
            }
        }
    };
    let mut columns = vec![HumanCount(line.paths).to_string()];
    if let Some(retained) = line.retained {
        columns.push(HumanCount(line.objects).to_string());
        columns.push(HumanBytes(retained).to_string());
    }
    Row { depth: line.depth as usize, text, columns, weight: line.paths }
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
    example: &'a [u64],
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
        }
    }
}

/// Writes why objects live as JSON.
pub fn write_json(why: &Why, look: &Look, out: &mut impl Write) -> Result<(), RenderError> {
    let document = Document {
        head: look.head(),
        r#type: why.kind.as_deref(),
        objects: why.asked,
        retained: why.retained.bytes,
        sampled: why.sampled,
        unreached: why.unreached,
        paths: why.paths,
        lines: why.lines.iter().map(JsonLine::from).collect(),
        example: &why.example,
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(depths: &[usize], extent: Extent) -> Vec<String> {
        let row = |(index, &depth): (usize, &usize)| Row {
            depth,
            text: index.to_string(),
            columns: Vec::new(),
            weight: 1,
        };
        let rows = depths.iter().enumerate().map(row).collect();
        branches(rows, extent, |_| Vec::new()).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn branches_are_drawn_to_what_follows() {
        let all = Extent { breadth: 9, depth: 9 };
        let expected = ["0", "├ 1", "│ └ 2", "└ 3", "  ├ 4", "  └ 5", "6"];
        assert_eq!(drawn(&[0, 1, 2, 1, 2, 2, 0], all), expected);
    }

    #[test]
    fn what_is_too_much_is_one_line() {
        let some = Extent { breadth: 1, depth: 2 };
        let expected = ["0", "├ 1", "└ (2 more)", "(1 more)"];
        assert_eq!(drawn(&[0, 1, 2, 1, 2, 1, 0, 1], some), expected);
    }
}
