//! Crafted snapshot files: the columns of a real one with some values, counts or names changed, in a container
//! that is valid as such, so that every change gets past the checksums.
//!
//! The fuzz target `snapshot` includes this file, too.

use std::path::Path;

use leakspy::heap::{Grouping, NodeId, Selector, Summary, largest};
use leakspy::inspect::cycles::cycles;
use leakspy::inspect::dominator_tree::tree;
use leakspy::inspect::live::{Heavy, live};
use leakspy::inspect::object;
use leakspy::inspect::subgraph::{self, Direction, picture};
use leakspy::inspect::why::{self, why};
use leakspy::python::objects::Disclosure;
use leakspy::render::branches::Extent;
use leakspy::render::heap::{json, table};
use leakspy::render::{self, graph};
use leakspy::snapshot::FileError;
use leakspy::snapshot::container::{Encoding, Reader, Writer};
use leakspy::source::{Heap, SnapshotFile, Source, SourceError};

/// No crafted file may take more memory than this.
pub const ALLOWED: u64 = 256 << 20;

/// A change of one column. All numbers are reduced to what is there, so any are valid.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub column: u64,
    pub kind: u64,
    pub place: u64,
    pub value: u64,
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub struct Columns(Vec<(&'static str, Content)>);

#[derive(Debug, Clone)]
enum Content {
    Numbers(Vec<u64>),
    Bytes(Vec<u8>),
}

impl Columns {
    /// Reads the columns of a valid file.
    pub fn read(path: &Path) -> Result<Columns, FileError> {
        let reader = Reader::open(path, ALLOWED)?;
        let names: Vec<&'static str> =
            reader.columns().map(|(name, ..)| &*name.to_owned().leak()).collect();
        let column = |name| {
            Ok((
                name,
                match reader.numbers(name) {
                    Ok(numbers) => Content::Numbers(numbers.collect::<Result<_, _>>()?),
                    Err(_) => Content::Bytes(reader.bytes(name)?),
                },
            ))
        };
        Ok(Columns(names.into_iter().map(column).collect::<Result<_, FileError>>()?))
    }

    /// Writes a file of them.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut writer = Writer::create(path)?;
        for (name, content) in &self.0 {
            match content {
                Content::Numbers(numbers) => {
                    writer.numbers(name, Encoding::Differences, numbers.iter().copied())?;
                }
                Content::Bytes(bytes) => writer.bytes(name, bytes)?,
            }
        }
        writer.finish().map(|_| ())
    }

    /// Changes a column.
    pub fn change(&mut self, change: Change) {
        let Change { column, kind, place, value } = change;
        let Some(column) = at(column, self.0.len()) else { return };
        match kind % 12 {
            // Both would be a missing column; only one of a kind is missing in a file from an older version.
            10 => _ = self.0.remove(column),
            11 => {
                let Some(other) = at(value, self.0.len()) else { return };
                let content = self.0[other].1.clone();
                self.0[column].1 = content;
            }
            kind => match &mut self.0[column].1 {
                Content::Numbers(numbers) => change_numbers(numbers, kind, place, value),
                Content::Bytes(bytes) => change_bytes(bytes, kind, place, value),
            },
        }
    }
}

/// A place among so many.
fn at(place: u64, count: usize) -> Option<usize> {
    (place as usize).checked_rem(count)
}

/// A number to put somewhere: an end of a range, a plausible one, or one that is there already.
fn number(value: u64, known: &[u64]) -> u64 {
    let rest = value >> 4;
    match value % 16 {
        0 => 0,
        1 => 1,
        2 => u32::MAX.into(),
        3 => u64::MAX,
        4 => 1 << 47,
        5 => u64::from(u32::MAX) - rest % 4,
        6 => known.len() as u64 + rest % 4,
        7 => rest,
        8..12 => rest % 256,
        _ => at(rest, known.len()).map_or(0, |place| known[place]),
    }
}

fn change_numbers(numbers: &mut Vec<u64>, kind: u64, place: u64, value: u64) {
    let new = number(value, numbers);
    let Some(place) = at(place, numbers.len()) else { return numbers.push(new) };
    match kind {
        0..4 => numbers[place] = new,
        4 => numbers[place] = numbers[place].wrapping_add(value % 9).wrapping_sub(4),
        5 => {
            let other = (value as usize) % numbers.len();
            numbers.swap(place, other);
        }
        6 => numbers.insert(place, new),
        7 => _ = numbers.remove(place),
        8 => numbers.truncate(place),
        _ => {
            let end = (place + (value % 1000) as usize).min(numbers.len());
            numbers[place..end].fill(new);
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, kind: u64, place: u64, value: u64) {
    let Some(place) = at(place, bytes.len()) else { return };
    match kind {
        // The next number of a document.
        0..6 => {
            let digit = |from: usize| bytes[from..].iter().position(u8::is_ascii_digit);
            let Some(start) = digit(place).map(|behind| place + behind) else { return };
            let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit());
            let end = end.map_or(bytes.len(), |behind| start + behind);
            let new = match value % 3 {
                0 => format!("-{}", value >> 2),
                1 => number(value >> 2, &[]).to_string(),
                _ => (value % 200).to_string(),
            };
            bytes.splice(start..end, new.into_bytes());
        }
        6 => bytes[place] = value as u8,
        7 => bytes.truncate(place),
        // A stretch of a document many times.
        8 => {
            let end = (place + (value % 400) as usize).min(bytes.len());
            let again = bytes[place..end].repeat((value >> 16) as usize % 50);
            bytes.splice(place..place, again);
        }
        _ => {
            let end = (place + (value % 100) as usize).min(bytes.len());
            bytes.drain(place..end);
        }
    }
}

/// The questions that can be asked of a file.
const QUESTIONS: [fn(&SnapshotFile, &Heap<'_>, &mut Vec<u8>); 4] =
    [ask_for_figures, ask_for_the_tree, ask_for_cycles, ask_about_objects];

/// Asks a file everything, or only one question. Whatever it is, there is an answer or an error.
pub fn ask(path: &Path, question: Option<u64>) -> Result<(), SourceError> {
    let file = SnapshotFile::open(path, ALLOWED)?;
    let (_, _) = (file.composition(), file.threads(None));
    let heap = file.heap()?;
    let mut out = Vec::new();
    let only = question.and_then(|number| at(number, QUESTIONS.len()));
    for (number, ask) in QUESTIONS.iter().enumerate() {
        if only.is_none_or(|only| only == number) {
            ask(&file, &heap, &mut out);
            out.clear();
        }
    }
    Ok(())
}

fn ask_for_figures(file: &SnapshotFile, heap: &Heap<'_>, out: &mut Vec<u8>) {
    let (analysis, provenance) = (&heap.analysis, &heap.provenance);
    let _ = file.summary(Grouping::Module);
    for by in [Grouping::Type, Grouping::Size, Grouping::Generation] {
        let mut summary = Summary::of(analysis, provenance.owner.clone(), by);
        summary.time = provenance.time;
        if by == Grouping::Type {
            summary.largest = largest(analysis, heap.names(), 5, Disclosure::Values);
        }
        table::write(
            &summary,
            table::Columns { group: "group", top: 25, sort: None, own: false },
            out,
        )
        .expect("memory takes it");
        json::write(&summary, None, out).expect("memory takes it");
    }
}

fn ask_for_the_tree(_: &SnapshotFile, heap: &Heap<'_>, out: &mut Vec<u8>) {
    let (analysis, names, provenance) = (&heap.analysis, heap.names(), &heap.provenance);
    let extent = Extent { breadth: 10, depth: 20, least: 0 };
    let lines = tree(&live(analysis, names, None, Heavy::of(analysis), Disclosure::Values));
    let total = analysis.total();
    render::tree::write(&lines, total, provenance, extent, out).expect("memory takes it");
    render::tree::write_json(&lines, total, provenance, 60, out).expect("memory takes it");
    render::chrome::write(analysis, names, Disclosure::Values, out).expect("memory takes it");
}

fn ask_for_cycles(file: &SnapshotFile, heap: &Heap<'_>, out: &mut Vec<u8>) {
    let (analysis, provenance) = (&heap.analysis, &heap.provenance);
    let found = cycles(analysis, heap.names(), heap.collectors().unwrap_or_default());
    let clock = file.monotonic_clock();
    render::cycles::write(&found, provenance, clock, 15, out).expect("memory takes it");
    render::cycles::write_json(&found, provenance, clock, out).expect("memory takes it");
}

fn ask_about_objects(_: &SnapshotFile, heap: &Heap<'_>, out: &mut Vec<u8>) {
    let count = heap.analysis.graph.objects().len();
    for (number, node) in heap.analysis.graph.objects().step_by((count / 3).max(1)).enumerate() {
        ask_about(heap, node, number, out);
    }
}

/// Asks everything about one object and its type.
fn ask_about(heap: &Heap<'_>, node: NodeId, number: usize, out: &mut Vec<u8>) {
    let (analysis, names, provenance) = (&heap.analysis, heap.names(), &heap.provenance);
    let disclosure = Disclosure::Values;
    let shown = object::show(analysis, names, node, object::Options { most: 10, disclosure });
    render::show::write(&shown, provenance, out).expect("memory takes it");
    render::show::write_json(&shown, provenance, out).expect("memory takes it");
    let directions = [Direction::Referrers, Direction::Referents, Direction::Chain];
    let options = subgraph::Options {
        direction: directions[number % directions.len()],
        depth: 5,
        breadth: 5,
        most: 60,
        excluded: Vec::new(),
        highlighted: Vec::new(),
        disclosure,
    };
    graph::dot::write(&picture(analysis, names, &[node], &options), out).expect("memory takes it");
    let info = analysis.graph.type_info(node);
    let kind = Selector::Type(info.map(|info| info.name.clone()).unwrap_or_default());
    if let Ok(nodes) = kind.find(analysis) {
        let options = why::Options { paths: 1 + number % 2, excluded: Vec::new(), disclosure };
        let found = why(analysis, names, &nodes, &options);
        let extent = Extent { breadth: 10, depth: 60, least: 0 };
        render::why::write(&found, provenance, extent, out).expect("memory takes it");
        render::why::write_json(&found, provenance, out).expect("memory takes it");
    }
    out.clear();
}
