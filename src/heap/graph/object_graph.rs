//! The object graph: every object with its type, its size and what it refers to.
//!
//! Nodes have 32-bit numbers. Node 0 is the root of all, then come the [roots](crate::heap::trace::roots), then the
//! containers, then the leaves, which refer to nothing (see [`numbering`](crate::heap::trace::numbering)). Sizes have 32
//! bits as well, and the few that do not fit a place of their own: ten million objects have to fit into
//! half of what they take in the target.

use super::object_table::ObjectTable;
use super::search::{Flow, Precedence};
use crate::heap::capture::copy::Capture;
use crate::heap::ids::{NodeId, RootId};
use crate::heap::trace::discovery::Discovery;
use crate::heap::trace::notes::{Inconsistencies, UNKNOWN};
use crate::heap::trace::numbering::Numbering;
use crate::heap::trace::roots::{Root, RootKind};
use crate::python::gc::Generation;
use crate::python::objects::{TypeId, TypeInfo, TypeTable};

/// The objects of a heap, and how they refer to each other.
#[derive(Debug)]
pub struct Graph {
    numbering: Numbering,
    types: TypeTable,
    roots: Vec<Root>,
    /// What the root of all and the roots lead to.
    root_edges: Vec<Vec<NodeId>>,
    objects: ObjectTable,
    /// Objects that come with the program's files, in order.
    fixed: Vec<NodeId>,
    tracked: [Vec<NodeId>; Generation::ALL.len()],
    inconsistencies: Inconsistencies,
}

impl Graph {
    /// The graph of what was discovered in a capture, as far as roots are known.
    pub(super) fn of_known_roots(
        capture: &Capture<'_>,
        discovery: Discovery,
        threads: usize,
    ) -> Graph {
        let Discovery { numbering, types, roots, tracked, inconsistencies, logs } = discovery;
        let objects = ObjectTable::of(&numbering, logs, threads);
        let fixed = fixed(capture, &numbering);
        let root_edges = vec![Vec::new(); 1 + roots.len()];
        let mut graph =
            Graph { numbering, types, roots, root_edges, objects, fixed, tracked, inconsistencies };
        graph.connect_known_roots(capture);
        graph
    }

    /// Says what the root of all and the roots lead to, as far as it is known.
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

    /// Lets the root of all, or a root, lead to one more node.
    pub(crate) fn add_root_edge(&mut self, from: NodeId, to: NodeId) {
        if let Some(edges) = self.root_edges.get_mut(from.index()) {
            edges.push(to);
        }
    }

    /// The roots; their nodes follow the root of all, in this order.
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

    /// The root that a node stands for, and what is known of it.
    pub fn root(&self, node: NodeId) -> Option<&Root> {
        self.roots.get(self.root_of_node(node)?.index())
    }

    /// The node of the root that leads to all garbage.
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

    /// The place of a node among those that are objects.
    #[inline]
    pub fn object_index(&self, node: NodeId) -> Option<usize> {
        node.index().checked_sub(self.first_object().index())
    }

    /// The node of the object at this address.
    pub fn node(&self, capture: &Capture<'_>, address: u64) -> Option<NodeId> {
        self.numbering.number(capture.segments().slot(address)?)
    }

    /// The address of an object.
    pub fn address(&self, capture: &Capture<'_>, node: NodeId) -> Option<u64> {
        capture.segments().address(self.numbering.slot(node)?)
    }

    /// The number of an object's type; `None` for what is no object or could not be described.
    pub fn type_id(&self, node: NodeId) -> Option<TypeId> {
        let id = self.objects.facts(node).type_id;
        (id != UNKNOWN).then_some(id)
    }

    /// The type of an object.
    pub fn type_info(&self, node: NodeId) -> Option<&TypeInfo> {
        self.types.get(self.type_id(node)?)
    }

    /// The types of all objects.
    pub fn types(&self) -> &TypeTable {
        &self.types
    }

    /// An object's own size, in bytes: [`Shape::shallow`](crate::python::objects::Shape::shallow).
    pub fn shallow(&self, node: NodeId) -> u64 {
        self.size(node).saturating_sub(self.external(node)).saturating_sub(self.header(node))
    }

    /// What it owns elsewhere, in bytes: [`Shape::external`](crate::python::objects::Shape::external).
    pub fn external(&self, node: NodeId) -> u64 {
        self.objects.facts(node).external
    }

    /// What it has before its address, in bytes: [`Shape::header`](crate::python::objects::Shape::header).
    pub fn header(&self, node: NodeId) -> u64 {
        match self.type_info(node) {
            Some(info) if info.is_metatype() && self.is_fixed(node) => 0,
            Some(info) => info.header,
            None => 0,
        }
    }

    /// All bytes that go with an object: its own, those before it, and those that it owns elsewhere.
    #[inline]
    pub fn size(&self, node: NodeId) -> u64 {
        self.objects.facts(node).size
    }

    /// Whether an object comes with the program's files.
    fn is_fixed(&self, node: NodeId) -> bool {
        self.fixed.binary_search(&node).is_ok()
    }

    /// The objects that the collector tracks: those of each generation, the youngest first.
    pub fn tracked(&self) -> &[Vec<NodeId>; Generation::ALL.len()] {
        &self.tracked
    }

    /// What did not fit together.
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

/// The numbers of the objects that come with the program's files, in order.
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
