//! Writing a heap to a file.
//!
//! The columns of objects come first, then those of references, and last what was collected on the way: keys,
//! functions, roles. Of a program's data only names are written, unless values are asked for.

use std::path::Path;

use super::columns;
use super::container::{Column, Encoding, FileError, Writer, difference};
use super::facts::Facts;
use super::records::RootRecord;
use super::roles::{Functions, Roles, write_definitions, write_keys, write_values};
use super::runs::Runs;
use crate::heap::graph::search::Flow;
use crate::heap::ids::{NodeId, RootId};
use crate::heap::names::assign;
use crate::heap::names::kept::code;
use crate::heap::{Analysis, Composition, Graph, RootKind, RootNames};
use crate::inspect::waste::Waste;
use crate::python::collector::Collector;
use crate::python::objects::{Disclosure, EdgeNames, Role, TypeFacts, TypeInfo};
use crate::python::thread_dump::ThreadDump;

/// A heap to be written.
#[derive(Debug, Clone, Copy)]
pub struct Heap<'a> {
    /// The objects.
    pub analysis: &'a Analysis<'a>,
    /// The names of the roots.
    pub names: &'a RootNames,
    /// The state of the cycle collectors.
    pub collectors: &'a [Collector],
    /// Which process and moment it is from.
    pub facts: &'a Facts,
    /// The parts of the resident set, if known.
    pub composition: Option<&'a Composition>,
    /// The stacks of threads, if known.
    pub threads: Option<&'a ThreadDump>,
    /// What is needless in it, if known.
    pub waste: Option<&'a Waste>,
}

/// Writes a heap to a file with this name, and returns the length of the file in bytes. `progress` is called
/// with the part that is done, up to 1.
///
/// # Errors
/// The disk is full, or cannot be written: then no file is left.
pub fn write(path: &Path, heap: Heap<'_>, progress: &mut dyn FnMut(f64)) -> Result<u64, FileError> {
    let mut out = Writer::create(path)?;
    let graph = &heap.analysis.graph;
    json(&mut out, columns::FACTS, heap.facts)?;
    json(&mut out, columns::COLLECTORS, heap.collectors)?;
    if let Some(composition) = heap.composition {
        json(&mut out, columns::COMPOSITION, composition)?;
    }
    if let Some(threads) = heap.threads {
        json(&mut out, columns::THREADS, threads)?;
    }
    if let Some(waste) = heap.waste {
        json(&mut out, columns::WASTE, waste)?;
    }
    let types: Vec<TypeFacts> = graph.types().iter().map(TypeInfo::facts).collect();
    json(&mut out, columns::TYPES, &types)?;
    let name = |root: u32| heap.names.get(RootId(root));
    let roots: Vec<RootRecord> =
        (0..).zip(graph.roots()).map(|(root, known)| RootRecord::of(known, name(root))).collect();
    json(&mut out, columns::ROOTS, &roots)?;
    write_objects(&mut out, graph)?;
    progress(0.2);
    let mut references = References::new(heap.analysis, heap.facts.disclosure.into())?;
    references.find_namespaces();
    references.write(&mut out, &mut |part| progress(0.2 + 0.6 * part))?;
    progress(0.8);
    write_dominators(&mut out, heap.analysis)?;
    references.write_counts(&mut out)?;
    references.finish(&mut out)?;
    progress(1.0);
    out.finish()
}

/// Writes a document.
pub(super) fn json<T: serde::Serialize + ?Sized>(
    out: &mut Writer,
    column: &'static str,
    document: &T,
) -> Result<(), FileError> {
    let bytes = serde_json::to_vec(document).map_err(std::io::Error::from)?;
    out.bytes(column, &bytes)
}

fn number(node: NodeId) -> u64 {
    node.0.into()
}

/// Writes the addresses of objects, their types and sizes, which ones are in the program's files, and which
/// are tracked.
fn write_objects(out: &mut Writer, graph: &Graph) -> Result<(), FileError> {
    let runs = Runs::of(graph);
    out.numbers(columns::RUN_ADDRESS, Encoding::Differences, runs.addresses())?;
    out.numbers(columns::RUN_PAGES, Encoding::Numbers, runs.pages())?;
    let (first, first_leaf) = (graph.first_object(), graph.first_leaf());
    let words = |nodes: (NodeId, NodeId)| {
        let nodes = nodes.0.up_to(nodes.1);
        nodes.map(|node| graph.address(node).and_then(|at| runs.word(at)).unwrap_or_default())
    };
    let differences = Encoding::Differences;
    out.numbers(columns::CONTAINER_WORD, differences, words((first, first_leaf)))?;
    out.numbers(columns::LEAF_WORD, differences, words((first_leaf, graph.end())))?;
    let types = graph.objects().map(|node| graph.type_id(node).map_or(0, |id| 1 + u64::from(id.0)));
    out.numbers(columns::OBJECT_TYPE, Encoding::Numbers, types)?;
    let sizes = graph.objects().map(|node| graph.size(node));
    out.numbers(columns::OBJECT_SIZE, Encoding::Numbers, sizes)?;
    let external = || graph.objects().filter(|&node| graph.external(node) > 0);
    out.numbers(columns::EXTERNAL_NODE, differences, external().map(number))?;
    let bytes = external().map(|node| graph.external(node));
    out.numbers(columns::EXTERNAL_BYTES, Encoding::Numbers, bytes)?;
    out.numbers(columns::FIXED_NODE, differences, graph.fixed().iter().copied().map(number))?;
    for (column, nodes) in columns::GC_LISTS.into_iter().zip(graph.tracked()) {
        out.numbers(column, differences, nodes.iter().copied().map(number))?;
    }
    let above = || NodeId::ROOT.up_to(first);
    let counts = above().map(|node| graph.successors(node).len() as u64);
    out.numbers(columns::ROOT_COUNT, Encoding::Numbers, counts)?;
    let targets = above().flat_map(|node| graph.successors(node).iter().copied().map(number));
    out.numbers(columns::ROOT_TARGET, differences, targets)
}

fn write_dominators(out: &mut Writer, heap: &Analysis<'_>) -> Result<(), FileError> {
    let nodes = NodeId(1).up_to(heap.graph.end());
    let dominator = |node| heap.dominators.immediate(node).map_or(0, |above| 1 + number(above));
    out.numbers(columns::DOMINATOR, Encoding::Differences, nodes.map(dominator))
}

/// The references of a heap, while they are written.
struct References<'a> {
    heap: &'a Analysis<'a>,
    disclosure: Disclosure,
    roles: Roles,
    functions: Functions,
    /// For each object, the number of references to it in objects and frames.
    found: Vec<u32>,
    /// The nodes that are keys.
    keys: NodeSet,
    /// Needed if keys may not be shown: the dicts whose keys are names of attributes or variables, and those
    /// names.
    namespaces: NodeSet,
    attributes: NodeSet,
}

/// A set of nodes, a bit each.
#[derive(Debug)]
struct NodeSet(Vec<u64>);

impl NodeSet {
    fn new(nodes: usize) -> NodeSet {
        NodeSet(vec![0; nodes.div_ceil(64)])
    }

    fn add(&mut self, node: NodeId) {
        if let Some(bits) = self.0.get_mut(node.index() / 64) {
            *bits |= 1 << (node.index() % 64);
        }
    }

    fn contains(&self, node: NodeId) -> bool {
        self.0.get(node.index() / 64).is_some_and(|bits| bits >> (node.index() % 64) & 1 == 1)
    }
}

/// The columns of references.
struct EdgeColumns {
    counts: Column,
    roles: Column,
    targets: Column,
    keys: Column,
    /// The target of the last edge with each code.
    last: Vec<u64>,
}

impl<'a> References<'a> {
    fn new(heap: &'a Analysis<'a>, disclosure: Disclosure) -> Result<References<'a>, FileError> {
        let objects = heap.graph.end().index();
        Ok(References {
            heap,
            disclosure,
            roles: Roles::default(),
            functions: Functions::default(),
            found: vec![0; objects],
            keys: NodeSet::new(objects),
            namespaces: NodeSet::new(objects),
            attributes: NodeSet::new(objects),
        })
    }

    /// Finds the dicts whose keys are names of attributes or variables: those are shown even if other keys
    /// are not.
    fn find_namespaces(&mut self) {
        if self.disclosure != Disclosure::Names {
            return;
        }
        let graph = &self.heap.graph;
        for root in graph.roots() {
            if matches!(root.kind, RootKind::Module { .. }) {
                root.objects
                    .iter()
                    .filter_map(|&at| graph.node(at))
                    .for_each(|node| self.namespaces.add(node));
            }
        }
        let names = self.heap.names();
        let mut found = Vec::new();
        for node in graph.first_object().up_to(graph.first_leaf()) {
            found.clear();
            if let Some(address) = graph.address(node) {
                names.roles(address, &mut found);
            }
            for &(object, role) in &found {
                if let (Role::Field("__dict__" | "__kwdefaults__"), Some(dict)) =
                    (role, graph.node(object))
                {
                    self.namespaces.add(dict);
                }
            }
        }
    }

    /// Writes the references of all containers, and of frames.
    fn write(&mut self, out: &mut Writer, progress: &mut dyn FnMut(f64)) -> Result<(), FileError> {
        /// The number of containers between two reports.
        const REPORT: u32 = 1 << 16;
        let graph = &self.heap.graph;
        let (first, end) = (graph.first_object(), graph.first_leaf());
        let mut columns = EdgeColumns {
            counts: Column::new(columns::EDGE_COUNT, Encoding::Numbers)?,
            roles: Column::new(columns::EDGE_ROLE, Encoding::Numbers)?,
            targets: Column::new(columns::EDGE_TARGET, Encoding::Numbers)?,
            keys: Column::new(columns::EDGE_KEY, Encoding::Differences)?,
            last: Vec::new(),
        };
        let names = self.heap.names();
        let (mut found, mut roles) = (Vec::new(), Vec::new());
        for node in first.up_to(end) {
            found.clear();
            if let Some(address) = graph.address(node) {
                names.roles(address, &mut found);
            }
            let targets = graph.successors(node);
            assign(graph, targets, &found, &mut roles);
            self.write_row(node, targets, &roles, &mut columns)?;
            if (node.0 - first.0).is_multiple_of(REPORT) {
                progress(f64::from(node.0 - first.0) / f64::from(end.0 - first.0));
            }
        }
        let EdgeColumns { counts, roles, targets, keys, .. } = columns;
        for column in [counts, roles, targets, keys] {
            out.add(column)?;
        }
        self.write_frames(out)
    }

    fn write_row(
        &mut self,
        node: NodeId,
        targets: &[NodeId],
        roles: &[Option<Role>],
        columns: &mut EdgeColumns,
    ) -> Result<(), FileError> {
        columns.counts.push(targets.len() as u64)?;
        let mut next = 0;
        for (&target, &role) in targets.iter().zip(roles) {
            if let Some(found) = self.found.get_mut(target.index()) {
                *found = found.saturating_add(1);
            }
            let code = match role {
                None => code::NONE,
                Some(Role::Index(index)) if index == next => code::NEXT,
                Some(Role::Value(key)) => {
                    let key = self.heap.graph.node(key);
                    columns.keys.push(key.map_or(0, |key| 1 + number(key)))?;
                    if let Some(key) = key {
                        self.keys.add(key);
                        if self.namespaces.contains(node) {
                            self.attributes.add(key);
                        }
                    }
                    code::VALUE
                }
                Some(role) => self.roles.code(role),
            };
            match role {
                Some(Role::Index(index)) => next = index.saturating_add(1),
                Some(Role::Field("__closure__" | "__defaults__")) => self.functions.add(node),
                _ => {}
            }
            columns.roles.push(code.into())?;
            let place = code as usize;
            if columns.last.len() <= place {
                columns.last.resize(place + 1, 0);
            }
            if let Some(last) = columns.last.get_mut(place) {
                columns.targets.push(difference(*last, number(target)))?;
                *last = number(target);
            }
        }
        Ok(())
    }

    /// Writes the references of those roots that are frames.
    fn write_frames(&mut self, out: &mut Writer) -> Result<(), FileError> {
        let graph = &self.heap.graph;
        let names = self.heap.names();
        let mut counts = Column::new(columns::FRAME_COUNT, Encoding::Numbers)?;
        let mut targets = Column::new(columns::FRAME_TARGET, Encoding::Differences)?;
        let mut codes = Column::new(columns::FRAME_ROLE, Encoding::Numbers)?;
        let mut found = Vec::new();
        for (node, root) in graph.root_nodes() {
            found.clear();
            if let RootKind::Frame { frame, .. } = root.kind {
                names.frame_roles(frame, &mut found);
            }
            let known =
                found.iter().filter_map(|&(object, role)| Some((graph.node(object)?, role)));
            let known: Vec<(NodeId, Role)> = known.collect();
            counts.push(known.len() as u64)?;
            let held = graph.successors(node);
            for (target, role) in known {
                if let Some(found) = self.found.get_mut(target.index())
                    && held.contains(&target)
                {
                    *found = found.saturating_add(1);
                }
                targets.push(number(target))?;
                codes.push(self.roles.code(role).into())?;
            }
        }
        for column in [counts, targets, codes] {
            out.add(column)?;
        }
        Ok(())
    }

    /// Writes the reference counts that differ from the references found.
    fn write_counts(&self, out: &mut Writer) -> Result<(), FileError> {
        let graph = &self.heap.graph;
        let names = self.heap.names();
        let mut nodes = Column::new(columns::COUNTED_NODE, Encoding::Differences)?;
        let mut counts = Column::new(columns::COUNTED_COUNT, Encoding::Numbers)?;
        for node in graph.objects() {
            let found = self.found.get(node.index()).copied().unwrap_or_default().into();
            let Some(address) = graph.address(node) else { continue };
            let count = names.counted(address, found);
            if count != Some(found) {
                nodes.push(number(node))?;
                counts.push(count.map_or(0, |count| count.saturating_add(1)))?;
            }
        }
        out.add(nodes)?;
        out.add(counts)
    }

    /// Writes what was collected on the way.
    fn finish(self, out: &mut Writer) -> Result<(), FileError> {
        let names = self.heap.names();
        let graph = &self.heap.graph;
        json(out, columns::ROLES, &self.roles.records(names))?;
        self.functions.write(out, graph, names)?;
        write_definitions(out, graph, names)?;
        let keys = graph.objects().filter(|&node| self.keys.contains(node));
        let told = self.disclosure > Disclosure::Names;
        let is_told = |node| told || self.attributes.contains(node);
        write_keys(out, graph, names, keys, is_told)?;
        write_values(out, graph, names, self.disclosure)
    }
}
