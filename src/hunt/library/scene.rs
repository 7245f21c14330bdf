//! What a row of the table is compared with: the objects that pile up, their state, and the way to them.

use std::cell::OnceCell;

use rustc_hash::FxHashSet;

use super::row::{Place, Row, State};
use crate::heap::{Analysis, Capture, Flow, NodeId, RootKind};
use crate::hunt::finding::LeakKind;
use crate::hunt::suspects::comparison::Comparison;
use crate::hunt::suspects::suspect::Suspect;
use crate::hunt::suspects::threads;
use crate::python::objects::{EdgeNames, Link, Reader, Role, TypeId};

/// The most objects whose state is read, evenly spread over all.
const MOST_OBJECTS: usize = 400;
/// How far above the holder [`Place::Within`] looks.
const FURTHEST: usize = 3;
/// How many objects are visited to see whether a value leads back to its key.
const MOST_VISITED: usize = 200;
/// How many values are followed for that.
const MOST_VALUES: usize = 40;

/// A suspect, seen with the eyes of the table.
pub(super) struct Scene<'a> {
    comparison: &'a Comparison<'a>,
    pub reader: Reader<'a, Capture<'a>>,
    kind: LeakKind,
    /// What the hunt calls the holder.
    name: String,
    /// The holder, if it is an object.
    pub holder: Option<NodeId>,
    /// The names of the type of what piles up, and of its bases.
    lineage: Vec<String>,
    /// The way to the holder, its last step first.
    steps: Vec<Step>,
    /// The numbers of that type.
    kinds: FxHashSet<TypeId>,
    /// The objects that pile up, once they are needed.
    objects: OnceCell<Vec<u64>>,
}

/// A step of the way to the holder.
struct Step {
    /// The object that has the attribute.
    owner: u64,
    /// The names of its type, of the bases, and its own if it is a class.
    owners: Vec<String>,
    name: String,
}

/// How many objects are in a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub are: usize,
    pub of: usize,
}

impl Share {
    fn of(objects: &[u64], mut is: impl FnMut(u64) -> bool) -> Share {
        Share { are: objects.iter().filter(|&&object| is(object)).count(), of: objects.len() }
    }

    /// Whether it is most of them.
    fn is_most(self) -> bool {
        2 * self.are > self.of
    }
}

/// Why a row fits.
pub(super) struct Fit {
    /// How many of the objects are in its state.
    pub share: Share,
    /// The object that has the attribute that it names, or the holder.
    pub place: Option<u64>,
}

impl<'a> Scene<'a> {
    /// The scene of a suspect; `None` if the heap is not from memory.
    pub fn of(comparison: &'a Comparison<'a>, suspect: &Suspect) -> Option<Scene<'a>> {
        let heap = comparison.heap;
        let reader = heap.reader()?;
        let finding = &suspect.finding;
        let types: Vec<_> =
            heap.graph.types().iter().filter(|info| info.name == finding.grown).collect();
        let lineage = types.first().map(|info| names(reader, info.address)).unwrap_or_default();
        let ids: FxHashSet<TypeId> = types.iter().map(|info| info.id).collect();
        let holder = finding.holder.address.and_then(|address| heap.graph.node(address));
        Some(Scene {
            comparison,
            reader,
            kind: finding.kind,
            name: finding.holder.name.clone(),
            holder,
            lineage,
            steps: holder.map(|holder| steps(comparison, reader, holder)).unwrap_or_default(),
            kinds: ids,
            objects: OnceCell::new(),
        })
    }

    /// The objects that pile up, or some of them.
    pub fn objects(&self) -> &[u64] {
        self.objects.get_or_init(|| objects(self.comparison, self.holder, &self.kinds))
    }

    /// Whether what piles up is of one of these types, or derived from one.
    pub fn is_of(&self, types: &[&str]) -> bool {
        has_one(&self.lineage, types)
    }

    /// Whether a row fits, and why.
    pub fn fit(&self, row: &Row) -> Option<Fit> {
        let is_of_type = row.objects.is_empty() || self.is_of(row.objects);
        let has_package = row.package.is_none_or(|name| is_imported(self.comparison.heap, name));
        if !is_of_type || !has_package {
            return None;
        }
        let holder = self.holder.and_then(|holder| self.comparison.heap.graph.address(holder));
        let place = match row.places {
            [] => holder,
            places => Some(places.iter().find_map(|place| self.place(place))?),
        };
        let share = self.share(row.state, place)?;
        Some(Fit { share, place })
    }

    /// The object that is the place, or that has it as an attribute.
    fn place(&self, place: &Place) -> Option<u64> {
        let step = |within: usize, types: &[&str], attributes: &[&str]| {
            let is_it = |step: &&Step| {
                let has_type = types.is_empty() || has_one(&step.owners, types);
                has_type && attributes.iter().any(|pattern| is_like(&step.name, pattern))
            };
            self.steps.iter().take(within).find(is_it).map(|step| step.owner)
        };
        match place {
            Place::Holder(types) => {
                let holder = self.comparison.identity(self.holder?)?;
                has_one(&names(self.reader, holder.1), types).then_some(holder.0)
            }
            Place::Attribute(types, attributes) => step(1, types, attributes),
            Place::Within(types, attributes) => step(FURTHEST, types, attributes),
            Place::Global(variables) => step(1, &["module"], variables),
            Place::Called(names) if names.contains(&&*self.name) => {
                Some(self.comparison.identity(self.holder?)?.0)
            }
            Place::Called(_) => None,
        }
    }

    /// How many objects are in this state; `None` unless most are.
    fn share(&self, state: State, place: Option<u64>) -> Option<Share> {
        let value = |object, path| self.reader.state(object, path);
        let is_one =
            |value: Option<String>, of: &[&str]| value.map(|value| of.contains(&value.as_str()));
        let share = match state {
            State::Any => return Some(Share::default()),
            State::PlaceHas(path, values) => {
                return is_one(value(place?, path), values)?.then(Share::default);
            }
            State::Have(path, values) => Share::of(self.objects(), |object| {
                is_one(value(object, path), values) == Some(true)
            }),
            State::HaveNot(path, values) => Share::of(self.objects(), |object| {
                is_one(value(object, path), values) == Some(false)
            }),
            State::Run if self.kind == LeakKind::Threads => return Some(Share::default()),
            State::Run | State::DoNotRun => {
                let running = self.running()?;
                let runs = matches!(state, State::Run);
                Share::of(self.objects(), |thread| running.contains(&thread) == runs)
            }
            State::LeadBack => self.lead_back()?,
        };
        share.is_most().then_some(share)
    }

    /// The threads that run.
    fn running(&self) -> Option<FxHashSet<u64>> {
        let Comparison { heap, interpreter, .. } = self.comparison;
        let active = threads::running(heap.capture()?, interpreter.python()?, &heap.graph)?;
        let mut found = Vec::new();
        self.reader.roles(active, &mut found);
        Some(found.into_iter().map(|(object, _)| object).collect())
    }

    /// How many values of a dict with weak keys lead back to their keys.
    fn lead_back(&self) -> Option<Share> {
        let graph = &self.comparison.heap.graph;
        let mut found = Vec::new();
        self.reader.roles(graph.address(self.holder?)?, &mut found);
        let pair = |&(value, role): &(u64, Role)| match role {
            Role::Value(key) => Some((graph.node(value)?, graph.node(self.reader.referent(key)?)?)),
            _ => None,
        };
        let pairs: Vec<_> = found.iter().rev().filter_map(pair).take(MOST_VALUES).collect();
        let are = pairs.iter().filter(|(value, key)| self.leads(*value, *key)).count();
        Some(Share { are, of: pairs.len() })
    }

    /// Whether an object refers to another, through a few others.
    fn leads(&self, from: NodeId, to: NodeId) -> bool {
        let graph = &self.comparison.heap.graph;
        let mut seen = FxHashSet::from_iter([from]);
        let mut rest = vec![from];
        while let Some(node) = rest.pop() {
            if node == to {
                return true;
            }
            let is_code = graph.type_info(node).is_some_and(|info| {
                info.is_metatype() || matches!(&*info.name, "module" | "function" | "code")
            });
            if node >= graph.first_leaf() || is_code {
                continue;
            }
            for &next in graph.successors(node) {
                if seen.len() < MOST_VISITED && seen.insert(next) {
                    rest.push(next);
                }
            }
        }
        false
    }
}

/// The names of a type and of its bases.
fn names(reader: Reader<'_, Capture<'_>>, kind: u64) -> Vec<String> {
    reader.lineage(kind).into_iter().map(|info| info.name.clone()).collect()
}

/// Whether a package is in `sys.modules`.
fn is_imported(heap: &Analysis<'_>, package: &str) -> bool {
    let is_it = |kind: &RootKind| matches!(kind, RootKind::Module { name } if name == package);
    heap.graph.roots().iter().any(|root| is_it(&root.kind))
}

/// The way to an object, its last step first.
fn steps(comparison: &Comparison<'_>, reader: Reader<'_, Capture<'_>>, node: NodeId) -> Vec<Step> {
    let graph = &comparison.heap.graph;
    let nodes = comparison.told_path(node);
    let mut objects: Vec<u64> = nodes.iter().filter_map(|&node| graph.address(node)).collect();
    let root = nodes.iter().rev().find_map(|&node| graph.root(node));
    // Its globals are reached through its dict.
    if let Some(root) = root
        && matches!(root.kind, RootKind::Module { .. })
        && let Some(module) = root.objects.first()
        && !objects.contains(module)
    {
        objects.insert(0, *module);
    }
    let Some(&first) = objects.first() else { return Vec::new() };
    let mut owner = first;
    let mut steps = Vec::new();
    for step in reader.path(&objects) {
        let from = std::mem::replace(&mut owner, step.object);
        let kind = reader.type_address(from);
        let mut owners = names(reader, kind);
        if owners.iter().any(|name| name == "type") {
            owners.extend(names(reader, from));
        }
        let name = match step.link {
            Link::Attribute(name) | Link::Local(name) | Link::Closure(name) => name,
            _ => String::new(),
        };
        steps.push(Step { owner: from, owners, name });
    }
    steps.reverse();
    steps.truncate(FURTHEST);
    steps
}

/// The objects of these types that pile up: the holder's items, or else new objects below it, or else anywhere.
fn objects(
    comparison: &Comparison<'_>,
    holder: Option<NodeId>,
    kinds: &FxHashSet<TypeId>,
) -> Vec<u64> {
    let graph = &comparison.heap.graph;
    let is_it = |node: &NodeId| graph.type_id(*node).is_some_and(|kind| kinds.contains(&kind));
    let items = holder.map(|holder| graph.successors(holder)).unwrap_or_default();
    let mut found: Vec<NodeId> = items.iter().copied().filter(is_it).collect();
    if found.is_empty() {
        let new = |node: NodeId| Some((comparison.growth.holder(node)?, node));
        let new: Vec<_> = graph.objects().filter(is_it).filter_map(new).collect();
        let below = new.iter().filter(|(of, _)| Some(*of) == holder).map(|(_, node)| *node);
        found = below.collect();
        if found.is_empty() {
            found = new.into_iter().map(|(_, node)| node).collect();
        }
    }
    let every = found.len().div_ceil(MOST_OBJECTS).max(1);
    found.into_iter().step_by(every).filter_map(|node| graph.address(node)).collect()
}

fn has_one(names: &[String], wanted: &[&str]) -> bool {
    names.iter().any(|name| wanted.contains(&name.as_str()))
}

/// Whether a name is like a pattern, in which an asterisk at one end stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_have_an_asterisk_at_one_end() {
        assert!(is_like("_listeners", "*listeners") && is_like("listeners", "*listeners"));
        assert!(is_like("on_close", "on_*") && !is_like("upon_close", "on_*"));
        assert!(is_like("figs", "figs") && !is_like("figs2", "figs"));
    }
}
