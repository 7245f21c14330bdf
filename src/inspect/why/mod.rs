//! Why objects are alive: their reference chains from GC roots, merged where they read alike.
//!
//! Each selected object is at the end of one or several shortest paths. Paths share their common beginnings
//! ([`path_trie`]). Each step along them gets a [node](path_tree) by role and type: siblings with equal names
//! are one node, so the paths of a hundred thousand objects take a few lines. Objects that only the
//! interpreter needs are left out unless they were selected.

mod path_tree;
mod path_trie;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use self::path_tree::{Part, Places, TOP};
use self::path_trie::Trails;
use super::live::names::{CELL, Context, Held, Naming, Object};
use crate::heap::{
    Amount, Analysis, Effort, Flow, Names, NodeId, Precedence, Referrers, RootKind, RootName,
    RootNames, ShortestPaths, UNNAMED_FRAME, several,
};
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Role};

/// If there are many paths, a step on fewer than one in this many is not named by its own key or index.
const SMALLEST_SHARE: u64 = 20;
const MANY: u64 = 40;
/// The maximum number of objects for which several paths each are found.
const MOST_WITH_SEVERAL: usize = 1000;

/// Which paths to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many paths per object, shortest first.
    pub paths: usize,
    /// What no path may pass through.
    pub excluded: Vec<Excluded>,
    /// How much of keys and values may be shown.
    pub disclosure: Disclosure,
}

/// What paths may not pass through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excluded {
    /// Frames that are running, and frame objects.
    Frames,
    /// The modules in `sys.modules`.
    Modules,
    /// Objects held by native code.
    Native,
    /// Weak references: they do not hold their referents, but they do hold their callbacks.
    Weak,
    /// Objects of the types with this name.
    Type(String),
}

/// Why objects are alive.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The number of selected objects.
    pub asked: u64,
    /// What they retain together, nothing counted twice.
    pub retained: Amount,
    /// The name of their type, if they share one.
    pub kind: Option<String>,
    /// For how many of them paths were searched: all of them, or a sample from all over the heap.
    pub sampled: u64,
    /// How many of those no path reaches, because of what was excluded.
    pub unreached: u64,
    /// The number of paths.
    pub paths: u64,
    /// The places along the paths, each before those that follow it.
    pub lines: Vec<Line>,
    /// The path to the object that retains the most: every object on it, including those that only the
    /// interpreter needs, with its address and type.
    pub example: Vec<(u64, String)>,
}

impl Why {
    /// The frames among the places.
    pub fn frames_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        self.lines.iter_mut().filter_map(|line| match &mut line.what {
            What::Frame(frame) => Some(frame),
            What::Root(_) | What::Objects { .. } => None,
        })
    }
}

/// A place along the paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The number of places before it.
    pub depth: u32,
    /// The root, the frame or the objects there.
    pub what: What,
    /// How many paths pass here or end here.
    pub paths: u64,
    /// How many paths end here.
    pub ends: u64,
    /// The number of objects here.
    pub objects: u64,
    /// What they retain. `None` for a root.
    pub retained: Option<u64>,
    /// The address of the object, or of the one that retains the most.
    pub address: Option<u64>,
    /// The function that the objects are or run, at its definition, if it is the same one.
    pub function: Option<Frame>,
    /// The value of the object, shortened, if values may be shown and it is the only selected one here.
    pub value: Option<String>,
}

/// What a place stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A root other than a frame.
    Root(Arc<str>),
    /// A frame.
    Frame(Frame),
    /// Objects.
    Objects {
        /// How they are held; `None` where a root holds them directly.
        link: Option<Arc<str>>,
        /// Their type.
        kind: Arc<str>,
    },
}

/// Finds the paths to these objects.
pub fn why(heap: &Analysis<'_>, names: &RootNames, asked: &[NodeId], options: &Options) -> Why {
    let shut = Shut::new(heap, &options.excluded);
    let allowed = |node| !shut.contains(heap, node);
    let several_wanted = options.paths > 1;
    let shortest = match several_wanted {
        // Grown along the shortest paths to the objects that are passed.
        true => ShortestPaths::through(&heap.graph, allowed),
        false => ShortestPaths::to(&heap.graph, allowed, asked),
    };
    let mut trails = Trails::default();
    let mut sampled = asked.len();
    if several_wanted {
        let referrers = Referrers::of(&heap.graph);
        let step = asked.len().div_ceil(MOST_WITH_SEVERAL).max(1);
        let some = || asked.iter().step_by(step);
        sampled = some().count();
        // Garbage refers to many live objects, and keeps none of them alive.
        let mut effort = Effort::new();
        let gives_way = |root: NodeId| heap.graph.precedence(root) == Precedence::Last;
        for &node in some() {
            let root = shortest.root(node);
            let leads_on = |node| allowed(node) && (Some(node) == root || !gives_way(node));
            for path in several(&shortest, &referrers, leads_on, node, options.paths, &mut effort) {
                trails.add_path(&path);
            }
        }
    } else {
        trails.add_shortest(&shortest, asked);
    }
    let step = asked.len().div_ceil(sampled.max(1)).max(1);
    let unreached = asked.iter().step_by(step).filter(|&&node| !shortest.reaches(node)).count();
    let largest = asked.iter().copied().filter(|&node| shortest.reaches(node));
    let largest = largest.max_by_key(|&node| (heap.amount(node).bytes, std::cmp::Reverse(node)));
    let example = largest.map(|node| shortest.between(NodeId::ROOT, node)).unwrap_or_default();
    let object = |&node: &NodeId| {
        let kind = heap.graph.type_info(node).map(|info| info.name.clone());
        Some((heap.graph.address(node)?, kind.unwrap_or_default()))
    };

    let mut walker = Walker::new(heap, names, trails, options);
    walker.walk();
    let Walker { trails, places, edges, .. } = walker;
    let mut lines = places.into_lines(heap, edges);
    for line in lines.iter_mut().filter(|line| line.ends > 0 && line.objects == 1) {
        let value = |address| edges.value(address, options.disclosure);
        line.value = line.address.and_then(value);
    }
    Why {
        asked: asked.len() as u64,
        retained: heap.retained_together(asked),
        kind: common_kind(heap, asked),
        sampled: sampled as u64,
        unreached: unreached as u64,
        paths: trails.paths(),
        lines,
        example: example.iter().filter_map(object).collect(),
    }
}

/// The type of all these objects.
fn common_kind(heap: &Analysis<'_>, nodes: &[NodeId]) -> Option<String> {
    let mut names = nodes.iter().map(|&node| heap.graph.type_info(node).map(|info| &info.name));
    let first = names.next()??;
    names.all(|name| name == Some(first)).then(|| first.clone())
}

/// What paths may not pass through.
struct Shut {
    roots: FxHashSet<NodeId>,
    /// Indexed by the number of the type.
    types: Vec<bool>,
}

impl Shut {
    fn new(heap: &Analysis<'_>, excluded: &[Excluded]) -> Shut {
        let has = |what: &Excluded| excluded.contains(what);
        let is_shut_root = |kind: &RootKind| match kind {
            RootKind::Frame { .. } => has(&Excluded::Frames),
            RootKind::Module { .. } => has(&Excluded::Modules),
            RootKind::Native => has(&Excluded::Native),
            _ => false,
        };
        let is_shut_type = |name: &str| {
            excluded.iter().any(|excluded| match excluded {
                Excluded::Frames => name == "frame",
                Excluded::Modules => name == "module",
                Excluded::Native => false,
                Excluded::Weak => name.starts_with("weak"),
                Excluded::Type(wanted) => name == wanted,
            })
        };
        let roots = heap.graph.root_nodes();
        let roots = roots.filter(|(_, root)| is_shut_root(&root.kind)).map(|(node, _)| node);
        let types = heap.graph.types().iter().map(|info| is_shut_type(&info.name));
        Shut { roots: roots.collect(), types: types.collect() }
    }

    fn contains(&self, heap: &Analysis<'_>, node: NodeId) -> bool {
        if node < heap.graph.first_object() {
            return self.roots.contains(&node);
        }
        if !self.types.contains(&true) {
            return false;
        }
        let is_shut = heap.graph.type_id(node).and_then(|id| self.types.get(id.0 as usize));
        is_shut.copied().unwrap_or_default()
    }
}

/// A step of the trails whose successors are still to be placed.
struct Stop {
    step: u32,
    place: u32,
    context: Context,
    /// How the object is held, where its referents are named by that: a variable in a cell.
    pending: Option<Arc<str>>,
}

/// Walks along all trails and finds the place of each step.
struct Walker<'a> {
    heap: &'a Analysis<'a>,
    names: &'a RootNames,
    edges: Names<'a>,
    naming: Naming,
    disclosure: Disclosure,
    trails: Trails,
    places: Places,
    rest: Vec<Stop>,
}

impl<'a> Walker<'a> {
    fn new(
        heap: &'a Analysis<'a>,
        names: &'a RootNames,
        trails: Trails,
        options: &Options,
    ) -> Walker<'a> {
        Walker {
            heap,
            names,
            edges: heap.names(),
            naming: Naming::new(true, options.disclosure),
            disclosure: options.disclosure,
            trails,
            places: Places::new(options.paths <= 1),
            rest: Vec::new(),
        }
    }

    fn walk(&mut self) {
        self.trails.close();
        self.rest.push(Stop { step: 0, place: TOP, context: Context::Plain, pending: None });
        let mut found = Vec::new();
        while let Some(stop) = self.rest.pop() {
            let children = self.trails.children(stop.step).to_vec();
            if children.is_empty() {
                continue;
            }
            let roles = self.roles(stop.step, &children, &mut found);
            for child in children {
                self.place(&stop, child, roles.get(&child).copied());
            }
        }
    }

    /// The roles of the objects of these steps in the object of the step before.
    fn roles(
        &mut self,
        step: u32,
        children: &[u32],
        found: &mut Vec<(u64, Role)>,
    ) -> FxHashMap<u32, Role> {
        let graph = &self.heap.graph;
        let node = self.trails.node(step);
        found.clear();
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
        let addresses: FxHashMap<u64, u32> = children
            .iter()
            .filter_map(|&child| Some((graph.address(self.trails.node(child))?, child)))
            .collect();
        let mut roles: FxHashMap<u32, Role> = FxHashMap::default();
        for (object, role) in found.drain(..) {
            let Some(child) = addresses.get(&object) else { continue };
            let known = roles.entry(*child).or_insert(role);
            if role.says_more_than(*known) {
                *known = role;
            }
        }
        roles
    }

    /// Finds the place of a step after another.
    fn place(&mut self, before: &Stop, step: u32, role: Option<Role>) {
        let heap = self.heap;
        let graph = &heap.graph;
        let node = self.trails.node(step);
        let stop = |place, context| Stop { step, place, context, pending: None };
        if let Some(root) = graph.root_of_node(node) {
            let part = match self.names.get(root) {
                Some(RootName::Words(words)) => Part::Root(words.as_str().into()),
                Some(RootName::Frame { frame: Some(frame), .. }) => Part::Frame(frame.clone()),
                _ => Part::Root(UNNAMED_FRAME.into()),
            };
            let place = self.places.root(before.place, part);
            self.rest.push(stop(place, Context::Plain));
            return;
        }
        let ends = self.trails.ends(step);
        let parent = self.trails.node(before.step);
        let info = graph.type_info(node);
        let held = match graph.root(parent).map(|root| &root.kind) {
            // The object that the root stands for needs no line of its own.
            Some(RootKind::Module { .. }) => Some(Held::Hidden(Context::Globals)),
            Some(RootKind::Frame { frame, .. }) if graph.address(node) == Some(*frame) => {
                Some(Held::Hidden(Context::Plain))
            }
            // The module object itself, on the way to its globals.
            _ if before.context == Context::Globals && role == Some(Role::Field("__dict__")) => {
                Some(Held::Hidden(Context::Globals))
            }
            _ => role.map(|role| {
                let holder = graph.address(parent).unwrap_or_default();
                let (passing, all) = (self.trails.passing(step), self.trails.paths());
                let heavy = all <= MANY || passing.saturating_mul(SMALLEST_SHARE) >= all;
                let object = Object { address: graph.address(node), info, heavy };
                self.naming.held(self.edges, before.context, holder, role, object)
            }),
        };
        let (link, context) = match held {
            Some(Held::Hidden(context)) if ends == 0 => {
                self.rest
                    .push(Stop { pending: before.pending.clone(), ..stop(before.place, context) });
                return;
            }
            Some(Held::Hidden(context)) => (self.words(role), context),
            Some(Held::Variable(name, Context::Cell)) if ends == 0 => {
                self.rest.push(Stop { pending: Some(name), ..stop(before.place, Context::Cell) });
                return;
            }
            Some(Held::Variable(name, context)) => (Some(name), context),
            Some(Held::Contents) => {
                (before.pending.clone().or_else(|| self.words(role)), Context::Plain)
            }
            Some(Held::Named(link)) => {
                let is_cell = info.is_some_and(|info| info.name == CELL);
                (Some(link), if is_cell { Context::Cell } else { Context::Plain })
            }
            None => (None, Context::Plain),
        };
        let place = self.places.objects(before.place, link, self.naming.type_name(info));
        self.places.add(place, node, self.trails.depth(step), ends);
        self.rest.push(stop(place, context));
    }

    /// The words for a role, even if only the interpreter needs the object that has it.
    fn words(&self, role: Option<Role>) -> Option<Arc<str>> {
        let words = self.edges.disclosed(role?, self.disclosure)?;
        Some(words.to_string().into())
    }
}
