//! The JSON of heaps. It is an interface (docs/json.md), and the form in which summaries are saved.

use std::io::{Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::heap::figures::changes::Change;
use crate::heap::{Group, LargeObject, Summary};
use crate::obstacle::{Obstructed, Obstruction};
use crate::render::RenderError;
use crate::render::json::SCHEMA;

/// Why a file is not a saved summary.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// leakspy did not write it.
    #[error("it is not a summary that `leakspy heap --save` wrote")]
    Form(#[from] serde_json::Error),
    /// A later leakspy wrote it.
    #[error("its form has the number {found}, and this leakspy knows only {SCHEMA}")]
    Schema {
        /// The version of its form.
        found: u32,
    },
}

impl Obstructed for LoadError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            LoadError::Form(_) | LoadError::Schema { .. } => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    #[serde(flatten)]
    heap: Heap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subprocesses: Option<Vec<Heap>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    together: Option<Box<Heap>>,
}

#[derive(Serialize, Deserialize)]
struct Heap {
    pid: i32,
    command: String,
    python: String,
    time_s: f64,
    pause_s: f64,
    copied_bytes: u64,
    rss_bytes: u64,
    objects: u64,
    shallow_bytes: u64,
    external_bytes: u64,
    inconsistencies: u64,
    types: Vec<TypeRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupRow>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    largest: Vec<LargeObject>,
}

#[derive(Serialize, Deserialize)]
struct TypeRow {
    r#type: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize, Deserialize)]
struct GroupRow {
    group: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize, Deserialize)]
struct Figures {
    count: u64,
    tracked_count: Option<u64>,
    shallow: u64,
    external: u64,
    retained: Option<u64>,
}

impl From<&Group> for Figures {
    fn from(group: &Group) -> Figures {
        Figures {
            count: group.count,
            tracked_count: group.tracked,
            shallow: group.shallow,
            external: group.external,
            retained: group.retained,
        }
    }
}

impl Figures {
    fn named(self, name: String) -> Group {
        Group {
            name,
            count: self.count,
            tracked: self.tracked_count,
            shallow: self.shallow,
            external: self.external,
            retained: self.retained,
        }
    }
}

impl From<&Summary> for Heap {
    fn from(summary: &Summary) -> Heap {
        let total = summary.total();
        let type_row =
            |group: &Group| TypeRow { r#type: group.name.clone(), figures: group.into() };
        let row = |group: &Group| GroupRow { group: group.name.clone(), figures: group.into() };
        let since = summary.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Heap {
            pid: summary.pid,
            command: summary.command.clone(),
            python: summary.python.clone(),
            time_s: since.as_secs_f64(),
            pause_s: summary.pause.as_secs_f64(),
            copied_bytes: summary.copied,
            rss_bytes: summary.rss,
            objects: total.count,
            shallow_bytes: total.shallow,
            external_bytes: total.external,
            inconsistencies: summary.inconsistencies,
            types: summary.types.iter().map(type_row).collect(),
            groups: summary.groups.as_ref().map(|groups| groups.iter().map(row).collect()),
            largest: summary.largest.clone(),
        }
    }
}

impl From<Heap> for Summary {
    fn from(heap: Heap) -> Summary {
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let types = heap.types.into_iter().map(|row| row.figures.named(row.r#type)).collect();
        let groups = heap
            .groups
            .map(|rows| rows.into_iter().map(|row| row.figures.named(row.group)).collect());
        Summary {
            pid: heap.pid,
            command: heap.command,
            python: heap.python,
            time: UNIX_EPOCH.checked_add(seconds(heap.time_s)).unwrap_or(UNIX_EPOCH),
            pause: seconds(heap.pause_s),
            copied: heap.copied_bytes,
            rss: heap.rss_bytes,
            inconsistencies: heap.inconsistencies,
            types,
            groups,
            largest: heap.largest,
        }
    }
}

/// Writes a heap; with those of its subprocesses and all of them together, if requested.
pub fn write(
    summary: &Summary,
    subprocesses: Option<&[Summary]>,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let together = subprocesses.and_then(|others| {
        let all: Vec<Summary> = [summary].into_iter().chain(others).cloned().collect();
        Summary::together(&all)
    });
    let document = Document {
        schema: SCHEMA,
        heap: summary.into(),
        subprocesses: subprocesses.map(|others| others.iter().map(Heap::from).collect()),
        together: together.as_ref().map(|together| Box::new(together.into())),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

/// Reads a saved summary: if there are several processes, that of all together.
pub fn read(from: impl Read) -> Result<Summary, LoadError> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let value: serde_json::Value = serde_json::from_reader(from)?;
    let form = Form::deserialize(&value)?;
    if form.schema != SCHEMA {
        return Err(LoadError::Schema { found: form.schema });
    }
    let document = Document::deserialize(value)?;
    Ok(document.together.map_or(document.heap, |together| *together).into())
}

#[derive(Serialize)]
struct ChangesDocument {
    schema: u32,
    before: Moment,
    after: Moment,
    changes: Vec<ChangeRow>,
}

#[derive(Serialize)]
struct Moment {
    pid: i32,
    command: String,
    python: String,
    time_s: f64,
    rss_bytes: u64,
    objects: u64,
    shallow_bytes: u64,
    external_bytes: u64,
}

#[derive(Serialize)]
struct ChangeRow {
    group: String,
    count: i64,
    bytes: i64,
    retained: Option<i64>,
    before: Figures,
    after: Figures,
}

impl From<&Summary> for Moment {
    fn from(summary: &Summary) -> Moment {
        let heap = Heap::from(summary);
        Moment {
            pid: heap.pid,
            command: heap.command,
            python: heap.python,
            time_s: heap.time_s,
            rss_bytes: heap.rss_bytes,
            objects: heap.objects,
            shallow_bytes: heap.shallow_bytes,
            external_bytes: heap.external_bytes,
        }
    }
}

/// Writes what changed between two heaps.
pub fn write_changes(
    before: &Summary,
    after: &Summary,
    changes: &[Change],
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let row = |change: &Change| ChangeRow {
        group: change.name().to_owned(),
        count: change.count(),
        bytes: change.bytes(),
        retained: change.retained(),
        before: (&change.before).into(),
        after: (&change.after).into(),
    };
    let document = ChangesDocument {
        schema: SCHEMA,
        before: before.into(),
        after: after.into(),
        changes: changes.iter().map(row).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
