//! Reading a heap from a file.
//!
//! Every number is checked before use: nodes are within bounds, lists are in order and as long as they must
//! be, dominators form a tree, texts are no longer than those that are written. So the analyses can walk the
//! graph from any file.

use std::path::Path;

use super::columns;
use super::container::{FileError, Reader, Values, with_difference};
use super::facts::Facts;
use super::names::{LONGEST_TEXT, load_names};
use super::records::RootRecord;
use super::runs::{PAGE, WORD};
use crate::heap::capture::copy::{Segment, Segments};
use crate::heap::graph::dominators::Dominators;
use crate::heap::graph::object_graph::GraphParts;
use crate::heap::graph::search::Flow;
use crate::heap::ids::{NodeId, Slot};
use crate::heap::names::kept::{KEY_ROWS, KeptNames, code};
use crate::heap::trace::numbering::{Marks, Numbering};
use crate::heap::{Analysis, Composition, Graph, Root, RootKind, RootName, RootNames};
use crate::inspect::waste::Waste;
use crate::python::collector::Collector;
use crate::python::objects::{TypeFacts, TypeId, TypeInfo};
use crate::python::thread_dump::ThreadDump;

/// The maximum size of an object or a buffer, in bytes: more would not fit into an address space.
const LARGEST: u64 = 1 << 47;
/// The maximum size of all objects together: so no sum of sizes overflows.
const LARGEST_HEAP: u64 = 1 << 48;
/// The maximum number of types.
const MOST_TYPES: usize = 1 << 22;
/// The upper bound of a process's addresses.
const ADDRESSES: u64 = 1 << 57;
/// The memory for the numbers of the objects of a page, in bytes: 40 for every 64 words.
const PER_PAGE: u64 = PAGE / WORD / 64 * 40;

/// A heap read from a file.
#[derive(Debug)]
pub struct Snapshot {
    /// The objects.
    pub analysis: Analysis<'static>,
    /// The names of the roots.
    pub names: RootNames,
    /// The state of the cycle collectors.
    pub collectors: Vec<Collector>,
    /// Which process and moment it is from.
    pub facts: Facts,
}

/// Reads only the facts about the heap as a whole.
///
/// # Errors
/// It is not a snapshot, or is damaged.
pub fn facts(reader: &Reader) -> Result<Facts, FileError> {
    json(reader, columns::FACTS)
}

/// Reads only the parts of the resident set; `None` if the file does not have them.
///
/// # Errors
/// It is damaged, or the parts contradict each other.
pub fn composition(reader: &Reader) -> Result<Option<Composition>, FileError> {
    if !reader.has(columns::COMPOSITION) {
        return Ok(None);
    }
    let found: Composition = json(reader, columns::COMPOSITION)?;
    match found.is_plausible() {
        true => Ok(Some(found)),
        false => Err(FileError::contradiction(columns::COMPOSITION, "has a size that cannot be")),
    }
}

/// Reads only the stacks of threads; `None` if the file does not have them.
///
/// # Errors
/// It is damaged.
pub fn threads(reader: &Reader) -> Result<Option<ThreadDump>, FileError> {
    reader.has(columns::THREADS).then(|| json(reader, columns::THREADS)).transpose()
}

/// Reads only what is needless; `None` if the file does not have it.
///
/// # Errors
/// It is damaged.
pub fn waste(reader: &Reader) -> Result<Option<Waste>, FileError> {
    reader.has(columns::WASTE).then(|| json(reader, columns::WASTE)).transpose()
}

impl Snapshot {
    /// Reads a heap. It takes up to `allowed` bytes of memory.
    ///
    /// # Errors
    /// The file is not a snapshot, is damaged, contradicts itself, or is too large.
    pub fn open(path: &Path, allowed: u64) -> Result<Snapshot, FileError> {
        let reader = Reader::open(path, allowed)?;
        let facts = facts(&reader)?;
        let collectors = json(&reader, columns::COLLECTORS)?;
        let types: Vec<TypeFacts> = json(&reader, columns::TYPES)?;
        let roots: Vec<RootRecord> = json(&reader, columns::ROOTS)?;
        if types.len() > MOST_TYPES {
            return Err(FileError::contradiction(columns::TYPES, "has too many types"));
        }
        if !types.iter().all(|info| is_short(&info.name) && is_short(&info.module)) {
            return Err(FileError::contradiction(columns::TYPES, TOO_LONG));
        }
        if !roots.iter().all(|root| root.texts().all(is_short)) {
            return Err(FileError::contradiction(columns::ROOTS, TOO_LONG));
        }
        let (roots, names): (Vec<Root>, Vec<RootName>) =
            roots.into_iter().map(RootRecord::into_root).unzip();
        if !roots.iter().all(|root| has_thread(root, &roots)) {
            return Err(FileError::contradiction(columns::ROOTS, "has a frame without a thread"));
        }
        let (graph, kept) = load_graph(&reader, &facts, types, roots)?;
        let dominators = load_dominators(&reader, &graph)?;
        let analysis = Analysis::kept(graph, dominators, facts.capture(), kept);
        Ok(Snapshot { analysis, names: RootNames::kept(names), collectors, facts })
    }
}

/// What is wrong with a column that has a longer text than is ever written.
const TOO_LONG: &str = "has a text that is too long";

fn is_short(text: &str) -> bool {
    text.len() as u64 <= LONGEST_TEXT
}

/// Whether a root is no frame, or the frame of one of these threads.
fn has_thread(root: &Root, roots: &[Root]) -> bool {
    match root.kind {
        RootKind::Frame { thread, .. } => {
            let thread = roots.get(thread.index());
            thread.is_some_and(|thread| matches!(thread.kind, RootKind::Thread { .. }))
        }
        _ => true,
    }
}

fn json<T: serde::de::DeserializeOwned>(
    reader: &Reader,
    column: &'static str,
) -> Result<T, FileError> {
    serde_json::from_slice(&reader.bytes(column)?)
        .map_err(|_| FileError::contradiction(column, "is not what it should be"))
}

fn load_graph(
    reader: &Reader,
    facts: &Facts,
    types: Vec<TypeFacts>,
    roots: Vec<Root>,
) -> Result<(Graph, KeptNames), FileError> {
    let (segments, slots) = load_segments(reader)?;
    let first = NodeId(u32::try_from(1 + roots.len()).unwrap_or(u32::MAX));
    let numbering = load_numbering(reader, slots, first)?;
    let end = numbering.end().0;
    let types: Vec<TypeInfo> =
        (0..).zip(types).map(|(id, record)| TypeInfo::kept(TypeId(id), record)).collect();
    let mut parts = GraphParts::new(numbering, segments, types, roots, facts.inconsistencies());
    load_objects(reader, &mut parts)?;
    parts.fixed = load_nodes(reader, columns::FIXED_NODE, end)?;
    load_gc_lists(reader, &mut parts, end)?;
    let mut counts = reader.numbers(columns::ROOT_COUNT)?;
    let mut targets = reader.numbers(columns::ROOT_TARGET)?;
    for edges in &mut parts.root_edges {
        let count = within(counts.number()?, targets.left(), columns::ROOT_COUNT)?;
        *edges = (0..count).map(|_| targets.below(end).map(NodeId)).collect::<Result<_, _>>()?;
        if edges.contains(&NodeId::ROOT) {
            return Err(FileError::contradiction(columns::ROOT_TARGET, "leads back to the top"));
        }
    }
    let mut kept = load_names(reader, end)?;
    kept.disclosure = facts.disclosure.into();
    load_edges(reader, &mut parts, &mut kept)?;
    load_frames(reader, &parts, &mut kept, end)?;
    Ok((parts.into_graph(), kept))
}

/// A count, if that many elements are left.
fn within(count: u64, left: u64, column: &'static str) -> Result<u64, FileError> {
    match count <= left {
        true => Ok(count),
        false => Err(FileError::contradiction(column, "has a count that is too large")),
    }
}

/// A column of nodes, in order.
pub(super) fn load_nodes(
    reader: &Reader,
    column: &'static str,
    end: u32,
) -> Result<Vec<NodeId>, FileError> {
    let mut values = reader.numbers(column)?;
    let mut nodes: Vec<NodeId> = Vec::new();
    while values.left() > 0 {
        let node = NodeId(values.below(end)?);
        if nodes.last().is_some_and(|&last| last >= node) {
            return Err(FileError::contradiction(column, "is not in order"));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// The collector's lists, in their order. An object is in one of them at most.
fn load_gc_lists(reader: &Reader, parts: &mut GraphParts, end: u32) -> Result<(), FileError> {
    let mut seen = vec![0_u64; (end as usize).div_ceil(64)];
    for (column, nodes) in columns::GC_LISTS.into_iter().zip(&mut parts.tracked) {
        let mut values = reader.numbers(column)?;
        while values.left() > 0 {
            let node = NodeId(values.below(end)?);
            let bit = 1 << (node.index() % 64);
            match seen.get_mut(node.index() / 64) {
                Some(bits) if *bits & bit == 0 => *bits |= bit,
                _ => return Err(FileError::contradiction(column, "has an object twice")),
            }
            nodes.push(node);
        }
    }
    Ok(())
}

/// The pages that have objects, and the number of their words.
fn load_segments(reader: &Reader) -> Result<(Segments, u32), FileError> {
    let column = columns::RUN_ADDRESS;
    let wrong = |what| FileError::contradiction(column, what);
    let mut addresses = reader.numbers(column)?;
    let mut pages = reader.numbers(columns::RUN_PAGES)?;
    let objects = reader.numbers(columns::CONTAINER_WORD)?.left()
        + reader.numbers(columns::LEAF_WORD)?.left();
    let mut segments = Vec::new();
    let mut before: u64 = 0;
    while addresses.left() > 0 {
        let (start, pages) = (addresses.number()?, pages.number()?);
        // Each page has an object, so the size of the segments is bounded by that of the file.
        let rest = objects.saturating_sub(before);
        if pages == 0 || pages > rest {
            return Err(wrong("has more pages than there are objects"));
        }
        let range = start..start.saturating_add(pages * PAGE);
        if !start.is_multiple_of(PAGE) || range.end > ADDRESSES {
            return Err(wrong("has an address that cannot be"));
        }
        segments.push(Segment { range, offset: (before * PAGE) as usize });
        before += pages;
    }
    let mut sorted: Vec<&Segment> = segments.iter().collect();
    sorted.sort_unstable_by_key(|segment| segment.range.start);
    let overlap = |pair: &[&Segment]| match pair {
        [one, next] => one.range.end > next.range.start,
        _ => false,
    };
    if sorted.windows(2).any(overlap) {
        return Err(wrong("has pages twice"));
    }
    let slots = before * (PAGE / WORD);
    let slots = u32::try_from(slots).map_err(|_| wrong("has too many pages"))?;
    reader.afford(before.saturating_mul(PER_PAGE))?;
    Ok((Segments::new(segments), slots))
}

/// The numbers of the objects, from their positions.
fn load_numbering(reader: &Reader, slots: u32, first: NodeId) -> Result<Numbering, FileError> {
    let marks = Marks::new(slots as usize);
    let mut objects = 0;
    for (column, are_containers) in [(columns::CONTAINER_WORD, true), (columns::LEAF_WORD, false)] {
        let mut words = reader.numbers(column)?;
        objects += words.left();
        let mut last = None;
        while words.left() > 0 {
            let word = words.below(slots)?;
            if last.replace(word).is_some_and(|last| last >= word) || !marks.add(Slot(word)) {
                return Err(FileError::contradiction(column, "is not in order"));
            }
            if are_containers {
                marks.add_container(Slot(word));
            }
        }
    }
    if objects.saturating_add(first.0.into()) >= u64::from(u32::MAX - 1) {
        return Err(FileError::contradiction(columns::LEAF_WORD, "has too many objects"));
    }
    Ok(marks.number(first))
}

/// The types and sizes of objects.
fn load_objects(reader: &Reader, parts: &mut GraphParts) -> Result<(), FileError> {
    let size = |column, size| match size <= LARGEST {
        true => Ok(size),
        false => Err(FileError::contradiction(column, "has a size that cannot be")),
    };
    let mut types = reader.numbers(columns::OBJECT_TYPE)?;
    let mut sizes = reader.numbers(columns::OBJECT_SIZE)?;
    let external = load_nodes(reader, columns::EXTERNAL_NODE, parts.end().0)?;
    let mut bytes = reader.numbers(columns::EXTERNAL_BYTES)?;
    let mut external = external.into_iter().peekable();
    let known = parts.type_count();
    let mut total: u64 = 0;
    for node in parts.objects() {
        let own = size(columns::OBJECT_SIZE, sizes.number()?)?;
        let elsewhere = match external.next_if_eq(&node) {
            Some(_) => size(columns::EXTERNAL_BYTES, bytes.number()?)?,
            None => 0,
        };
        total = total.saturating_add(own);
        if total > LARGEST_HEAP {
            return Err(FileError::contradiction(columns::OBJECT_SIZE, "is too large in all"));
        }
        let type_id = types.below(known + 1)?.checked_sub(1).map(TypeId);
        parts.add_object(node, type_id, own, elsewhere);
    }
    end_of(&types, columns::OBJECT_TYPE)
}

/// Checks that a column has no more elements.
fn end_of(values: &Values<'_>, column: &'static str) -> Result<(), FileError> {
    match values.left() {
        0 => Ok(()),
        _ => Err(FileError::contradiction(column, "has too many elements")),
    }
}

/// The references of containers, and their roles.
fn load_edges(
    reader: &Reader,
    parts: &mut GraphParts,
    kept: &mut KeptNames,
) -> Result<(), FileError> {
    let (first, end) = (u64::from(parts.first().0), u64::from(parts.end().0));
    let mut counts = reader.numbers(columns::EDGE_COUNT)?;
    let mut codes = reader.numbers(columns::EDGE_ROLE)?;
    if u32::try_from(codes.left()).is_err() {
        return Err(FileError::contradiction(columns::EDGE_ROLE, "has too many elements"));
    }
    let mut targets = reader.numbers(columns::EDGE_TARGET)?;
    let mut keys = reader.numbers(columns::EDGE_KEY)?;
    let most = code::FIRST + kept.roles.len() as u32;
    let mut last: Vec<u64> = vec![0; most as usize];
    for row in 0..parts.containers() {
        if row % KEY_ROWS == 0 {
            kept.key_starts.push(kept.keys.len() as u32);
        }
        let count = within(counts.number()?, codes.left(), columns::EDGE_COUNT)?;
        for _ in 0..count {
            let code = codes.below(most)?;
            let place = last.get_mut(code as usize);
            let from = place.as_ref().map_or(0, |last| **last);
            let target = with_difference(from, targets.number()?);
            if target < first || target >= end {
                let what = "leads to what is no object";
                return Err(FileError::contradiction(columns::EDGE_TARGET, what));
            }
            if let Some(last) = place {
                *last = target;
            }
            parts.add_edge(NodeId(target as u32));
            kept.codes.push(code);
            if code == code::VALUE {
                let key = keys.below(parts.end().0.saturating_add(1))?;
                kept.keys.push(key.checked_sub(1).map_or(NodeId::NONE, NodeId));
            }
        }
        parts.end_row();
    }
    end_of(&codes, columns::EDGE_ROLE)
}

/// The objects that the frames of threads refer to.
fn load_frames(
    reader: &Reader,
    parts: &GraphParts,
    kept: &mut KeptNames,
    end: u32,
) -> Result<(), FileError> {
    let mut counts = reader.numbers(columns::FRAME_COUNT)?;
    let mut targets = reader.numbers(columns::FRAME_TARGET)?;
    let mut codes = reader.numbers(columns::FRAME_ROLE)?;
    let most = code::FIRST + kept.roles.len() as u32;
    for frame in parts.frames() {
        let count = within(counts.number()?, targets.left(), columns::FRAME_COUNT)?;
        let mut held = Vec::new();
        for _ in 0..count {
            held.push((NodeId(targets.below(end)?), codes.below(most)?));
        }
        if let Some(frame) = frame {
            kept.frames.insert(frame, held);
        }
    }
    Ok(())
}

/// The dominators, which must form a tree.
fn load_dominators(reader: &Reader, graph: &Graph) -> Result<Dominators, FileError> {
    let column = columns::DOMINATOR;
    let wrong = |what| FileError::contradiction(column, what);
    let mut values = reader.numbers(column)?;
    let end = graph.end();
    if values.left() != u64::from(end.0) - 1 {
        return Err(wrong("has not one element for each node"));
    }
    let first_leaf = graph.first_leaf();
    let mut immediate = vec![NodeId::ROOT];
    while values.left() > 0 {
        let above = values.below(first_leaf.0.saturating_add(1))?;
        immediate.push(above.checked_sub(1).map_or(NodeId::NONE, NodeId));
    }
    Dominators::kept(immediate, first_leaf).ok_or_else(|| wrong("is no tree"))
}
