//! The live view: every live object under exactly one path, so that all widths add up to the heap.
//!
//! The tree is the dominator tree: below an object is what it retains. Each object is named by how its
//! dominator refers to it; objects that only the interpreter needs (the dict of an instance, the cell of a
//! variable) are left out, and siblings with the same name and type share a [branch](branches). A key is
//! shown by itself only if the object behind it is large enough to be seen. An object with several referrers
//! is dominated by none of them; it appears beside them, under a label that says so and one of its paths.

mod births;
mod branches;
pub(super) mod names;

use rustc_hash::{FxHashMap, FxHashSet};

use self::births::Births;
use self::branches::{Branch, Branches, Part, TOP};
use self::names::{CELL, Context, Naming, Object, Place};
use crate::heap::{
    Analysis, DominatorTree, Flow, Graph, Names, NodeId, RootId, RootKind, RootName, RootNames,
    ShortestPaths, UNNAMED_FRAME,
};
use crate::profile::Profile;
use crate::python::objects::{Disclosure, EdgeNames, Role};
use crate::python::tracemalloc::Traces;

/// The label of objects that several others hold, none of which alone keeps them alive.
pub const SHARED: &str = "held from several places";
/// The most references that are walked for the reference chains of all shared objects together: a graph may be
/// made to have no end of them.
const MOST_STEPS: u64 = 100_000_000;
/// The share of the heap, one part in this many, below which an object is not named individually.
const SMALLEST_SHARE: u64 = 500;

/// The size from which an object is named individually. Two pictures to be compared need the same threshold,
/// or objects that are named in only one of them would seem to have come or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heavy {
    bytes: u64,
    objects: u64,
}

impl Heavy {
    /// The threshold for a heap.
    pub fn of(heap: &Analysis<'_>) -> Heavy {
        let total = heap.total();
        let objects = u64::from(total.objects) / SMALLEST_SHARE;
        Heavy { bytes: total.bytes / SMALLEST_SHARE, objects }
    }
}

/// The live objects of a heap as stacks: a root, frames, and a path of objects. Weights are exact. With the
/// `traces` of tracemalloc each stack also says where its objects were allocated. `disclosure` says how much
/// of keys may be shown.
pub fn live<'a>(
    heap: &'a Analysis<'a>,
    names: &'a RootNames,
    traces: Option<&'a Traces>,
    heavy: Heavy,
    disclosure: Disclosure,
) -> Profile {
    let mut grower = Grower::new(heap, names);
    grower.heavy = heavy;
    grower.naming = Naming::new(false, disclosure);
    grower.births = traces.map(Births::of);
    grower.plant_roots();
    grower.grow();
    grower.branches.into_profile()
}

/// Grows the branches along the dominator tree.
struct Grower<'a> {
    heap: &'a Analysis<'a>,
    names: &'a RootNames,
    tree: DominatorTree,
    paths: ShortestPaths,
    edges: Names<'a>,
    branches: Branches,
    /// The branch of each root.
    roots: Vec<Branch>,
    /// Objects that stand for a root: the dict of a module, a frame object.
    stands_for: FxHashMap<NodeId, (RootId, Context)>,
    /// The objects that roots refer to directly: pairs of root and object.
    direct: FxHashSet<(NodeId, NodeId)>,
    naming: Naming,
    heavy: Heavy,
    /// Allocation sites, if known.
    births: Option<Births<'a>>,
    /// The references that may still be walked for reference chains.
    steps_left: u64,
    /// Nodes whose children are still to be placed.
    rest: Vec<(NodeId, Branch, Context)>,
}

impl<'a> Grower<'a> {
    fn new(heap: &'a Analysis<'a>, names: &'a RootNames) -> Grower<'a> {
        let graph = &heap.graph;
        Grower {
            heap,
            names,
            tree: DominatorTree::of(graph, &heap.dominators),
            paths: ShortestPaths::of(graph),
            edges: heap.names(),
            branches: Branches::default(),
            roots: vec![TOP; graph.roots().len()],
            stands_for: stands_for(heap),
            direct: direct(graph),
            naming: Naming::default(),
            heavy: Heavy::of(heap),
            births: None,
            steps_left: MOST_STEPS,
            rest: vec![(NodeId::ROOT, TOP, Context::Plain)],
        }
    }

    /// A branch for each root; that of a frame grows from that of its caller.
    fn plant_roots(&mut self) {
        let roots = (0..self.roots.len() as u32).map(RootId).rev();
        for root in roots.clone() {
            if let Some(RootName::Words(words)) = self.names.get(root) {
                self.set_root(root, TOP, Part::Root(words.as_str().into()));
            }
        }
        // Callers come after the frames they called.
        for root in roots {
            if let Some(RootName::Frame { thread, frame }) = self.names.get(root) {
                let next = RootId(root.0 + 1);
                let caller = match self.names.get(next) {
                    Some(RootName::Frame { thread: other, .. }) if other == thread => next,
                    _ => *thread,
                };
                let part = match frame {
                    Some(frame) => Part::Frame(frame.clone()),
                    None => Part::Holder(UNNAMED_FRAME.into()),
                };
                self.set_root(root, self.branch_of(caller), part);
            }
        }
    }

    fn set_root(&mut self, root: RootId, parent: Branch, part: Part) {
        let branch = self.branches.root(parent, part);
        if let Some(place) = self.roots.get_mut(root.index()) {
            *place = branch;
        }
    }

    fn branch_of(&self, root: RootId) -> Branch {
        self.roots.get(root.index()).copied().unwrap_or(TOP)
    }

    /// Places the children of all nodes.
    fn grow(&mut self) {
        let mut found = Vec::new();
        let mut roles: Vec<(NodeId, Role)> = Vec::new();
        while let Some((node, branch, context)) = self.rest.pop() {
            let children = self.tree.children(node).len();
            if children == 0 {
                continue;
            }
            found.clear();
            self.find_roles(node, &mut found);
            let graph = &self.heap.graph;
            let numbered = found.drain(..).filter_map(|(object, role)| {
                let child = graph.node(object)?;
                (self.heap.dominators.immediate(child) == Some(node)).then_some((child, role))
            });
            roles.clear();
            roles.extend(numbered);
            // Keeps the order of equals.
            roles.sort_by_key(|&(child, _)| child);
            let mut next = roles.iter().peekable();
            for index in 0..children {
                let Some(&child) = self.tree.children(node).get(index) else { break };
                let mut role = None;
                while let Some(&(_, other)) = next.next_if(|(other, _)| *other <= child) {
                    if role.is_none_or(|role| other.says_more_than(role)) {
                        role = Some(other);
                    }
                }
                self.place(node, child, branch, context, role);
            }
        }
    }

    /// The references of a node, with their roles.
    fn find_roles(&self, node: NodeId, found: &mut Vec<(u64, Role)>) {
        let graph = &self.heap.graph;
        match graph.root(node) {
            Some(root) => {
                if let RootKind::Frame { frame, .. } = root.kind {
                    self.edges.frame_roles(frame, found);
                }
            }
            None => {
                if let Some(object) = graph.address(node) {
                    self.edges.roles(object, found);
                }
            }
        }
    }

    /// Puts a child on a branch of its own or of its kind, and queues its own children.
    fn place(
        &mut self,
        node: NodeId,
        child: NodeId,
        branch: Branch,
        context: Context,
        role: Option<Role>,
    ) {
        let graph = &self.heap.graph;
        if let Some(root) = graph.root_of_node(child) {
            self.rest.push((child, self.branch_of(root), Context::Plain));
            return;
        }
        let (branch, context) = if let Some(&(root, context)) = self.stands_for.get(&child) {
            (self.branch_of(root), context)
        } else if let Some(role) = role {
            self.place_by_role(node, child, branch, context, role)
        } else if graph.root(node).is_some() && self.is_direct(node, child) {
            (self.of_type(child, branch), Context::Plain)
        } else {
            self.shared(node, child, branch)
        };
        let address = graph.address(child);
        let block = address.map(|address| address.wrapping_sub(graph.header(child)));
        let own = match (&mut self.births, block) {
            (Some(births), Some(block)) => self.branches.birth(branch, &births.place(block)),
            _ => branch,
        };
        self.branches.add(own, graph.size(child));
        if child < graph.first_leaf() {
            self.rest.push((child, branch, context));
        }
    }

    /// Whether a root refers to an object directly.
    fn is_direct(&self, root: NodeId, child: NodeId) -> bool {
        self.direct.contains(&(root, child))
    }

    fn place_by_role(
        &mut self,
        node: NodeId,
        child: NodeId,
        branch: Branch,
        context: Context,
        role: Role,
    ) -> (Branch, Context) {
        let graph = &self.heap.graph;
        let parent = graph.address(node).unwrap_or_default();
        let object = self.object(child);
        match self.naming.place(self.edges, context, parent, role, object) {
            Place::Hidden(context) => (branch, context),
            Place::Named(name, context) => (self.branches.child(branch, &name), context),
            Place::Variable(name, Context::Cell) => {
                (self.branches.child(branch, &name), Context::Cell)
            }
            Place::Variable(name, context) => {
                let branch = self.branches.child(branch, &name);
                (self.of_type(child, branch), context)
            }
        }
    }

    /// A place for an object that its dominator does not refer to: beside its holders.
    fn shared(&mut self, node: NodeId, child: NodeId, branch: Branch) -> (Branch, Context) {
        let mut branch = self.branches.child(branch, &SHARED.into());
        if self.is_heavy(child) && self.steps_left > 0 {
            let nodes = self.paths.between_within(node, child, &mut self.steps_left);
            let references = |&node: &NodeId| self.heap.graph.successors(node).len() as u64;
            let inner = nodes.iter().filter(|&&node| node < self.heap.graph.first_leaf());
            let walked = inner.map(references).fold(0, u64::saturating_add);
            self.steps_left = self.steps_left.saturating_sub(walked);
            for word in self.naming.lineage(self.heap, self.names, &nodes) {
                branch = self.branches.child(branch, &word);
            }
            if self.heap.graph.type_info(child).is_some_and(|info| info.name == CELL) {
                return (branch, Context::Cell);
            }
        }
        (self.of_type(child, branch), Context::Plain)
    }

    fn object(&self, node: NodeId) -> Object<'a> {
        let graph = &self.heap.graph;
        Object {
            address: graph.address(node),
            info: graph.type_info(node),
            heavy: self.is_heavy(node),
        }
    }

    fn is_heavy(&self, node: NodeId) -> bool {
        let amount = self.heap.amount(node);
        amount.bytes > self.heavy.bytes || u64::from(amount.objects) > self.heavy.objects
    }

    /// A branch with the name of an object's kind.
    fn of_type(&mut self, node: NodeId, branch: Branch) -> Branch {
        let name = self.naming.kind(self.edges, self.object(node));
        self.branches.child(branch, &name)
    }
}

/// The objects that roots refer to.
fn direct(graph: &Graph) -> FxHashSet<(NodeId, NodeId)> {
    graph
        .root_nodes()
        .flat_map(|(root, _)| graph.successors(root).iter().map(move |&object| (root, object)))
        .collect()
}

/// The objects that stand for roots, and how their referents are named.
fn stands_for(heap: &Analysis<'_>) -> FxHashMap<NodeId, (RootId, Context)> {
    let mut found = FxHashMap::default();
    for (number, root) in (0..).map(RootId).zip(heap.graph.roots()) {
        let context = match root.kind {
            RootKind::Module { .. } => Context::Globals,
            RootKind::Frame { frame, .. } if root.objects == [frame] => Context::Plain,
            _ => continue,
        };
        for &object in &root.objects {
            if let Some(node) = heap.graph.node(object) {
                found.entry(node).or_insert((number, context));
            }
        }
    }
    found
}
