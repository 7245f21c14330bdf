//! Where objects are: the class and attribute that hold them, or the variable.
//!
//! An object may have several referrers. Its dominator says most, if it refers to it. Containers are climbed
//! until something with a name comes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::heap::{Analysis, NodeId, Referrers, RootKind, RootNames};
use crate::python::objects::{Disclosure, EdgeNames, Link, Role};

/// How many containers are climbed.
const MOST_LEVELS: usize = 4;
/// The most referrers that are searched for a better one.
const MOST_REFERRERS: usize = 64;
/// Containers that have no name of their own.
const CONTAINERS: [&str; 12] = [
    "list",
    "tuple",
    "dict",
    "set",
    "frozenset",
    "cell",
    "frozendict",
    "collections.deque",
    "collections.OrderedDict",
    "collections.defaultdict",
    "memoryview",
    "managedbuffer",
];
/// Its names and constants are the interpreter's.
const CODE: &str = "code";
/// The dict of a module, a class or an instance: the program cannot replace it.
const DICT: &str = "__dict__";

/// Finds places.
pub struct Places<'a> {
    heap: &'a Analysis<'a>,
    names: &'a RootNames,
    referrers: Referrers,
    /// What has been found of referrers.
    known: FxHashMap<NodeId, Base>,
}

/// What a referrer contributes to the places of its referents.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    /// How it is called.
    words: Arc<str>,
    /// Whether its values are attributes: it is the dict of an object.
    is_dict: bool,
    /// Whether it belongs to the interpreter.
    is_interpreters: bool,
}

impl<'a> Places<'a> {
    /// The places of a heap.
    pub fn new(heap: &'a Analysis<'a>, names: &'a RootNames) -> Places<'a> {
        let referrers = Referrers::of(&heap.graph);
        Places { heap, names, referrers, known: FxHashMap::default() }
    }

    /// What refers to what.
    pub fn referrers(&self) -> &Referrers {
        &self.referrers
    }

    /// The place of each of these objects; `None` for those that belong to the interpreter.
    pub fn of(&mut self, nodes: Vec<NodeId>) -> Vec<Option<Arc<str>>> {
        let mut places = vec![None; nodes.len()];
        let mut sorted: Vec<(NodeId, NodeId, usize)> = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| (self.referrer(node), node, index))
            .collect();
        sorted.sort_unstable();
        let mut made: FxHashMap<(Arc<str>, Option<Link>), Arc<str>> = FxHashMap::default();
        for group in sorted.chunk_by(|one, other| one.0 == other.0) {
            let Some(&(from, ..)) = group.first() else { continue };
            let base = self.base(from, MOST_LEVELS);
            if base.is_interpreters {
                continue;
            }
            let children: Vec<NodeId> = group.iter().map(|&(_, node, _)| node).collect();
            let links = self.links(from, &children, base.is_dict);
            for (&(.., index), link) in group.iter().zip(links) {
                if matches!(&link, Some(Link::Attribute(name)) if name == DICT) {
                    continue;
                }
                let words = made.entry((Arc::clone(&base.words), link));
                let words = words.or_insert_with_key(|(base, link)| join(base, link.as_ref()));
                if let Some(place) = places.get_mut(index) {
                    *place = Some(Arc::clone(words));
                }
            }
        }
        places
    }

    /// The referrer that says the most.
    fn referrer(&self, node: NodeId) -> NodeId {
        let referrers = self.referrers.of_node(node);
        let graph = &self.heap.graph;
        let dominator = self.heap.dominators.immediate(node).unwrap_or_default();
        if referrers.binary_search(&dominator).is_ok() && graph.root(dominator).is_none() {
            return dominator;
        }
        let few = referrers.iter().take(MOST_REFERRERS).copied();
        let is_module =
            |node: &NodeId| graph.type_info(*node).is_some_and(|info| info.name == "module");
        let is_known = |node: &NodeId| match graph.root(*node).map(|root| &root.kind) {
            Some(RootKind::Interned | RootKind::Native | RootKind::Garbage) => false,
            _ => *node != NodeId::ROOT,
        };
        let object = few.clone().find(|&node| graph.type_info(node).is_some());
        let module = few.clone().find(is_module);
        module.or(object).or_else(|| few.clone().find(is_known)).unwrap_or(dominator)
    }

    /// What a referrer contributes, after climbing at most so many containers.
    fn base(&mut self, node: NodeId, levels: usize) -> Base {
        if let Some(known) = self.known.get(&node) {
            return known.clone();
        }
        let base = self.find_base(node, levels);
        self.known.insert(node, base.clone());
        base
    }

    fn find_base(&mut self, node: NodeId, levels: usize) -> Base {
        let graph = &self.heap.graph;
        let plain =
            |words: &str| Base { words: words.into(), is_dict: false, is_interpreters: false };
        if let Some(root) = graph.root_of_node(node) {
            let label = self.names.label(root);
            return plain(label.strip_prefix("module ").unwrap_or(&label));
        }
        let Some(info) = graph.type_info(node) else { return plain("the interpreter") };
        if info.name == "module" {
            let address = graph.address(node);
            let is_it = |(_, root): &(NodeId, &crate::heap::Root)| {
                matches!(root.kind, RootKind::Module { .. })
                    && root.objects.first().copied() == address
            };
            let root = graph.root_nodes().find(is_it).map(|(node, _)| node);
            return match root {
                Some(root) => self.find_base(root, 0),
                None => plain("module"),
            };
        }
        if info.is_metatype() {
            let address = graph.address(node);
            let class = graph.types().iter().find(|info| Some(info.address) == address);
            let name = class.map_or("a class", |class| &class.name);
            return Base { is_interpreters: true, ..plain(name) };
        }
        if info.name == CODE {
            return Base { is_interpreters: true, ..plain(CODE) };
        }
        if levels == 0 || !CONTAINERS.contains(&&*info.name) {
            return plain(&info.name);
        }
        let holder = self.referrer(node);
        if holder == node || holder == NodeId::ROOT {
            return plain(&info.name);
        }
        let base = self.base(holder, levels - 1);
        if self.is_dict_of(holder, node) {
            // Attributes of a class are the program's, unlike its other fields.
            return Base { is_dict: true, is_interpreters: false, ..base };
        }
        let link = self.links(holder, &[node], base.is_dict).pop().flatten();
        Base { words: join(&base.words, link.as_ref()), is_dict: false, ..base }
    }

    /// Whether an object is the dict of another.
    fn is_dict_of(&self, holder: NodeId, dict: NodeId) -> bool {
        let graph = &self.heap.graph;
        let (Some(holder), Some(dict)) = (graph.address(holder), graph.address(dict)) else {
            return false;
        };
        self.heap.names().role(holder, dict) == Some(Role::Field(DICT))
    }

    /// How a referrer refers to some objects: attributes by name, keys and indices without them.
    fn links(&self, from: NodeId, to: &[NodeId], is_dict: bool) -> Vec<Option<Link>> {
        let (graph, names) = (&self.heap.graph, self.heap.names());
        let address = |node: NodeId| graph.address(node).unwrap_or_default();
        if let Some(root) = graph.root(from) {
            let RootKind::Frame { frame, .. } = root.kind else { return vec![None; to.len()] };
            return to.iter().map(|&node| names.frame_link(frame, address(node))).collect();
        }
        let children: Vec<u64> = to.iter().map(|&node| address(node)).collect();
        let roles = names.roles_of(address(from), &children);
        let link = |role: Option<Role>| match role? {
            Role::Value(key) if is_dict => names.attribute(key).map(Link::Attribute),
            role => names.disclosed(role, Disclosure::Names).map(Link::pattern),
        };
        roles.into_iter().map(link).collect()
    }
}

fn join(base: &str, link: Option<&Link>) -> Arc<str> {
    match link {
        None => base.into(),
        Some(link @ (Link::Local(_) | Link::Closure(_) | Link::Default(_))) => {
            format!("{link} of {base}").into()
        }
        Some(link @ Link::Offset(_)) => format!("{base} › {link}").into(),
        Some(link) => format!("{base}{link}").into(),
    }
}
