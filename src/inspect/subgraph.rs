//! A part of the object graph small enough to be drawn: some objects, and all references between them.
//!
//! From the selected objects it follows references forwards or backwards, level by level, and takes a limited
//! number of neighbours of each object. Of referrers, those nearest to a GC root come first; of referents,
//! those that retain the most.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::heap::{Analysis, Components, Flow, NodeId, Referrers, RootNames, ShortestPaths};
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames};

/// Where to go from the selected objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To their referrers.
    Referrers,
    /// To their referents.
    Referents,
    /// Along a shortest path from a root.
    Chain,
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to go.
    pub direction: Direction,
    /// The number of levels.
    pub depth: usize,
    /// The number of neighbours taken of each object.
    pub breadth: usize,
    /// The maximum number of objects.
    pub most: usize,
    /// Names of types that are left out.
    pub excluded: Vec<String>,
    /// Names of types that are highlighted.
    pub highlighted: Vec<String>,
    /// How much of keys and values may be shown.
    pub disclosure: Disclosure,
}

/// Objects and roots with the references between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The objects and roots.
    pub nodes: Vec<Node>,
    /// The references.
    pub edges: Vec<Edge>,
}

/// An object, or a root.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The type of an object or the name of a root.
    pub name: String,
    /// The function that it is or runs, at its definition, if any.
    pub function: Option<Frame>,
    /// The address; `None` for a root.
    pub address: Option<u64>,
    /// Its size, including memory that it owns elsewhere.
    pub size: u64,
    /// What it retains, in bytes.
    pub retained: u64,
    /// The number of its neighbours, in the direction of the picture, that are not drawn.
    pub more: u64,
    /// Its value, shortened, if values may be shown.
    pub value: Option<String>,
    /// What it is drawn as.
    pub role: NodeRole,
    /// Whether it is in a cycle that is drawn.
    pub in_cycle: bool,
}

/// What a node is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// A root.
    Root,
    /// A selected object.
    Asked,
    /// An object of a highlighted type.
    Highlighted,
    /// Any other object.
    Plain,
}

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The index of the node that refers.
    pub from: usize,
    /// The index of the node referred to.
    pub to: usize,
    /// How one refers to the other; empty for a root.
    pub label: String,
    /// Whether it is part of a cycle that is drawn.
    pub in_cycle: bool,
}

/// Chooses what to draw around these objects.
pub fn picture(
    heap: &Analysis<'_>,
    names: &RootNames,
    asked: &[NodeId],
    options: &Options,
) -> Picture {
    let mut chooser = Chooser::new(heap, options);
    chooser.choose(asked);
    let Chooser { nodes, more, .. } = chooser;
    let numbers: FxHashMap<NodeId, usize> =
        nodes.iter().enumerate().map(|(index, &node)| (node, index)).collect();
    let small = Small::of(heap, &nodes, &numbers);
    let mut component = vec![0; nodes.len()];
    for (number, members) in (1_u32..).zip(Components::of(&small, NodeId::ROOT).iter()) {
        for &member in members {
            if let Some(place) = component.get_mut(member.index()) {
                *place = number;
            }
        }
    }
    let of = |index: usize| component.get(index).copied().unwrap_or_default();
    let mut edges = Vec::new();
    for (from, list) in small.successors.iter().enumerate() {
        let labels = labels(heap, &nodes, from, list, options.disclosure);
        for (&to, label) in list.iter().zip(labels) {
            let to = to.index();
            let in_cycle = of(from) != 0 && of(from) == of(to);
            edges.push(Edge { from, to, label, in_cycle });
        }
    }
    let node = |(index, &node): (usize, &NodeId)| {
        let more = more.get(index).copied().unwrap_or_default();
        Node { more, in_cycle: of(index) != 0, ..describe(heap, names, node, asked, options) }
    };
    let nodes = nodes.iter().enumerate().map(node).collect();
    Picture { nodes, edges }
}

/// Chooses objects, nearest first.
struct Chooser<'a> {
    heap: &'a Analysis<'a>,
    options: &'a Options,
    paths: ShortestPaths,
    referrers: Option<Referrers>,
    nodes: Vec<NodeId>,
    /// The same as a set.
    taken: FxHashSet<NodeId>,
    /// For each, the number of neighbours that were not taken.
    more: Vec<u64>,
}

impl<'a> Chooser<'a> {
    fn new(heap: &'a Analysis<'a>, options: &'a Options) -> Chooser<'a> {
        let is_backwards = options.direction == Direction::Referrers;
        Chooser {
            heap,
            options,
            paths: ShortestPaths::of(&heap.graph),
            referrers: is_backwards.then(|| Referrers::of(&heap.graph)),
            nodes: Vec::new(),
            taken: FxHashSet::default(),
            more: Vec::new(),
        }
    }

    fn choose(&mut self, asked: &[NodeId]) {
        let mut first: Vec<NodeId> = asked.to_vec();
        first.sort_by_key(|&node| (Reverse(self.heap.amount(node).bytes), node));
        first.truncate(self.options.breadth.max(1));
        if self.options.direction == Direction::Chain {
            for node in first {
                for step in self.paths.between(NodeId::ROOT, node).into_iter().skip(1) {
                    self.take(step);
                }
            }
            return;
        }
        for node in first {
            self.take(node);
        }
        let (mut level, mut steps) = (0..self.nodes.len(), 0);
        while !level.is_empty() && steps < self.options.depth {
            for index in level.clone() {
                self.take_neighbours(index);
            }
            level = level.end..self.nodes.len();
            steps += 1;
        }
    }

    /// Takes a node, if it is new and there is room.
    fn take(&mut self, node: NodeId) {
        if self.nodes.len() < self.options.most && self.taken.insert(node) {
            self.nodes.push(node);
            self.more.push(0);
        }
    }

    fn take_neighbours(&mut self, index: usize) {
        let Some(&node) = self.nodes.get(index) else { return };
        let graph = &self.heap.graph;
        let mut neighbours = match &self.referrers {
            Some(referrers) => referrers.of_node(node).to_vec(),
            None if node < graph.first_leaf() => graph.successors(node).to_vec(),
            None => Vec::new(),
        };
        neighbours.sort_unstable();
        neighbours.dedup();
        neighbours.retain(|&neighbour| neighbour != NodeId::ROOT && !self.is_excluded(neighbour));
        // Of possibly millions, only these need sorting.
        let wanted = self.options.breadth.min(neighbours.len());
        let rank = |&node: &NodeId| match self.options.direction {
            Direction::Referrers => (self.paths.length(node).unwrap_or(u32::MAX).into(), node),
            _ => (u64::MAX - self.heap.amount(node).bytes, node),
        };
        if let Some(last) = wanted.checked_sub(1) {
            neighbours.select_nth_unstable_by_key(last, rank);
        }
        let (first, _) = neighbours.split_at_mut(wanted);
        first.sort_by_key(rank);
        for &mut neighbour in first {
            self.take(neighbour);
        }
        let left_out = neighbours.iter().filter(|node| !self.taken.contains(node)).count() as u64;
        if let Some(more) = self.more.get_mut(index) {
            *more = left_out;
        }
    }

    fn is_excluded(&self, node: NodeId) -> bool {
        if self.options.excluded.is_empty() {
            return false;
        }
        let kind = self.heap.graph.type_info(node);
        kind.is_some_and(|kind| self.options.excluded.contains(&kind.name))
    }
}

/// The references among the chosen nodes, numbered by their index.
struct Small {
    successors: Vec<Vec<NodeId>>,
}

impl Small {
    fn of(heap: &Analysis<'_>, nodes: &[NodeId], numbers: &FxHashMap<NodeId, usize>) -> Small {
        let successors = |&node: &NodeId| {
            if node >= heap.graph.first_leaf() {
                return Vec::new();
            }
            let all = heap.graph.successors(node).iter();
            let number = |next| numbers.get(next).map(|&index| NodeId(index as u32));
            let mut found: Vec<NodeId> = all.filter_map(number).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        Small { successors: nodes.iter().map(successors).collect() }
    }
}

impl Flow for Small {
    fn first_leaf(&self) -> NodeId {
        NodeId(self.successors.len() as u32)
    }

    fn end(&self) -> NodeId {
        NodeId(self.successors.len() as u32)
    }

    fn successors(&self, node: NodeId) -> &[NodeId] {
        self.successors.get(node.index()).map_or(&[], Vec::as_slice)
    }
}

/// How a node refers to others, in words. All numbers are indices into `nodes`.
fn labels(
    heap: &Analysis<'_>,
    nodes: &[NodeId],
    from: usize,
    to: &[NodeId],
    disclosure: Disclosure,
) -> Vec<String> {
    let address = |index: usize| heap.graph.address(*nodes.get(index)?);
    let Some(parent) = address(from) else { return vec![String::new(); to.len()] };
    // There is no object at address 0.
    let children: Vec<u64> =
        to.iter().map(|&index| address(index.index()).unwrap_or_default()).collect();
    let links = heap.names().links(parent, &children, disclosure);
    links.iter().map(|link| link.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

fn describe(
    heap: &Analysis<'_>,
    names: &RootNames,
    node: NodeId,
    asked: &[NodeId],
    options: &Options,
) -> Node {
    let graph = &heap.graph;
    let mut found = Node {
        name: String::new(),
        function: None,
        address: None,
        size: graph.size(node),
        retained: heap.amount(node).bytes,
        more: 0,
        value: None,
        role: NodeRole::Plain,
        in_cycle: false,
    };
    if let Some(root) = graph.root_of_node(node) {
        found.role = NodeRole::Root;
        found.size = 0;
        found.name = names.label(root);
        return found;
    }
    found.name = graph.type_info(node).map(|info| info.name.clone()).unwrap_or_default();
    found.address = graph.address(node);
    found.function = found.address.and_then(|address| heap.names().defined(address));
    if options.highlighted.contains(&found.name) {
        found.role = NodeRole::Highlighted;
    }
    if asked.contains(&node) {
        found.role = NodeRole::Asked;
    }
    found.value = found.address.and_then(|address| heap.names().value(address, options.disclosure));
    found
}
