//! The object graph: every object with its type, its size and its references.
//!
//! Nodes have 32-bit numbers. Node 0 is the super-root, then come the [roots](crate::heap::trace::roots), the
//! containers, and the leaves, which refer to nothing (see [`numbering`](crate::heap::trace::numbering)).
//! Sizes have 32 bits as well, with the few larger ones kept apart: ten million objects have to fit into half
//! of the memory they take in the target.
//!
//! Over 400 lines, because a graph made by tracing and one made from a snapshot share every invariant.

use std::ops::Range;
use std::sync::Arc;

use super::object_table::ObjectTable;
use super::search::{Flow, Precedence};
use crate::heap::capture::copy::{Capture, Segments};
use crate::heap::ids::{NodeId, RootId, Slot};
use crate::heap::trace::discovery::Discovery;
use crate::heap::trace::notes::{Inconsistencies, UNKNOWN};
use crate::heap::trace::numbering::Numbering;
use crate::heap::trace::roots::{Root, RootKind};
use crate::heap::trace::trace_log::UnusualFacts;
use crate::python::gc::Generation;
use crate::python::objects::{TypeId, TypeInfo, TypeTable};

/// The objects of a heap, and how they refer to each other.
#[derive(Debug)]
pub struct Graph {
    numbering: Numbering,
    /// Translates slots to addresses in the target.
    segments: Arc<Segments>,
    types: Types,
    roots: Vec<Root>,
    /// The successors of the super-root and the roots.
    root_edges: Vec<Vec<NodeId>>,
    objects: ObjectTable,
    /// Objects in the program's files, in order.
    fixed: Vec<NodeId>,
    tracked: [Vec<NodeId>; Generation::ALL.len()],
    inconsistencies: Inconsistencies,
}

impl Graph {
    /// The graph of the objects discovered in a capture, with known roots only.
    pub(super) fn of_known_roots(
        capture: &Capture<'_>,
        discovery: Discovery,
        threads: usize,
    ) -> Graph {
        let Discovery { numbering, types, roots, tracked, inconsistencies, logs } = discovery;
        let objects = ObjectTable::of(&numbering, logs, threads);
        let fixed = fixed(capture, &numbering);
        let root_edges = vec![Vec::new(); 1 + roots.len()];
        let mut graph = Graph {
            numbering,
            segments: capture.shared_segments(),
            types: Types::Read(types),
            roots,
            root_edges,
            objects,
            fixed,
            tracked,
            inconsistencies,
        };
        graph.connect_known_roots(capture);
        graph
    }

    /// Sets the successors of the super-root and the roots, as far as they are known.
    fn connect_known_roots(&mut self, capture: &Capture<'_>) {
        let node_at = |&object: &u64| self.numbering.number(capture.segments().slot(object)?);
        for (node, root) in (0..).map(|root| RootId(root).node()).zip(&self.roots) {
            let above = match root.kind {
                RootKind::Frame { thread, .. } => thread.node(),
                RootKind::Interned | RootKind::Native | RootKind::Garbage => continue,
                _ => NodeId::ROOT,
            };
            if let Some(above) = self.root_edges.get_mut(above.index()) {
                above.push(node);
            }
            let mut nodes: Vec<NodeId> = match root.kind {
                RootKind::Static => self.fixed.clone(),
                _ => root.objects.iter().chain(&root.candidates).filter_map(node_at).collect(),
            };
            nodes.sort_unstable();
            nodes.dedup();
            if let Some(own) = self.root_edges.get_mut(node.index()) {
                own.append(&mut nodes);
            }
        }
    }

    /// The node of the first root of this kind.
    pub(crate) fn node_of_kind(&self, kind: &RootKind) -> Option<NodeId> {
        self.root_nodes().find(|(_, root)| root.kind == *kind).map(|(node, _)| node)
    }

    /// Adds an edge from the super-root or a root.
    pub(crate) fn add_root_edge(&mut self, from: NodeId, to: NodeId) {
        if let Some(edges) = self.root_edges.get_mut(from.index()) {
            edges.push(to);
        }
    }

    /// The roots; their nodes follow the super-root in this order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The roots, each with its node.
    pub fn root_nodes(&self) -> impl Iterator<Item = (NodeId, &Root)> {
        (0..).map(|root| RootId(root).node()).zip(&self.roots)
    }

    /// The root that a node stands for; `None` for the super-root and for objects.
    pub fn root_of_node(&self, node: NodeId) -> Option<RootId> {
        let root = RootId(node.0.checked_sub(1)?);
        (root.index() < self.roots.len()).then_some(root)
    }

    /// The root that a node stands for, with its details.
    pub fn root(&self, node: NodeId) -> Option<&Root> {
        self.roots.get(self.root_of_node(node)?.index())
    }

    /// The node of the root of all garbage.
    pub fn garbage(&self) -> Option<NodeId> {
        self.node_of_kind(&RootKind::Garbage)
    }

    /// The nodes that are objects.
    pub fn objects(
        &self,
    ) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + Clone + use<> {
        self.first_object().up_to(self.end())
    }

    /// The first of the nodes that are objects.
    pub fn first_object(&self) -> NodeId {
        self.numbering.first_container()
    }

    /// The index of a node among the objects.
    #[inline]
    pub fn object_index(&self, node: NodeId) -> Option<usize> {
        node.index().checked_sub(self.first_object().index())
    }

    /// The node of the object at this address.
    #[inline]
    pub fn node(&self, address: u64) -> Option<NodeId> {
        self.numbering.number(self.segments.slot(address)?)
    }

    /// The address of an object.
    pub fn address(&self, node: NodeId) -> Option<u64> {
        self.segments.address(self.numbering.slot(node)?)
    }

    /// The number of an object's type; `None` for other nodes, and if the object could not be described.
    pub fn type_id(&self, node: NodeId) -> Option<TypeId> {
        let id = self.objects.facts(node).type_id;
        (id != UNKNOWN).then_some(id)
    }

    /// The type of an object.
    pub fn type_info(&self, node: NodeId) -> Option<&TypeInfo> {
        self.types.get(self.type_id(node)?)
    }

    /// The types of all objects.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// An object's own size, in bytes: [`Shape::shallow`](crate::python::objects::Shape::shallow).
    pub fn shallow(&self, node: NodeId) -> u64 {
        self.size(node).saturating_sub(self.external(node)).saturating_sub(self.header(node))
    }

    /// The bytes that it owns elsewhere: [`Shape::external`](crate::python::objects::Shape::external).
    pub fn external(&self, node: NodeId) -> u64 {
        self.objects.facts(node).external
    }

    /// The bytes before its address: [`Shape::header`](crate::python::objects::Shape::header).
    pub fn header(&self, node: NodeId) -> u64 {
        match self.type_info(node) {
            Some(info) if info.is_metatype() && self.is_fixed(node) => 0,
            Some(info) => info.header,
            None => 0,
        }
    }

    /// The full size of an object: its own bytes, those before it, and those that it owns elsewhere.
    #[inline]
    pub fn size(&self, node: NodeId) -> u64 {
        self.objects.facts(node).size
    }

    /// The objects in the program's files, in order.
    pub(crate) fn fixed(&self) -> &[NodeId] {
        &self.fixed
    }

    /// The addresses of the pages that have objects, in the order of the numbers of these.
    pub(crate) fn pages(&self, page: u64) -> Vec<u64> {
        let words = (page / Slot::BYTES) as u32;
        let pages = self.numbering.blocks(words).map(|block| Slot(block.saturating_mul(words)));
        pages.filter_map(|slot| self.segments.address(slot)).collect()
    }

    /// The range of a container's references among all references; only in a graph made from parts.
    pub(crate) fn edges_of_row(&self, row: usize) -> Range<usize> {
        self.objects.edges_of_row(row)
    }

    /// Whether an object is in the program's files.
    fn is_fixed(&self, node: NodeId) -> bool {
        self.fixed.binary_search(&node).is_ok()
    }

    /// The objects that the collector tracks, by generation, youngest first.
    pub fn tracked(&self) -> &[Vec<NodeId>; Generation::ALL.len()] {
        &self.tracked
    }

    /// The inconsistencies met in tracing.
    pub fn inconsistencies(&self) -> Inconsistencies {
        self.inconsistencies
    }
}

impl Flow for Graph {
    fn first_leaf(&self) -> NodeId {
        self.numbering.first_leaf()
    }

    fn end(&self) -> NodeId {
        self.numbering.end()
    }

    #[inline]
    fn successors(&self, node: NodeId) -> &[NodeId] {
        match self.root_edges.get(node.index()) {
            Some(edges) => edges,
            None => self.objects.references(node),
        }
    }

    #[inline]
    fn prefetch(&self, node: NodeId) {
        self.objects.prefetch_references(node);
    }

    fn precedence(&self, node: NodeId) -> Precedence {
        match self.root(node).map(|root| &root.kind) {
            Some(RootKind::Native | RootKind::Interned) => Precedence::Inferred,
            Some(RootKind::Garbage) => Precedence::Last,
            _ => Precedence::Known,
        }
    }
}

/// The types of all objects.
#[derive(Debug)]
pub enum Types {
    /// As read from the capture, able to read their objects.
    Read(Arc<TypeTable>),
    /// As loaded from a snapshot file.
    Kept(Vec<TypeInfo>),
}

impl Types {
    /// The type with this number.
    #[inline]
    pub fn get(&self, id: TypeId) -> Option<&TypeInfo> {
        match self {
            Types::Read(table) => table.get(id),
            Types::Kept(types) => types.get(id.0 as usize),
        }
    }

    /// The number of types, and the upper bound of their numbers.
    pub fn count(&self) -> usize {
        match self {
            Types::Read(table) => table.count(),
            Types::Kept(types) => types.len(),
        }
    }

    /// All types, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &TypeInfo> {
        (0..self.count() as u32).filter_map(|number| self.get(TypeId(number)))
    }
}

/// The parts of a graph, for a loader that already knows them.
#[derive(Debug)]
pub(crate) struct GraphParts {
    numbering: Numbering,
    segments: Arc<Segments>,
    types: Vec<TypeInfo>,
    roots: Vec<Root>,
    objects: ObjectTable,
    inconsistencies: Inconsistencies,
    /// The successors of the super-root and of each root.
    pub root_edges: Vec<Vec<NodeId>>,
    /// Objects in the program's files, in order.
    pub fixed: Vec<NodeId>,
    /// The objects on each of the collector's lists.
    pub tracked: [Vec<NodeId>; Generation::ALL.len()],
}

impl GraphParts {
    /// A graph with no objects or references yet.
    pub fn new(
        numbering: Numbering,
        segments: Segments,
        types: Vec<TypeInfo>,
        roots: Vec<Root>,
        inconsistencies: Inconsistencies,
    ) -> GraphParts {
        GraphParts {
            objects: ObjectTable::empty(numbering.first_container()),
            root_edges: vec![Vec::new(); 1 + roots.len()],
            numbering,
            segments: Arc::new(segments),
            types,
            roots,
            inconsistencies,
            fixed: Vec::new(),
            tracked: Default::default(),
        }
    }

    /// The first object.
    pub fn first(&self) -> NodeId {
        self.numbering.first_container()
    }

    /// One past the last node.
    pub fn end(&self) -> NodeId {
        self.numbering.end()
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.numbering.first_container().up_to(self.numbering.end())
    }

    /// The number of containers.
    pub fn containers(&self) -> usize {
        self.numbering.first_leaf().index() - self.numbering.first_container().index()
    }

    /// The number of types.
    pub fn type_count(&self) -> u32 {
        self.types.len() as u32
    }

    /// For each root, the address of its frame, if it is one.
    pub fn frames(&self) -> impl Iterator<Item = Option<u64>> {
        self.roots.iter().map(|root| match root.kind {
            RootKind::Frame { frame, .. } => Some(frame),
            _ => None,
        })
    }

    /// Describes the next object.
    pub fn add_object(&mut self, node: NodeId, type_id: Option<TypeId>, size: u64, external: u64) {
        let type_id = type_id.unwrap_or(UNKNOWN);
        self.objects.add(node, UnusualFacts { type_id, size, external });
    }

    /// Adds a reference to the current container.
    pub fn add_edge(&mut self, target: NodeId) {
        self.objects.add_edge(target);
    }

    /// Ends the references of the current container.
    pub fn end_row(&mut self) {
        self.objects.end_row();
    }

    /// The graph.
    pub fn into_graph(self) -> Graph {
        Graph {
            numbering: self.numbering,
            segments: self.segments,
            types: Types::Kept(self.types),
            roots: self.roots,
            root_edges: self.root_edges,
            objects: self.objects,
            fixed: self.fixed,
            tracked: self.tracked,
            inconsistencies: self.inconsistencies,
        }
    }
}

/// The numbers of the objects in the program's files, in order.
fn fixed(capture: &Capture<'_>, numbering: &Numbering) -> Vec<NodeId> {
    let [mut containers, mut leaves] = [Vec::new(), Vec::new()];
    for slots in capture.slots_of_program() {
        let [some_containers, some_leaves] = numbering.between(slots);
        containers.extend(some_containers.start.up_to(some_containers.end));
        leaves.extend(some_leaves.start.up_to(some_leaves.end));
    }
    containers.append(&mut leaves);
    containers.sort_unstable();
    containers
}
