//! The object graph: every object with its type, its size and what it refers to.
//!
//! Nodes have 32-bit numbers. Node 0 is the root of all, then come the [roots](super::roots), then the
//! containers, then the leaves, which refer to nothing (see [`census`](super::census)). Sizes have 32
//! bits as well, and the few that are larger a place of their own: ten million objects have to fit into
//! half of what they take in the target.
//!
//! Objects are described in the order of their addresses, by several threads; each describes a block of
//! containers or leaves at a time, and the edges of a block stay together.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustc_hash::FxHashMap;

use super::capture::Capture;
use super::census::Census;
use super::discovery::{Discovery, Inconsistencies};
use super::dominators::Flow;
use super::orphans::Orphans;
use super::roots::{Root, RootKind};
use crate::python::gc::Generation;
use crate::python::objects::{Decoder, Edges, Kind, TypeId};

/// Nodes of a block.
const BLOCK: usize = 1 << 14;
/// In place of a size that has its own place.
const LARGE: u32 = u32::MAX;
/// In place of the type of an object that could not be described.
const UNKNOWN: TypeId = TypeId(u32::MAX);

/// The objects of a heap, and how they refer to each other.
#[derive(Debug)]
pub struct Graph {
    census: Census,
    decoder: Decoder,
    roots: Vec<Root>,
    /// What the root of all and the roots lead to.
    root_edges: Vec<Vec<u32>>,
    objects: Objects,
    tracked: [Vec<u32>; Generation::ALL.len()],
    inconsistencies: Inconsistencies,
}

/// What is known of each object.
#[derive(Debug)]
struct Objects {
    /// The type of each, as the decoder numbers them.
    kinds: Vec<TypeId>,
    /// The size of each, in bytes.
    sizes: Vec<u32>,
    /// What the containers lead to, a block of them at a time.
    blocks: Vec<Block>,
    /// What few objects have.
    rare: Rare,
}

/// The edges of a block of containers.
#[derive(Debug, Default)]
struct Block {
    /// Where the edges of each end.
    ends: Vec<u32>,
    targets: Vec<u32>,
}

/// What few objects have, by their numbers.
#[derive(Debug, Default)]
struct Rare {
    /// A size that does not fit.
    large: FxHashMap<u32, u64>,
    /// Bytes that they own elsewhere.
    external: FxHashMap<u32, u64>,
    /// They come with the program's files.
    fixed: Vec<u32>,
    unreadable: u64,
}

impl Graph {
    /// Describes the objects that were discovered in a capture, with so many threads.
    pub fn of(capture: &Capture<'_>, discovery: Discovery, threads: usize) -> Graph {
        let mut objects = Objects::describe(capture, &discovery, threads.max(1));
        let Discovery { census, decoder, roots, tracked, mut inconsistencies, .. } = discovery;
        inconsistencies.unreadable += objects.rare.unreadable;
        objects.rare.fixed.sort_unstable();
        let root_edges = root_edges(capture, &census, &roots, &objects.rare.fixed);
        let mut graph =
            Graph { census, decoder, roots, root_edges, objects, tracked, inconsistencies };
        let orphans = Orphans::of(&graph, capture);
        graph.set_root_edges(&RootKind::Interned, orphans.interned);
        graph.set_root_edges(&RootKind::Native, orphans.native);
        graph.set_root_edges(&RootKind::Garbage, orphans.garbage);
        graph
    }

    fn set_root_edges(&mut self, kind: &RootKind, nodes: Vec<u32>) {
        let root = self.roots.iter().position(|root| root.kind == *kind);
        if let Some(edges) = root.and_then(|root| self.root_edges.get_mut(1 + root)) {
            *edges = nodes;
        }
    }

    /// The roots; their nodes follow the root of all, in this order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The root that a node stands for.
    pub fn root(&self, node: u32) -> Option<&Root> {
        self.roots.get((node as usize).checked_sub(1)?)
    }

    /// The nodes that are objects.
    pub fn objects(&self) -> Range<u32> {
        self.census.first_container()..self.census.end()
    }

    /// The node of the object at this address.
    pub fn node(&self, capture: &Capture<'_>, address: u64) -> Option<u32> {
        self.census.number(capture.segments().slot(address)?)
    }

    /// The address of an object.
    pub fn address(&self, capture: &Capture<'_>, node: u32) -> Option<u64> {
        capture.segments().address(self.census.slot(node)?)
    }

    /// The number of an object's type; `None` for what is no object or could not be described.
    pub fn kind_id(&self, node: u32) -> Option<TypeId> {
        let kind = *self.objects.kinds.get(self.index(node)?)?;
        (kind != UNKNOWN).then_some(kind)
    }

    /// The type of an object.
    pub fn kind(&self, node: u32) -> Option<&Kind> {
        self.decoder.kind(self.kind_id(node)?)
    }

    /// All types; their places are their numbers.
    pub fn kinds(&self) -> &[Kind] {
        self.decoder.kinds()
    }

    /// The decoder that described the objects.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// An object's own size, in bytes: [`Shape::shallow`](crate::python::objects::Shape::shallow).
    pub fn shallow(&self, node: u32) -> u64 {
        let size = self.index(node).and_then(|index| self.objects.sizes.get(index));
        match size {
            None => 0,
            Some(&LARGE) => self.objects.rare.large.get(&node).copied().unwrap_or_default(),
            Some(&size) => size.into(),
        }
    }

    /// What it owns elsewhere, in bytes: [`Shape::external`](crate::python::objects::Shape::external).
    pub fn external(&self, node: u32) -> u64 {
        self.objects.rare.external.get(&node).copied().unwrap_or_default()
    }

    /// What it has before its address, in bytes: [`Shape::header`](crate::python::objects::Shape::header).
    pub fn header(&self, node: u32) -> u64 {
        match self.kind(node) {
            Some(kind) if kind.is_metatype() && self.is_fixed(node) => 0,
            Some(kind) => kind.header,
            None => 0,
        }
    }

    /// All bytes that go with an object: its own, those before it, and those that it owns elsewhere.
    pub fn size(&self, node: u32) -> u64 {
        let own = self.shallow(node).saturating_add(self.header(node));
        match self.objects.rare.external.is_empty() {
            true => own,
            false => own.saturating_add(self.external(node)),
        }
    }

    /// Whether an object comes with the program's files.
    fn is_fixed(&self, node: u32) -> bool {
        self.objects.rare.fixed.binary_search(&node).is_ok()
    }

    /// The objects that the collector tracks: those of each generation, the youngest first.
    pub fn tracked(&self) -> &[Vec<u32>; Generation::ALL.len()] {
        &self.tracked
    }

    /// What did not fit together.
    pub fn inconsistencies(&self) -> Inconsistencies {
        self.inconsistencies
    }

    fn index(&self, node: u32) -> Option<usize> {
        node.checked_sub(self.census.first_container()).map(|index| index as usize)
    }
}

impl Flow for Graph {
    fn first_leaf(&self) -> u32 {
        self.census.first_leaf()
    }

    fn end(&self) -> u32 {
        self.census.end()
    }

    #[inline]
    fn successors(&self, node: u32) -> &[u32] {
        match self.index(node) {
            None => self.root_edges.get(node as usize).map_or(&[], Vec::as_slice),
            Some(index) => {
                let block = self.objects.blocks.get(index / BLOCK);
                block.map_or(&[], |block| block.targets_of(index % BLOCK))
            }
        }
    }
}

impl Block {
    #[inline]
    fn targets_of(&self, index: usize) -> &[u32] {
        let end = |index: usize| self.ends.get(index).map_or(0, |&end| end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.targets.get(start..end(index)).unwrap_or_default()
    }
}

/// What the root of all and the roots lead to, as far as it is known.
fn root_edges(
    capture: &Capture<'_>,
    census: &Census,
    roots: &[Root],
    fixed: &[u32],
) -> Vec<Vec<u32>> {
    let number = |&object: &u64| census.number(capture.segments().slot(object)?);
    let mut edges = vec![Vec::new(); 1 + roots.len()];
    for (node, root) in (1_u32..).zip(roots) {
        let above = match root.kind {
            RootKind::Frame { thread, .. } => 1 + thread,
            _ => 0,
        };
        if let Some(above) = edges.get_mut(above as usize) {
            above.push(node);
        }
        let mut nodes: Vec<u32> = match root.kind {
            RootKind::Static => fixed.to_vec(),
            _ => root.objects.iter().chain(&root.candidates).filter_map(number).collect(),
        };
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(own) = edges.get_mut(node as usize) {
            own.append(&mut nodes);
        }
    }
    edges
}

/// What a thread describes at a time: so many objects, and the place for what is found.
struct Work<'a> {
    /// The number of the first of them.
    first: u32,
    kinds: &'a mut [TypeId],
    sizes: &'a mut [u32],
    /// For containers.
    block: Option<&'a mut Block>,
}

impl Objects {
    fn describe(capture: &Capture<'_>, discovery: &Discovery, threads: usize) -> Objects {
        let census = &discovery.census;
        let (first, first_leaf) = (census.first_container(), census.first_leaf());
        let count = (census.end() - first) as usize;
        let containers = (first_leaf - first) as usize;
        let mut objects = Objects {
            kinds: vec![UNKNOWN; count],
            sizes: vec![0; count],
            blocks: (0..containers.div_ceil(BLOCK)).map(|_| Block::default()).collect(),
            rare: Rare::default(),
        };
        let (kinds, leaf_kinds) = objects.kinds.split_at_mut(containers);
        let (sizes, leaf_sizes) = objects.sizes.split_at_mut(containers);
        let containers =
            kinds.chunks_mut(BLOCK).zip(sizes.chunks_mut(BLOCK)).zip(&mut objects.blocks);
        let containers =
            (first..).step_by(BLOCK).zip(containers).map(|(first, ((kinds, sizes), block))| Work {
                first,
                kinds,
                sizes,
                block: Some(block),
            });
        let leaves = leaf_kinds.chunks_mut(BLOCK).zip(leaf_sizes.chunks_mut(BLOCK));
        let leaves = (first_leaf..)
            .step_by(BLOCK)
            .zip(leaves)
            .map(|(first, (kinds, sizes))| Work { first, kinds, sizes, block: None });
        let work = Mutex::new(containers.chain(leaves));
        let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
        let mut found: Vec<Rare> = Vec::new();
        thread::scope(|scope| {
            let describe = || {
                let mut describer = Describer::new(capture, discovery);
                while let Some(work) = next() {
                    describer.describe(work);
                }
                describer.rare
            };
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(describe)).collect();
            found.push(describe());
            for other in others {
                found.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
        for rare in found {
            objects.rare.large.extend(rare.large);
            objects.rare.external.extend(rare.external);
            objects.rare.fixed.extend(rare.fixed);
            objects.rare.unreadable += rare.unreadable;
        }
        objects
    }
}

/// Describes objects, in one thread.
struct Describer<'a> {
    capture: &'a Capture<'a>,
    discovery: &'a Discovery,
    decoder: Decoder,
    edges: Edges,
    rare: Rare,
}

impl<'a> Describer<'a> {
    fn new(capture: &'a Capture<'a>, discovery: &'a Discovery) -> Describer<'a> {
        let decoder = discovery.decoder.clone();
        Describer { capture, discovery, decoder, edges: Edges::new(), rare: Rare::default() }
    }

    fn describe(&mut self, work: Work<'_>) {
        let census = &self.discovery.census;
        let segments = self.capture.segments();
        let Work { first, kinds, sizes, block } = work;
        let places = kinds.iter_mut().zip(sizes);
        match block {
            None => {
                let leaves = segments.addresses(census.leaves_from(first));
                for (number, (object, (kind, size))) in (first..).zip(leaves.zip(places)) {
                    self.object(number, object, kind, size);
                }
            }
            Some(block) => {
                let containers = segments.addresses(census.containers_from(first));
                for (number, (object, (kind, size))) in (first..).zip(containers.zip(places)) {
                    self.object(number, object, kind, size);
                    self.add_edges(block);
                }
                block.targets.shrink_to_fit();
            }
        }
    }

    fn object(&mut self, number: u32, object: u64, kind: &mut TypeId, size: &mut u32) {
        if self.capture.is_of_program(object) {
            self.rare.fixed.push(number);
        }
        let Ok(shape) = self.decoder.describe(self.capture, object, &mut self.edges) else {
            self.rare.unreadable += 1;
            return;
        };
        *kind = shape.kind;
        *size = match u32::try_from(shape.shallow) {
            Ok(size) if size != LARGE => size,
            _ => {
                self.rare.large.insert(number, shape.shallow);
                LARGE
            }
        };
        if shape.external != 0 {
            self.rare.external.insert(number, shape.external);
        }
    }

    /// Adds the edges of the object that was described last.
    fn add_edges(&mut self, block: &mut Block) {
        let segments = self.capture.segments();
        let number = |&child: &u64| self.discovery.census.number(segments.slot(child)?);
        let Edges { shown, held, candidates } = &self.edges;
        let children = shown.iter().chain(held).chain(candidates);
        block.targets.extend(children.filter_map(number));
        block.ends.push(block.targets.len() as u32);
    }
}
