//! Waste: as text for a terminal and as JSON (docs/json.md).

use std::io::Write;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::RenderError;
use super::heap::table::{lineage, percent};
use super::labels::printable;
use super::preamble::Head;
use super::sheet::Sheet;
use super::table::Table;
use crate::inspect::waste::{Finding, Waste, WasteKind};
use crate::source::Provenance;

/// The most characters of a value that are shown.
const MOST_CHARACTERS: usize = 60;

impl WasteKind {
    /// What is wasteful, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            WasteKind::Equal => "equal values",
            WasteKind::Overallocated => "room for more items",
            WasteKind::Sparse => "tables nearly empty",
            WasteKind::UnsharedKeys => "instances that share no keys",
            WasteKind::InstanceDict => "dicts of instances, made for __dict__",
            WasteKind::NoSlots => "instances without __slots__",
            WasteKind::BoxedNumbers => "numbers as objects in lists",
            WasteKind::View => "small views of large buffers",
            WasteKind::WideItems => "items wider than their values",
        }
    }
}

impl Finding {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let words = match (self.kind, self.name.as_str()) {
            (WasteKind::Equal, "str") => "keep one of each: sys.intern(text)",
            (WasteKind::Equal, "bytes" | "tuple" | "frozenset") => {
                "keep one of each: value = known.setdefault(value, value)"
            }
            (WasteKind::Equal, _) => "keep one of each, if they never change",
            (WasteKind::Overallocated, "bytearray") => "once complete: bytes(data)",
            (WasteKind::Overallocated, _) => "once complete: items[:], or a tuple",
            (WasteKind::Sparse, "set" | "frozenset") => "make it anew: set(items)",
            (WasteKind::Sparse, _) => "make it anew: {key: value for …}",
            (WasteKind::UnsharedKeys, _) => {
                "set all attributes in __init__, in one order; delete none"
            }
            (WasteKind::InstanceDict, _) => "do without vars(), __dict__ and copies of them",
            (WasteKind::NoSlots, _) => {
                "__slots__, or dataclass(slots=True), in the class and its bases"
            }
            (WasteKind::BoxedNumbers, _) => "array.array or numpy.array",
            (WasteKind::View, _) => "copy what is needed: bytes(view), view.copy()",
            (WasteKind::WideItems, _) => {
                return format!("items of type {}", self.enough.as_deref().unwrap_or_default());
            }
        };
        words.to_owned()
    }

    /// How many values there are, for equal values.
    fn remark(&self) -> String {
        match self.distinct {
            Some(1) => "1 value".to_owned(),
            Some(distinct) => format!("{} values", HumanCount(distinct)),
            None => String::new(),
        }
    }
}

/// Writes the waste of a heap of this many bytes, up to a number of findings.
pub fn write(
    waste: &Waste,
    all: u64,
    provenance: &Provenance,
    top: usize,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let says = format!(
        "{} of {} ({}) could be saved.",
        HumanBytes(waste.saved),
        HumanBytes(all),
        percent(waste.saved, all),
    );
    provenance.heading(&says, out)?;
    if waste.findings.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut kinds = Table::new(["saved", "objects", "what"]).texts([2]);
    for sum in &waste.kinds {
        let saved = HumanBytes(sum.saved).to_string();
        let objects = HumanCount(sum.objects).to_string();
        kinds.add_row(vec![saved, objects, sum.kind.words().to_owned()]);
    }
    kinds.write(out)?;
    writeln!(out)?;
    let columns = ["saved", "objects", "type", "where", "values", "what to do"];
    let rows = Table::new(columns).names([2, 3, 4]).texts([5]);
    let mut rows = rows.spare(&["objects", "values"]);
    for finding in waste.findings.iter().take(top) {
        rows.add_row(vec![
            HumanBytes(finding.saved).to_string(),
            HumanCount(finding.objects).to_string(),
            printable(&finding.name),
            match finding.place == finding.name {
                true => String::new(),
                false => printable(&finding.place),
            },
            finding.remark(),
            finding.advice(),
        ]);
    }
    rows.write(out)?;
    let more = waste.more + waste.findings.len().saturating_sub(top) as u64;
    if more > 0 {
        writeln!(out, "({} more)", HumanCount(more))?;
    }
    writeln!(out, "\nHeld by, the largest of each:")?;
    for finding in waste.findings.iter().take(top) {
        let saved = HumanBytes(finding.saved).to_string();
        writeln!(out, "  {saved:>10}  {}", lineage(&finding.lineage))?;
        for repeated in &finding.values {
            if let Some(value) = &repeated.value {
                let times = HumanCount(repeated.objects + 1);
                writeln!(out, "{:14}{times} times {}", "", value_words(value))?;
            }
        }
    }
    if !waste.with_values {
        writeln!(
            out,
            "\nNo value is shown, and no array is searched for items too wide; --values does both."
        )?;
    }
    Ok(())
}

/// A value, cut and without control characters.
fn value_words(value: &str) -> String {
    let words: String = value.chars().filter(|it| !it.is_control()).take(MOST_CHARACTERS).collect();
    match words.len() < value.len() {
        true => words + "…",
        false => words,
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    bytes: u64,
    #[serde(flatten)]
    waste: JsonWaste<'a>,
}

/// The waste in JSON, for a document about it or a part of another.
#[derive(Serialize)]
pub(super) struct JsonWaste<'a> {
    saved: u64,
    with_values: bool,
    kinds: Vec<JsonKind>,
    findings: Vec<JsonFinding<'a>>,
    more: u64,
}

#[derive(Serialize)]
struct JsonKind {
    kind: WasteKind,
    objects: u64,
    saved: u64,
    words: &'static str,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    advice: String,
}

impl<'a> JsonWaste<'a> {
    /// Up to a number of findings.
    pub fn of(waste: &'a Waste, top: usize) -> JsonWaste<'a> {
        let kind = |sum: &crate::inspect::waste::KindSum| JsonKind {
            kind: sum.kind,
            objects: sum.objects,
            saved: sum.saved,
            words: sum.kind.words(),
        };
        let finding = |finding: &'a Finding| JsonFinding { finding, advice: finding.advice() };
        JsonWaste {
            saved: waste.saved,
            with_values: waste.with_values,
            kinds: waste.kinds.iter().map(kind).collect(),
            findings: waste.findings.iter().take(top).map(finding).collect(),
            more: waste.more + waste.findings.len().saturating_sub(top) as u64,
        }
    }
}

/// Writes the waste of a heap of this many bytes as JSON.
pub fn write_json(
    waste: &Waste,
    all: u64,
    provenance: &Provenance,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let waste = JsonWaste::of(waste, usize::MAX);
    let document = Document { head: provenance.head(), bytes: all, waste };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
