//! The object graph: every object with its type, its size and what it refers to.
//!
//! Nodes have 32-bit numbers. Node 0 is the root of all, then come the [roots](crate::heap::trace::roots), then the
//! containers, then the leaves, which refer to nothing (see [`census`](crate::heap::trace::numbering)). Sizes have 32
//! bits as well, and the few that do not fit a place of their own: ten million objects have to fit into
//! half of what they take in the target.

use std::ops::Range;

use super::build::Assembly;
use super::search::{Flow, Search};
use super::unreachable::connect_orphans;
use crate::heap::capture::copy::Capture;
use crate::heap::trace::discovery::{Discovery, Inconsistencies};
use crate::heap::trace::numbering::Census;
use crate::heap::trace::roots::{Root, RootKind};
use crate::heap::trace::tracer::UNKNOWN;
use crate::python::gc::Generation;
use crate::python::objects::{TypeId, TypeInfo, TypeTable};

/// The objects of a heap, and how they refer to each other.
#[derive(Debug)]
pub struct Graph {
    census: Census,
    types: TypeTable,
    roots: Vec<Root>,
    /// What the root of all and the roots lead to.
    root_edges: Vec<Vec<u32>>,
    objects: Assembly,
    /// Objects that come with the program's files, in order.
    fixed: Vec<u32>,
    tracked: [Vec<u32>; Generation::ALL.len()],
    inconsistencies: Inconsistencies,
}

impl Graph {
    /// Makes the graph of what was discovered in a capture, with so many threads, and searches it from its
    /// root, as [`Dominators`](crate::heap::Dominators) need it.
    pub fn of(capture: &Capture<'_>, discovery: Discovery, threads: usize) -> (Graph, Search) {
        let Discovery { census, types, roots, tracked, inconsistencies, ledgers } = discovery;
        let objects = Assembly::of(&census, ledgers, threads);
        let fixed = fixed(capture, &census);
        let root_edges = vec![Vec::new(); 1 + roots.len()];
        let mut graph =
            Graph { census, types, roots, root_edges, objects, fixed, tracked, inconsistencies };
        graph.connect_known_roots(capture);
        let mut search = Search::of(&graph);
        connect_orphans(&mut graph, &mut search, capture);
        (graph, search)
    }

    /// Says what the root of all and the roots lead to, as far as it is known.
    fn connect_known_roots(&mut self, capture: &Capture<'_>) {
        let number = |&object: &u64| self.census.number(capture.segments().slot(object)?);
        for (node, root) in (1_u32..).zip(&self.roots) {
            let above = match root.kind {
                RootKind::Frame { thread, .. } => 1 + thread,
                RootKind::Interned | RootKind::Native | RootKind::Garbage => continue,
                _ => 0,
            };
            if let Some(above) = self.root_edges.get_mut(above as usize) {
                above.push(node);
            }
            let mut nodes: Vec<u32> = match root.kind {
                RootKind::Static => self.fixed.clone(),
                _ => root.objects.iter().chain(&root.candidates).filter_map(number).collect(),
            };
            nodes.sort_unstable();
            nodes.dedup();
            if let Some(own) = self.root_edges.get_mut(node as usize) {
                own.append(&mut nodes);
            }
        }
    }

    /// The node of the first root of this kind.
    pub(crate) fn node_of_root(&self, kind: &RootKind) -> Option<u32> {
        self.roots.iter().position(|root| root.kind == *kind).map(|index| 1 + index as u32)
    }

    /// Lets the root of all, or a root, lead to one more node.
    pub(crate) fn add_root_edge(&mut self, from: u32, to: u32) {
        if let Some(edges) = self.root_edges.get_mut(from as usize) {
            edges.push(to);
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
    pub fn type_id(&self, node: u32) -> Option<TypeId> {
        let id = self.objects.facts(node).type_id;
        (id != UNKNOWN).then_some(id)
    }

    /// The type of an object.
    pub fn type_info(&self, node: u32) -> Option<&TypeInfo> {
        self.types.get(self.type_id(node)?)
    }

    /// The types of all objects.
    pub fn types(&self) -> &TypeTable {
        &self.types
    }

    /// An object's own size, in bytes: [`Shape::shallow`](crate::python::objects::Shape::shallow).
    pub fn shallow(&self, node: u32) -> u64 {
        self.size(node).saturating_sub(self.external(node)).saturating_sub(self.header(node))
    }

    /// What it owns elsewhere, in bytes: [`Shape::external`](crate::python::objects::Shape::external).
    pub fn external(&self, node: u32) -> u64 {
        self.objects.facts(node).external
    }

    /// What it has before its address, in bytes: [`Shape::header`](crate::python::objects::Shape::header).
    pub fn header(&self, node: u32) -> u64 {
        match self.type_info(node) {
            Some(info) if info.is_metatype() && self.is_fixed(node) => 0,
            Some(info) => info.header,
            None => 0,
        }
    }

    /// All bytes that go with an object: its own, those before it, and those that it owns elsewhere.
    #[inline]
    pub fn size(&self, node: u32) -> u64 {
        self.objects.facts(node).size
    }

    /// Whether an object comes with the program's files.
    fn is_fixed(&self, node: u32) -> bool {
        self.fixed.binary_search(&node).is_ok()
    }

    /// The objects that the collector tracks: those of each generation, the youngest first.
    pub fn tracked(&self) -> &[Vec<u32>; Generation::ALL.len()] {
        &self.tracked
    }

    /// What did not fit together.
    pub fn inconsistencies(&self) -> Inconsistencies {
        self.inconsistencies
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
        match self.root_edges.get(node as usize) {
            Some(edges) => edges,
            None => self.objects.references(node),
        }
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        self.objects.prefetch_references(node);
    }
}

/// The numbers of the objects that come with the program's files, in order.
fn fixed(capture: &Capture<'_>, census: &Census) -> Vec<u32> {
    let [mut containers, mut leaves] = [Vec::new(), Vec::new()];
    for slots in capture.slots_of_program() {
        let [some_containers, some_leaves] = census.between(slots);
        containers.extend(some_containers);
        leaves.extend(some_leaves);
    }
    containers.append(&mut leaves);
    containers.sort_unstable();
    containers
}
