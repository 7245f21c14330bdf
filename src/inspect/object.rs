//! One object: its type and sizes, its referrers and referents, and whether its reference count is explained.

use crate::heap::{Amount, Analysis, Flow, Names, NodeId, Referrers, RootKind, RootNames};
use crate::python::Frame;
use crate::python::gc::Generation;
use crate::python::objects::{Disclosure, EdgeNames, Role};

/// The answer of `show`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its address.
    pub address: u64,
    /// The name of its type.
    pub kind: String,
    /// The function that it is or runs, at its definition, if any.
    pub function: Option<Frame>,
    /// Its own size including the header before it, as `sys.getsizeof` says, in bytes.
    pub shallow: u64,
    /// The bytes that it owns outside itself.
    pub external: u64,
    /// Its retained size.
    pub retained: Amount,
    /// Its reference count; `None` if it is immortal.
    pub references_counted: Option<u64>,
    /// The number of references to it found in objects and frames.
    pub references_found: u64,
    /// The collector's list that it is in, if any.
    pub generation: Option<Generation>,
    /// Whether nothing holds it.
    pub is_garbage: bool,
    /// Its value, shortened, if values may be shown.
    pub value: Option<String>,
    /// The roots that hold it directly.
    pub roots: Vec<String>,
    /// The number of its referrers, and some of them.
    pub referrers: (u64, Vec<Neighbour>),
    /// The number of its referents, and some of them.
    pub referents: (u64, Vec<Neighbour>),
}

/// A referrer or referent of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// How one holds the other.
    pub link: Option<String>,
    /// The name of its type.
    pub kind: String,
    /// The function that it is or runs, at its definition, if any.
    pub function: Option<Frame>,
    /// Its address.
    pub address: u64,
    /// Its retained size.
    pub retained: Amount,
    /// Its value, shortened, if values may be shown.
    pub value: Option<String>,
}

/// How much to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The number of neighbours on either side.
    pub most: usize,
    /// How much of keys and values may be shown.
    pub disclosure: Disclosure,
}

/// Describes an object.
pub fn show(heap: &Analysis<'_>, names: &RootNames, node: NodeId, options: Options) -> Shown {
    let graph = &heap.graph;
    let address = graph.address(node).unwrap_or_default();
    let looker = Looker { heap, names: heap.names(), options };
    let referrers = Referrers::of(graph);
    let (mut found, mut roots, mut is_garbage) = (0, Vec::new(), false);
    let mut holders = Vec::new();
    for &referrer in referrers.of_node(node) {
        match graph.root(referrer) {
            None => {
                found += 1;
                holders.push(referrer);
            }
            Some(root) => {
                is_garbage |= root.kind == RootKind::Garbage;
                if let RootKind::Frame { frame, .. } = root.kind {
                    found += looker.references_in_frame(frame, address);
                }
                roots.extend(graph.root_of_node(referrer).map(|root| names.label(root)));
            }
        }
    }
    holders.dedup();
    let mut referents =
        if node < graph.first_leaf() { graph.successors(node).to_vec() } else { Vec::new() };
    referents.sort_unstable();
    referents.dedup();
    let generations = Generation::ALL.into_iter().zip(graph.tracked());
    let mut tracked = generations.filter(|(_, nodes)| nodes.contains(&node));
    let kind = graph.type_info(node).map(|info| info.name.clone()).unwrap_or_default();
    let mut above = std::iter::successors(Some(node), |&node| heap.dominators.immediate(node));
    is_garbage |= graph.garbage().is_some_and(|garbage| above.any(|node| node == garbage));
    Shown {
        address,
        kind,
        function: looker.names.defined(address),
        shallow: graph.shallow(node).saturating_add(graph.header(node)),
        external: graph.external(node),
        retained: heap.amount(node),
        references_counted: looker.names.counted(address, found),
        references_found: found,
        generation: tracked.next().map(|(generation, _)| generation),
        is_garbage,
        value: looker.value(address),
        roots,
        referrers: (holders.len() as u64, looker.referrers(&holders, address)),
        referents: (referents.len() as u64, looker.referents(&referents, address)),
    }
}

struct Looker<'a> {
    heap: &'a Analysis<'a>,
    names: Names<'a>,
    options: Options,
}

impl Looker<'_> {
    /// How often a frame refers to an object.
    fn references_in_frame(&self, frame: u64, address: u64) -> u64 {
        let mut roles = Vec::new();
        self.names.frame_roles(frame, &mut roles);
        roles.iter().filter(|(object, _)| *object == address).count() as u64
    }

    fn value(&self, address: u64) -> Option<String> {
        self.names.value(address, self.options.disclosure)
    }

    /// The referrers of an object, those that retain the most first.
    fn referrers(&self, nodes: &[NodeId], address: u64) -> Vec<Neighbour> {
        let link = |other: u64| {
            let link = self.names.link(other, address, self.options.disclosure)?;
            Some(link.to_string())
        };
        self.neighbours(nodes, link)
    }

    /// The referents of an object.
    fn referents(&self, nodes: &[NodeId], address: u64) -> Vec<Neighbour> {
        let mut roles: Vec<(u64, Role)> = Vec::new();
        self.names.roles(address, &mut roles);
        let link = |other: u64| {
            let mut best: Option<Role> = None;
            for &(_, role) in roles.iter().filter(|(object, _)| *object == other) {
                if best.is_none_or(|best| role.says_more_than(best)) {
                    best = Some(role);
                }
            }
            let link = self.names.disclosed(best?, self.options.disclosure)?;
            Some(link.to_string())
        };
        self.neighbours(nodes, link)
    }

    fn neighbours(&self, nodes: &[NodeId], link: impl Fn(u64) -> Option<String>) -> Vec<Neighbour> {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|&node| (std::cmp::Reverse(self.heap.amount(node).bytes), node));
        nodes.truncate(self.options.most);
        let neighbour = |node: NodeId| {
            let address = self.heap.graph.address(node).unwrap_or_default();
            let info = self.heap.graph.type_info(node);
            Neighbour {
                link: link(address),
                kind: info.map(|info| info.name.clone()).unwrap_or_default(),
                function: self.names.defined(address),
                address,
                retained: self.heap.amount(node),
                value: self.value(address),
            }
        };
        nodes.into_iter().map(neighbour).collect()
    }
}
