//! The nodes of merged paths: a tree of names, each with its objects.
//!
//! Names come from the target, so the depth of the tree, the children per node and the number of nodes are
//! bounded: what exceeds a bound is put on the last node within it. A name that already occurs twice on the
//! way down is not added a third time: a linked list of a million nodes is one node here.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Line, What};
use crate::heap::{Analysis, Names, NodeId};
use crate::python::Frame;
use crate::python::objects::EdgeNames;

/// The maximum depth of a place.
const DEEPEST: u32 = 200;
/// The maximum number of children of a place.
const MOST_CHILDREN: u32 = 2_000;
/// The maximum number of places.
const MOST: usize = 200_000;
/// How often a name may occur on the way to a place.
const REPEATS: usize = 2;

/// The most objects of a place that are asked which function they are.
const MOST_ASKED: usize = 1_000;

/// The place before all others.
pub const TOP: u32 = 0;

/// What a place stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// A root other than a frame.
    Root(Arc<str>),
    /// A frame.
    Frame(Frame),
    /// Objects: how they are held, and their type.
    Objects(Option<Arc<str>>, Arc<str>),
}

#[derive(Debug)]
struct Place {
    before: u32,
    part: Option<Part>,
    depth: u32,
    children: u32,
    ends: u64,
}

/// An object at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    place: u32,
    node: NodeId,
    /// The number of steps that led to it.
    depth: u32,
}

/// All places.
#[derive(Debug)]
pub struct Places {
    /// Whether each object is on one path only, a shortest one.
    is_shortest: bool,
    places: Vec<Place>,
    numbers: FxHashMap<(u32, Part), u32>,
    entries: Vec<Entry>,
}

impl Places {
    /// `is_shortest` says whether each path is the only one to its object, and a shortest one.
    pub fn new(is_shortest: bool) -> Places {
        let top = Place { before: TOP, part: None, depth: 0, children: 0, ends: 0 };
        let (numbers, entries) = (FxHashMap::default(), Vec::new());
        Places { is_shortest, places: vec![top], numbers, entries }
    }

    /// The place of a root or a frame after another.
    pub fn root(&mut self, before: u32, part: Part) -> u32 {
        self.named(before, part)
    }

    /// The place of objects of this type that are held by this link.
    pub fn objects(&mut self, before: u32, link: Option<Arc<str>>, kind: Arc<str>) -> u32 {
        self.named(before, Part::Objects(link, kind))
    }

    fn named(&mut self, before: u32, part: Part) -> u32 {
        let key = (before, part);
        if let Some(&known) = self.numbers.get(&key) {
            return known;
        }
        let place = match (self.repeated(before, &key.1), self.place(before)) {
            (Some(above), _) => above,
            (None, Some(place))
                if place.depth < DEEPEST
                    && place.children < MOST_CHILDREN
                    && self.places.len() < MOST =>
            {
                let depth = place.depth + 1;
                self.push(before, key.1.clone(), depth)
            }
            // Not remembered: there may be any number of such names.
            _ => return before,
        };
        self.numbers.insert(key, place);
        place
    }

    /// Puts an object at a place: `ends` paths end with it, after `depth` steps.
    pub fn add(&mut self, place: u32, node: NodeId, depth: u32, ends: u64) {
        self.entries.push(Entry { place, node, depth });
        if let Some(place) = self.places.get_mut(place as usize) {
            place.ends = place.ends.saturating_add(ends);
        }
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(number as usize)
    }

    fn push(&mut self, before: u32, part: Part, depth: u32) -> u32 {
        let number = self.places.len() as u32;
        if let Some(before) = self.places.get_mut(before as usize) {
            before.children += 1;
        }
        self.places.push(Place { before, part: Some(part), depth, children: 0, ends: 0 });
        number
    }

    /// The nearest place with this name on the way back, if the name occurs there often enough.
    fn repeated(&self, from: u32, part: &Part) -> Option<u32> {
        let mut next = from;
        let way = std::iter::from_fn(|| {
            let place = self.place(next).filter(|_| next != TOP)?;
            let number = next;
            next = place.before;
            Some((number, place))
        });
        let mut same = way.filter(|(_, place)| {
            matches!(part, Part::Objects(..)) && place.part.as_ref() == Some(part)
        });
        let (nearest, _) = same.next()?;
        (same.count() + 1 >= REPEATS).then_some(nearest)
    }

    /// All places but the top, each before those after it, those that retain the most first.
    pub fn into_lines(mut self, heap: &Analysis<'_>, names: Names<'_>) -> Vec<Line> {
        self.entries.sort_unstable();
        self.entries.dedup_by_key(|entry| (entry.place, entry.node));
        let mut lines: Vec<Option<Line>> = (0..)
            .zip(&self.places)
            .map(|(number, place)| self.line(heap, names, number, place))
            .collect();
        // What is below a root counts for the root.
        let mut weights: Vec<u64> = lines
            .iter()
            .map(|line| line.as_ref().and_then(|line| line.retained).unwrap_or_default())
            .collect();
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); self.places.len()];
        for (number, place) in self.places.iter().enumerate().skip(1).rev() {
            let paths = lines.get(number).and_then(Option::as_ref).map_or(0, |line| line.paths);
            let weight = weights.get(number).copied().unwrap_or_default();
            if let Some(Some(before)) = lines.get_mut(place.before as usize) {
                before.paths = before.paths.saturating_add(paths);
                if let (None, Some(sum)) = (before.retained, weights.get_mut(place.before as usize))
                {
                    *sum = sum.saturating_add(weight);
                }
            }
            if let Some(after) = after.get_mut(place.before as usize) {
                after.push(number as u32);
            }
        }
        let order = |number: &u32| {
            let line = lines.get(*number as usize).and_then(Option::as_ref);
            line.map(|line| std::cmp::Reverse((weights.get(*number as usize), line.paths)))
        };
        for places in &mut after {
            // Keeps the order of equals.
            places.reverse();
            places.sort_by_key(order);
        }
        let mut rest: Vec<u32> = after.first().into_iter().flatten().rev().copied().collect();
        let mut found = Vec::with_capacity(lines.len());
        while let Some(number) = rest.pop() {
            found.extend(lines.get_mut(number as usize).and_then(Option::take));
            rest.extend(after.get(number as usize).into_iter().flatten().rev());
        }
        found
    }

    fn line(
        &self,
        heap: &Analysis<'_>,
        names: Names<'_>,
        number: u32,
        place: &Place,
    ) -> Option<Line> {
        let start = self.entries.partition_point(|entry| entry.place < number);
        let rest = self.entries.get(start..).unwrap_or_default();
        let end = rest.partition_point(|entry| entry.place == number);
        let entries = rest.get(..end).unwrap_or_default();
        let largest = entries.iter().max_by_key(|entry| heap.amount(entry.node).bytes);
        let what = match place.part.clone()? {
            Part::Root(words) => What::Root(words),
            Part::Frame(frame) => What::Frame(frame),
            Part::Objects(link, kind) => What::Objects { link, kind },
        };
        Some(Line {
            depth: place.depth.saturating_sub(1),
            retained: matches!(what, What::Objects { .. }).then(|| self.retained(heap, entries)),
            what,
            paths: place.ends,
            ends: place.ends,
            objects: entries.len() as u64,
            address: largest.and_then(|entry| heap.graph.address(entry.node)),
            function: function(heap, names, entries),
            value: None,
        })
    }

    /// What the objects of a place retain together.
    fn retained(&self, heap: &Analysis<'_>, entries: &[Entry]) -> u64 {
        let mut depths = entries.iter().map(|entry| entry.depth);
        let first = depths.next();
        if self.is_shortest && depths.all(|depth| Some(depth) == first) {
            // On a shortest path, the dominator of an object is nearer to the root.
            let amounts = entries.iter().map(|entry| heap.amount(entry.node).bytes);
            return amounts.fold(0, u64::saturating_add);
        }
        let nodes: Vec<NodeId> = entries.iter().map(|entry| entry.node).collect();
        heap.retained_together(&nodes).bytes
    }
}

/// The function that all these objects are or run. Of many, some from all over the heap are asked.
fn function(heap: &Analysis<'_>, names: Names<'_>, entries: &[Entry]) -> Option<Frame> {
    let step = entries.len().div_ceil(MOST_ASKED).max(1);
    let asked = entries.iter().step_by(step);
    let mut functions = asked.map(|entry| names.defined(heap.graph.address(entry.node)?));
    let first = functions.next()??;
    functions.all(|function| function.as_ref() == Some(&first)).then_some(first)
}
