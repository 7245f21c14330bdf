//! Waste: memory of live objects that the program could do without.
//!
//! | | |
//! |---|---|
//! | [`equal`] | values that are there several times |
//! | [`containers`] | lists, bytearrays, dicts and sets with more room than they need |
//! | [`instances`] | instances that share no keys, or would take less with `__slots__` |
//! | [`numbers`] | lists of numbers that an array would hold; arrays of items wider than their values |
//! | [`views`] | small views that keep large buffers |
//! | [`places`] | where all this is: the class and attribute, or the variable |
//!
//! Each gives [`Spot`]s, which are added up by kind, type and place. No byte is promised twice: what an instance
//! would save by sharing its keys is not part of what slots would save beyond that. Needs the memory of the
//! heap: a snapshot file keeps the findings.

mod containers;
mod equal;
mod instances;
mod numbers;
mod places;
mod views;

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::places::Places;
use crate::heap::{Analysis, Capture, Graph, NodeId, ReferenceChain, RootNames, ShortestPaths};
use crate::python::objects::{Disclosure, EdgeNames, Narrow, Reader};

/// The most findings that are kept; the sums count all.
const MOST_FINDINGS: usize = 300;
/// The most values of a finding that are named.
const MOST_VALUES: usize = 3;

/// What is wasteful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WasteKind {
    /// A value that another object has too.
    Equal,
    /// A list or bytearray with room for more items.
    Overallocated,
    /// A dict or set whose table is far larger than its entries need.
    Sparse,
    /// An instance whose dict has a table of its own: it no longer shares the keys of its class.
    UnsharedKeys,
    /// An instance with a dict that only exists because someone asked for `__dict__`.
    InstanceDict,
    /// An instance that would take less with `__slots__`.
    NoSlots,
    /// A list of numbers that are objects.
    BoxedNumbers,
    /// A view that keeps a much larger buffer.
    View,
    /// An array with items wider than its values.
    WideItems,
}

/// The waste of a heap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waste {
    /// All bytes that would be saved.
    pub saved: u64,
    /// The sums by kind, largest first.
    pub kinds: Vec<KindSum>,
    /// The findings that would save the most, largest first.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
    /// How much of values was looked at and may be shown.
    pub with_values: bool,
}

/// Everything of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSum {
    /// The kind.
    pub kind: WasteKind,
    /// The number of objects.
    pub objects: u64,
    /// The bytes that would be saved.
    pub saved: u64,
}

/// Waste of one kind, in objects of one type, at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wasteful.
    pub kind: WasteKind,
    /// The type of the objects.
    #[serde(rename = "type")]
    pub name: String,
    /// How they are held: `app.Session.name`, `app.CACHE[…]`; the class itself for instances.
    pub place: String,
    /// The number of objects that waste memory.
    pub objects: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// The bytes that would be saved.
    pub saved: u64,
    /// The address of the one that wastes the most.
    pub address: u64,
    /// A shortest path to it.
    #[serde(flatten)]
    pub lineage: ReferenceChain,
    /// For equal values, how many different ones there are.
    pub distinct: Option<u64>,
    /// For equal values, those that are there most often.
    pub values: Vec<Repeated>,
    /// For wide items, the type of items that would do.
    pub enough: Option<String>,
}

/// A value that is there several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// The value, shortened, if values may be shown.
    pub value: Option<String>,
    /// How many of these objects have it, beside the one that would do.
    pub objects: u64,
    /// The bytes that would be saved.
    pub saved: u64,
}

/// One object that wastes memory.
#[derive(Debug, Clone, Copy)]
struct Spot {
    kind: WasteKind,
    node: NodeId,
    /// The bytes concerned.
    bytes: u64,
    /// The bytes that would be saved.
    saved: u64,
    /// Which of the values that are there several times it has.
    value: u32,
    narrow: Option<Narrow>,
}

impl Spot {
    fn new(kind: WasteKind, node: NodeId, bytes: u64, saved: u64) -> Spot {
        Spot { kind, node, bytes, saved, value: 0, narrow: None }
    }
}

/// A heap whose memory can be read.
#[derive(Clone, Copy)]
struct Scene<'a> {
    heap: &'a Analysis<'a>,
    graph: &'a Graph,
    reader: Reader<'a, Capture<'a>>,
    capture: &'a Capture<'a>,
}

/// Finds the waste of a heap; `None` if its memory is not there, as for one from a file. `disclosure` says
/// whether values may be shown; arrays are searched for wide items only then.
pub fn waste(heap: &Analysis<'_>, names: &RootNames, disclosure: Disclosure) -> Option<Waste> {
    let (reader, capture) = (heap.reader()?, heap.capture()?);
    let scene = Scene { heap, graph: &heap.graph, reader, capture };
    let with_values = disclosure == Disclosure::Values;
    let mut places = Places::new(heap, names);
    let mut spots = Vec::new();
    let dicts = instances::find(scene, &mut spots);
    let of_instances = spots.len();
    containers::find(scene, &dicts, &mut spots);
    numbers::find_boxed(scene, &mut spots);
    let buffers = views::find(scene, places.referrers(), &mut spots);
    equal::find(scene, &buffers, &mut spots);
    if with_values {
        numbers::find_wide(scene, &mut spots);
    }
    let held = spots.split_at(of_instances).1.iter().map(|spot| spot.node).collect();
    let mut groups: FxHashMap<Key<'_>, Vec<Spot>> = FxHashMap::default();
    let found = places.of(held);
    for (index, spot) in spots.iter().enumerate() {
        let place = match index.checked_sub(of_instances).map(|index| found.get(index)) {
            None => None,
            Some(Some(Some(place))) => Some(&**place),
            // It belongs to the interpreter.
            Some(_) => continue,
        };
        let name = heap.graph.type_info(spot.node).map_or("(unreadable)", |info| &info.name);
        let key = Key { kind: spot.kind, name, place: place.unwrap_or(name), narrow: spot.narrow };
        groups.entry(key).or_default().push(*spot);
    }
    Some(sum_up(heap, names, groups, disclosure))
}

impl Waste {
    /// The same with no more of keys and values than may be disclosed: for waste from a file.
    pub fn disclosed(
        mut self,
        heap: &Analysis<'_>,
        names: &RootNames,
        disclosure: Disclosure,
    ) -> Waste {
        let paths = ShortestPaths::of(&heap.graph);
        for finding in &mut self.findings {
            let node = heap.graph.node(finding.address);
            let path = node.map(|node| paths.between(NodeId::ROOT, node)).unwrap_or_default();
            finding.lineage = ReferenceChain::of(heap, names, &path, disclosure);
            if disclosure < Disclosure::Values {
                finding.values.iter_mut().for_each(|repeated| repeated.value = None);
            }
        }
        self.with_values &= disclosure == Disclosure::Values;
        self
    }
}

/// What the spots of a finding have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key<'a> {
    kind: WasteKind,
    name: &'a str,
    place: &'a str,
    narrow: Option<Narrow>,
}

fn sum_up(
    heap: &Analysis<'_>,
    names: &RootNames,
    groups: FxHashMap<Key<'_>, Vec<Spot>>,
    disclosure: Disclosure,
) -> Waste {
    let mut kinds: FxHashMap<WasteKind, KindSum> = FxHashMap::default();
    let mut sums = Vec::with_capacity(groups.len());
    for (key, spots) in groups {
        let saved: u64 = spots.iter().map(|spot| spot.saved).sum();
        let new = KindSum { kind: key.kind, objects: 0, saved: 0 };
        let kind = kinds.entry(key.kind).or_insert(new);
        kind.objects += spots.len() as u64;
        kind.saved += saved;
        sums.push((saved, key, spots));
    }
    sums.sort_by(|one, other| (Reverse(one.0), one.1).cmp(&(Reverse(other.0), other.1)));
    let more = sums.len().saturating_sub(MOST_FINDINGS) as u64;
    sums.truncate(MOST_FINDINGS);
    let paths = ShortestPaths::of(&heap.graph);
    let finding = |(saved, key, mut spots): (u64, Key<'_>, Vec<Spot>)| {
        let largest = spots.iter().max_by_key(|spot| (spot.saved, Reverse(spot.node)));
        let node = largest.map_or(NodeId::ROOT, |spot| spot.node);
        let path = paths.between(NodeId::ROOT, node);
        let values = match key.kind {
            WasteKind::Equal => Some(values(heap, &mut spots, disclosure)),
            _ => None,
        };
        Finding {
            kind: key.kind,
            name: key.name.to_owned(),
            place: key.place.to_owned(),
            objects: spots.len() as u64,
            bytes: spots.iter().map(|spot| spot.bytes).sum(),
            saved,
            address: heap.graph.address(node).unwrap_or_default(),
            lineage: ReferenceChain::of(heap, names, &path, disclosure),
            distinct: values.as_ref().map(|(distinct, _)| *distinct),
            values: values.map(|(_, values)| values).unwrap_or_default(),
            enough: key.narrow.map(|narrow| narrow.name().to_owned()),
        }
    };
    let mut kinds: Vec<KindSum> = kinds.into_values().collect();
    kinds.sort_by_key(|sum| (Reverse(sum.saved), sum.kind));
    Waste {
        saved: kinds.iter().map(|sum| sum.saved).sum(),
        kinds,
        findings: sums.into_iter().map(finding).collect(),
        more,
        with_values: disclosure == Disclosure::Values,
    }
}

/// How many different values there are, and those that waste the most.
fn values(heap: &Analysis<'_>, spots: &mut [Spot], disclosure: Disclosure) -> (u64, Vec<Repeated>) {
    spots.sort_unstable_by_key(|spot| spot.value);
    let mut sums: Vec<(u64, &[Spot])> = spots
        .chunk_by(|one, other| one.value == other.value)
        .map(|spots| (spots.iter().map(|spot| spot.saved).sum(), spots))
        .collect();
    let distinct = sums.len() as u64;
    sums.sort_by_key(|(saved, _)| Reverse(*saved));
    let repeated = |(saved, spots): &(u64, &[Spot])| Repeated {
        value: spots
            .first()
            .and_then(|spot| heap.names().value(heap.graph.address(spot.node)?, disclosure)),
        objects: spots.len() as u64,
        saved: *saved,
    };
    (distinct, sums.iter().take(MOST_VALUES).map(repeated).collect())
}
