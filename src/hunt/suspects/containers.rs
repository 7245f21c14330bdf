//! Growth without new objects attached: containers with more references to objects that are old or held by
//! others, objects that grow larger themselves, and threads.

use rustc_hash::FxHashMap;

use super::comparison::Comparison;
use super::scoring::LEAST_OBJECTS;
use super::suspect::{Evidence, Key, Rise, Suspect};
use super::threads;
use crate::heap::{Flow, NodeId, Root, RootKind};
use crate::hunt::compare::accumulation_points::{AccumulationPoint, MANY, Shape};
use crate::hunt::compare::growth::Accumulation;
use crate::hunt::compare::heap_columns::{HeapColumns, Resizable};
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::LeakKind;
use crate::python::objects::TypeId;

/// An object must have grown by this many bytes to be suspect.
const LEAST_BYTES: f64 = 4096.0;
/// How many containers are examined, those with most new references first.
const MOST_CONTAINERS: usize = 256;
/// How many of a container's newest references show what it grows with.
const NEWEST: usize = 16;
/// If one of many grows, the whole must have grown by at least this share of it.
const LEAST_OF_ALL: f64 = 0.5;

impl Comparison<'_> {
    /// Containers that grow although no new objects hang from them: their contents also hang from others, or
    /// have always been there.
    pub fn containers(
        &self,
        found: &mut Vec<Suspect>,
        holders: &FxHashMap<NodeId, usize>,
        but_threads: bool,
    ) {
        let Some(([first, ..], last)) = self.snapshots.split_last().map(|(last, e)| (e, last))
        else {
            return;
        };
        let start = self.heap.graph.first_object();
        let mut grown: Vec<(u32, NodeId)> = last
            .grown_since(first)
            .filter(|&(_, more)| f64::from(more) >= LEAST_OBJECTS)
            .map(|(index, more)| (more, NodeId(start.0 + index as u32)))
            .filter(|(_, node)| !holders.contains_key(node))
            .collect();
        grown.sort_unstable_by(|a, b| b.cmp(a));
        grown.truncate(MOST_CONTAINERS);
        for (_, node) in grown {
            let point = AccumulationPoint {
                node,
                shape: Shape::One,
                holders: vec![node],
                accumulated: Accumulation::default(),
            };
            let series = self.series(&point);
            let Some(rise) = Rise::of(&series, LEAST_OBJECTS) else { continue };
            if series.len() < self.snapshots.len()
                || but_threads && self.is_of_threads(node)
                || self.is_one_of_changing(node, rise)
            {
                continue;
            }
            match self.shared_with(node, holders) {
                // What grows steadily is not explained by what does not.
                Shared::With(index, kind)
                    if rise.is_steady && found.get(index).is_none_or(|it| !it.is_steady) =>
                {
                    found.extend(self.container(node, kind, rise));
                }
                Shared::With(index, _) => {
                    let path = self.holder(node).path;
                    if let Some(suspect) = found.get_mut(index) {
                        suspect.finding.also.push(path);
                    }
                }
                Shared::Unknown => found.extend(self.modules(node, rise)),
                Shared::Old(grown) => found.extend(self.container(node, grown, rise)),
            }
        }
    }

    /// Whether a container is one of many of its kind in one object that does not grow as a whole: each of
    /// them comes, grows and goes, as sessions do, and their new contents may lie where old objects have
    /// gone.
    fn is_one_of_changing(&self, node: NodeId, rise: Rise) -> bool {
        let graph = &self.heap.graph;
        let Some(parent) = self.paths.before(node) else { return false };
        let kind = graph.type_id(node);
        let alike = graph.successors(parent).iter().filter(|&&other| graph.type_id(other) == kind);
        alike.count() >= MANY && self.keeps_its_size(parent, rise)
    }

    /// Whether an object has let something go: it refers to more new objects than it has gained references.
    pub fn has_lost_some(&self, node: NodeId) -> bool {
        let references = |snapshot: &HeapColumns| Some(self.held(node, snapshot)?.references);
        let ends = self.snapshots.first().zip(self.snapshots.last());
        let ends = ends.and_then(|(first, last)| Some((references(first)?, references(last)?)));
        let is_new = |next: &&NodeId| self.growth.holder(**next).is_some();
        let new = self.heap.graph.successors(node).iter().filter(is_new).count();
        ends.is_none_or(|(first, last)| new > last.saturating_sub(first) as usize)
    }

    /// Whether the retained size of an object does not grow although something below it grows by `rise`.
    pub fn keeps_its_size(&self, node: NodeId, rise: Rise) -> bool {
        let held = |snapshot: &HeapColumns| Some((snapshot.at, self.held(node, snapshot)?.objects));
        let held: Series =
            self.snapshots.iter().filter_map(held).map(|(at, it)| (at, f64::from(it))).collect();
        // Objects that others hold as well are not retained, so their total is not known.
        let is_known = held.last().is_some_and(|last| last.1 >= rise.growth.net);
        let grows = Rise::of(&held, LEAST_OBJECTS).is_some_and(|whole| {
            whole.is_steady && whole.growth.net >= LEAST_OF_ALL * rise.growth.net
        });
        is_known && !grows
    }

    /// The objects that a container grows with: a suspect's, new ones, or old ones.
    fn shared_with(&self, node: NodeId, holders: &FxHashMap<NodeId, usize>) -> Shared {
        let graph = &self.heap.graph;
        let references = graph.successors(node);
        let mut old = FxHashMap::<TypeId, u32>::default();
        for &next in references.iter().rev().take(NEWEST) {
            match self.growth.holder(next) {
                Some(other) => match holders.get(&other) {
                    Some(&index) => match graph.type_id(next) {
                        Some(kind) => return Shared::With(index, kind),
                        None => return Shared::Unknown,
                    },
                    None => return Shared::Unknown,
                },
                None => {
                    if let Some(kind) = graph.type_id(next) {
                        *old.entry(kind).or_default() += 1;
                    }
                }
            }
        }
        let most = old.into_iter().max_by_key(|(kind, count)| (*count, kind.0));
        most.map_or(Shared::Unknown, |(kind, _)| Shared::Old(kind))
    }

    /// A container with ever more references to old objects.
    fn container(&self, node: NodeId, grown: TypeId, rise: Rise) -> Option<Suspect> {
        let (address, _) = self.identity(node)?;
        let first = self.snapshots.first()?;
        let bytes = self.heap.amount(node).bytes.checked_sub(self.held(node, first)?.bytes)?;
        let seconds = self.snapshots.last()?.at.saturating_sub(first.at).as_secs_f64();
        let holder = self.holder(node);
        if holder.path.is_empty() {
            return None;
        }
        let evidence = Evidence {
            kind: LeakKind::Container,
            grown: self.heap.graph.types().get(grown)?.name.clone(),
            holder,
            objects_per_s: rise.growth.per_second,
            bytes_per_s: bytes as f64 / seconds,
            bytes_per_object: bytes as f64 / rise.growth.net,
            keeps_frames: false,
            filling: self.filling(node, rise.growth.per_second),
        };
        evidence.into_suspect(Key::Object(address), rise, vec![address], self.collector)
    }

    /// A container of ever more modules, `sys.modules`: each module hangs from a root of its own.
    fn modules(&self, node: NodeId, rise: Rise) -> Option<Suspect> {
        let graph = &self.heap.graph;
        let holders = graph.successors(node).iter().filter_map(|&next| self.growth.holder(next));
        let roots: FxHashMap<NodeId, &Root> = holders
            .filter_map(|holder| Some((holder, graph.root(holder)?)))
            .filter(|(_, root)| matches!(root.kind, RootKind::Module { .. }))
            .collect();
        // An old module with new contents has a root as well.
        let node_of = |&object: &u64| graph.node(object);
        let is_new = |node: &NodeId| self.growth.holder(*node).is_some();
        let module = |root: &Root| root.objects.first().and_then(node_of).filter(is_new);
        let modules: Vec<NodeId> = roots.values().filter_map(|root| module(root)).collect();
        let count = modules.len() as f64;
        if count < LEAST_OBJECTS {
            return None;
        }
        let grown = graph.type_id(*modules.first()?)?;
        let objects = roots.values().flat_map(|root| &root.objects).filter_map(node_of);
        let bytes: u64 = objects.filter(is_new).map(|node| self.heap.amount(node).bytes).sum();
        let [first, .., last] = self.snapshots else { return None };
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let evidence = Evidence {
            kind: LeakKind::Container,
            grown: graph.types().get(grown)?.name.clone(),
            holder: self.holder(node),
            objects_per_s: count / seconds,
            bytes_per_s: bytes as f64 / seconds,
            bytes_per_object: bytes as f64 / count,
            keeps_frames: false,
            filling: None,
        };
        let address = self.identity(node)?.0;
        evidence.into_suspect(Key::Object(address), rise, vec![address], self.collector)
    }

    /// Objects that grow by themselves, such as a bytearray.
    pub fn resizable(&self) -> Vec<Suspect> {
        let Some((last, earlier)) = self.snapshots.split_last() else { return Vec::new() };
        last.resizable().iter().filter_map(|now| self.resizing(now, earlier, last)).collect()
    }

    fn resizing(
        &self,
        now: &Resizable,
        earlier: &[HeapColumns],
        last: &HeapColumns,
    ) -> Option<Suspect> {
        let node = self.heap.graph.node(now.address)?;
        let mut series: Series = earlier
            .iter()
            .filter_map(|it| Some((it.at, it.resizable_at(now.address, now.kind)?.bytes as f64)))
            .collect();
        series.push((last.at, now.bytes as f64));
        let rise = Rise::of(&series, LEAST_BYTES).filter(|_| series.len() > 2)?;
        let evidence = Evidence {
            kind: LeakKind::Container,
            grown: self.heap.graph.type_info(node)?.name.clone(),
            holder: self.holder(node),
            objects_per_s: 0.0,
            bytes_per_s: rise.growth.per_second,
            bytes_per_object: now.bytes as f64,
            keeps_frames: false,
            filling: None,
        };
        evidence.into_suspect(Key::Object(now.address), rise, vec![now.address], self.collector)
    }

    /// Threads that are started and do not end.
    pub fn threads(&self) -> Option<Suspect> {
        let series: Series =
            self.snapshots.iter().map(|it| (it.at, f64::from(it.totals.threads))).collect();
        let rise = Rise::of(&series, LEAST_OBJECTS / 2.0)?;
        let (holder, bytes) = threads::describe(self.heap, &self.names);
        let evidence = Evidence {
            kind: LeakKind::Threads,
            grown: "threading.Thread".to_owned(),
            holder,
            objects_per_s: rise.growth.per_second,
            bytes_per_s: rise.growth.per_second * bytes,
            bytes_per_object: bytes,
            keeps_frames: false,
            filling: None,
        };
        let memory = self.heap.capture().zip(self.interpreter.python());
        let started = memory
            .and_then(|(capture, python)| threads::started(capture, python, &self.heap.graph));
        evidence.into_suspect(Key::Threads, rise, started.into_iter().collect(), self.collector)
    }

    /// Whether an object belongs to threads, or to Python's records of them.
    pub fn is_of_threads(&self, node: NodeId) -> bool {
        self.paths.between(NodeId::ROOT, node).iter().any(|&node| {
            match self.heap.graph.root(node).map(|root| &root.kind) {
                Some(RootKind::Thread { .. } | RootKind::Frame { .. }) => true,
                Some(RootKind::Module { name }) => name == "threading" || name == "_weakrefset",
                _ => false,
            }
        })
    }
}

/// The objects that a container grows with.
enum Shared {
    /// The objects that this suspect holds, mostly of this type.
    With(usize, TypeId),
    /// New objects that hang from somewhere else.
    Unknown,
    /// Old objects, mostly of this type.
    Old(TypeId),
}
