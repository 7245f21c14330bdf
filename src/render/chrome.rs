//! A heap for the Memory panel of Chrome and for memlab (`.heapsnapshot`), written as a stream.
//!
//! Nodes have the numbers of the object graph: the super-root, the roots, the objects. An object is of Chrome's
//! type `object`, named by its Python type, so that the panel groups by that. Its id comes from its address, so
//! that the panel's comparison of two files knows objects again. Sizes have 32 bits there: what is larger goes
//! on to nodes of type `native`, which hang from the object.

use std::io::Write;

use rustc_hash::FxHashMap;

use super::RenderError;
use crate::heap::names::assign;
use crate::heap::{Analysis, Flow, NodeId, RootKind, RootNames};
use crate::python::objects::{Disclosure, EdgeNames, Link, Role};

/// The fields of nodes and edges, and what their types are called: what Chrome's reader expects, in its order.
const META: &str = r#""meta":{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],"trace_node_fields":["id","function_info_index","count","size","children"],"sample_fields":["timestamp_us","last_assigned_id"],"location_fields":["object_index","script_id","line","column"]}"#;
/// The number of fields of a node.
const NODE_FIELDS: u64 = 6;

/// Types of nodes.
mod node {
    pub const STRING: u32 = 2;
    pub const OBJECT: u32 = 3;
    pub const NATIVE: u32 = 8;
    pub const SYNTHETIC: u32 = 9;
}

/// Types of edges.
mod edge {
    pub const CONTEXT: u32 = 0;
    pub const ELEMENT: u32 = 1;
    pub const PROPERTY: u32 = 2;
    pub const INTERNAL: u32 = 3;
}

/// The bytes that fit into one node.
const LARGEST: u64 = u32::MAX as u64;
/// All strings together must be shorter than this; further ones are not told apart.
const MOST_TEXT: usize = 400 << 20;
/// The name of what is above all roots, and of a part of a large object.
const TOP: &str = "(GC roots)";
const BUFFER: &str = "(buffer)";
const UNREADABLE: &str = "(unreadable)";

/// The strings of a file, each once.
#[derive(Debug, Default)]
struct Strings {
    numbers: FxHashMap<String, u32>,
    texts: Vec<String>,
    length: usize,
}

impl Strings {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        if self.length > MOST_TEXT {
            return 0;
        }
        let number = self.texts.len() as u32;
        self.length += text.len();
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// The ids that are taken, a bit each: of memory, only the part that has some is used.
struct Ids {
    taken: Vec<u64>,
    /// Where the search for a spare one goes on, downwards.
    next: u32,
}

impl Ids {
    fn new() -> Ids {
        const WORDS: usize = 1 << (u32::BITS - u64::BITS.trailing_zeros());
        let mut ids = Ids { taken: vec![0; WORDS], next: u32::MAX };
        ids.take(0);
        ids
    }

    /// Takes an id, unless it is taken already.
    fn take(&mut self, id: u32) -> bool {
        let bit = 1 << (id % u64::BITS);
        match self.taken.get_mut((id / u64::BITS) as usize) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    /// The id of the object at an address, or another if that is taken.
    fn of(&mut self, address: u64) -> u32 {
        let id = (address >> 4) as u32;
        if self.take(id) { id } else { self.spare() }
    }

    fn spare(&mut self) -> u32 {
        while !self.take(self.next) {
            self.next = self.next.wrapping_sub(1);
        }
        self.next
    }
}

/// Writes a file of a heap, with as much of keys as may be shown, and values if those may be.
pub fn write(
    heap: &Analysis<'_>,
    names: &RootNames,
    disclosure: Disclosure,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let graph = &heap.graph;
    let parts: u64 = graph.objects().map(|node| more_parts(graph.size(node))).sum();
    let inner = NodeId::ROOT.up_to(graph.first_leaf());
    let edges: u64 = inner.map(|node| graph.successors(node).len() as u64).sum();
    let nodes = u64::from(graph.end().0) + parts;
    write!(out, "{{\"snapshot\":{{{META},\"node_count\":{nodes},\"edge_count\":{}", edges + parts)?;
    write!(out, ",\"trace_function_count\":0}},\n\"nodes\":[")?;
    let mut file = File { heap, names, disclosure, strings: Strings::default(), parts: 0 };
    file.write_nodes(out)?;
    write!(out, "],\n\"edges\":[")?;
    file.write_edges(out)?;
    write!(out, "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n")?;
    write!(out, "\"locations\":[],\n\"strings\":[")?;
    for (number, text) in file.strings.texts.iter().enumerate() {
        out.write_all(if number == 0 { b"" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, text)?;
    }
    writeln!(out, "]}}")?;
    Ok(())
}

/// How many further nodes an object of this size needs.
fn more_parts(size: u64) -> u64 {
    size.saturating_sub(1) / LARGEST
}

struct File<'a> {
    heap: &'a Analysis<'a>,
    names: &'a RootNames,
    disclosure: Disclosure,
    strings: Strings,
    /// The parts of large objects that have been referred to.
    parts: u64,
}

impl File<'_> {
    fn write_nodes(&mut self, out: &mut impl Write) -> Result<(), RenderError> {
        let graph = &self.heap.graph;
        let mut ids = Ids::new();
        let mut large = Vec::new();
        for node in NodeId::ROOT.up_to(graph.end()) {
            let (kind, name) = self.describe(node);
            let size = graph.size(node);
            let mut edges = more_parts(size);
            if node < graph.first_leaf() {
                edges += graph.successors(node).len() as u64;
            }
            let (own, id) = match graph.address(node) {
                Some(address) => {
                    large.extend((0..more_parts(size)).map(|part| size - (part + 1) * LARGEST));
                    (size.min(LARGEST), ids.of(address))
                }
                None => (0, ids.spare()),
            };
            let comma = if node == NodeId::ROOT { "" } else { ",\n" };
            write!(out, "{comma}{kind},{name},{id},{own},{edges},0")?;
        }
        let buffer = self.strings.number(BUFFER);
        for rest in large {
            let (id, own) = (ids.spare(), rest.min(LARGEST));
            write!(out, ",\n{},{buffer},{id},{own},0,0", node::NATIVE)?;
        }
        Ok(())
    }

    /// The type and the name of a node.
    fn describe(&mut self, node: NodeId) -> (u32, u32) {
        let graph = &self.heap.graph;
        if node == NodeId::ROOT {
            return (node::SYNTHETIC, self.strings.number(TOP));
        }
        if let Some(root) = graph.root_of_node(node) {
            return (node::OBJECT, self.strings.number(&self.names.label(root)));
        }
        let info = graph.type_info(node);
        if info.is_some_and(|info| info.is_text())
            && let Some(address) = graph.address(node)
            && let Some(value) = self.heap.names().value(address, self.disclosure)
        {
            return (node::STRING, self.strings.number(&value));
        }
        (node::OBJECT, self.strings.number(info.map_or(UNREADABLE, |info| &info.name)))
    }

    fn write_edges(&mut self, out: &mut impl Write) -> Result<(), RenderError> {
        let graph = &self.heap.graph;
        let (mut found, mut roles) = (Vec::new(), Vec::new());
        let mut comma = "";
        for node in NodeId::ROOT.up_to(graph.end()) {
            if node < graph.first_leaf() {
                let targets = graph.successors(node);
                found.clear();
                self.find_roles(node, &mut found);
                assign(graph, targets, &found, &mut roles);
                for (place, (&target, &role)) in targets.iter().zip(&roles).enumerate() {
                    let (kind, name) = self.edge(node, target, role, place);
                    write!(out, "{comma}{kind},{name},{}", u64::from(target.0) * NODE_FIELDS)?;
                    comma = ",\n";
                }
            }
            for part in 0..more_parts(graph.size(node)) {
                let target = (u64::from(graph.end().0) + self.parts) * NODE_FIELDS;
                self.parts += 1;
                write!(out, "{comma}{},{part},{target}", edge::ELEMENT)?;
                comma = ",\n";
            }
        }
        Ok(())
    }

    fn find_roles(&self, node: NodeId, found: &mut Vec<(u64, Role)>) {
        let graph = &self.heap.graph;
        match (graph.root(node), graph.address(node)) {
            (Some(root), _) => {
                if let RootKind::Frame { frame, .. } = root.kind {
                    self.heap.names().frame_roles(frame, found);
                }
            }
            (None, Some(object)) => self.heap.names().roles(object, found),
            (None, None) => {}
        }
    }

    /// The type of an edge, and its name or index.
    fn edge(&mut self, from: NodeId, to: NodeId, role: Option<Role>, place: usize) -> (u32, u32) {
        if let Some(root) = self.heap.graph.root_of_node(to) {
            return (edge::PROPERTY, self.strings.number(&self.names.label(root)));
        }
        let is_root = from < self.heap.graph.first_object();
        let link = role.and_then(|role| self.heap.names().disclosed(role, self.disclosure));
        let (kind, name) = match link {
            Some(Link::Index(index)) if index <= LARGEST => return (edge::ELEMENT, index as u32),
            Some(Link::Attribute(name)) => (edge::PROPERTY, name),
            Some(Link::Local(name) | Link::Closure(name) | Link::Default(name)) => {
                (edge::CONTEXT, name)
            }
            Some(link @ (Link::Key(_) | Link::KeyOf(_) | Link::Index(_))) => {
                (edge::PROPERTY, link.to_string())
            }
            Some(link) => (edge::INTERNAL, link.to_string()),
            // What a root holds.
            None if is_root => return (edge::ELEMENT, place as u32),
            None => (edge::INTERNAL, "?".to_owned()),
        };
        (kind, self.strings.number(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_another() {
        let mut ids = Ids::new();
        assert_eq!([ids.of(0x7f00_0000_1230), ids.of(0x7f00_0000_1238)], [0x123, u32::MAX]);
        assert_eq!([ids.spare(), ids.of(0), ids.of(16)], [u32::MAX - 1, u32::MAX - 2, 1]);
    }

    #[test]
    fn large_objects_have_parts() {
        let sizes = [0, 1, LARGEST, LARGEST + 1, 2 * LARGEST, 2 * LARGEST + 1];
        assert_eq!(sizes.map(more_parts), [0, 0, 0, 1, 1, 2]);
    }
}
