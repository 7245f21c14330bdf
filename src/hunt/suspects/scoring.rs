//! Whether an accumulation point leaks.
//!
//! It does if objects of each interval survive *and* it has net growth in every interval, at about the same
//! pace. A bounded cache takes in new objects but has no net growth; a queue has some for a moment, but its
//! contents are soon gone; a single burst of load does not go on.

use rustc_hash::FxHashSet;

use super::bounds::Filling;
use super::comparison::Comparison;
use super::leak_kinds::{count, grown, is_waiting, keeps_frames, waits};
use super::names;
use super::suspect::{Evidence, Key, Rise, Suspect};
use crate::heap::{Flow, NodeId, RootKind};
use crate::hunt::compare::accumulation_points::{AccumulationPoint, Shape};
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::LeakKind;
use crate::python::objects::TypeId;

/// A number of objects must have grown by this much to be suspect.
pub const LEAST_OBJECTS: f64 = 6.0;
/// How many holders of a spread are watched.
const SAMPLE: usize = 12;
/// The share of a chain's growth that all objects of its type must have grown by.
const LEAST_SHARE_OF_CHAIN: f64 = 0.25;
/// The share of all objects that garbage may have before an enabled collector must look for it, as in CPython
/// (`long_lived_pending < long_lived_total / 4`, Modules/gcmodule.c, 3.8 to 3.13).
const PENDING_SHARE: f64 = 0.25;

impl Comparison<'_> {
    /// Assesses a place.
    pub fn assess(&self, point: &AccumulationPoint) -> Option<Suspect> {
        let root = self.heap.graph.root(point.node).map(|root| &root.kind);
        let series = self.series(point);
        let rise = Rise::of(&series, LEAST_OBJECTS)?;
        let proven = point.accumulated.cohorts.split_last()?.1;
        let since = series.len().min(self.snapshots.len());
        let born = self.snapshots.len() - since;
        let proven = proven.get(born..)?;
        // Where objects come, grow and go, all that exist in the end have grown.
        let is_changing = point.shape == Shape::Spread
            && self.has_lost_some(point.node)
            && self.keeps_its_size(point.node, rise);
        let is_steady =
            rise.is_steady && !is_changing && proven.iter().all(|cohort| cohort.objects > 0);
        let kind = match (root, point.shape) {
            (Some(RootKind::Garbage), _) => LeakKind::Garbage,
            (Some(RootKind::Native), _) => LeakKind::Refcount,
            (_, Shape::Chain) => LeakKind::Chain,
            (Some(_), _) => return None,
            (None, Shape::Spread) => LeakKind::Spread,
            (None, Shape::One) => LeakKind::Container,
        };
        let key = match (kind, self.identity(point.node)) {
            (LeakKind::Garbage, _) if self.is_bounded_garbage() => return None,
            (LeakKind::Garbage, _) => Key::Garbage,
            (LeakKind::Refcount, _) => Key::Native,
            (_, Some((address, _))) => Key::Object(address),
            // A chain that hangs from a frame.
            (_, None) => Key::Object(self.identity(*point.accumulated.examples.first()?)?.0),
        };
        let is_waiting = is_waiting(self.heap, &point.accumulated) && !self.have_ended(point);
        let kind = if is_waiting { LeakKind::Tasks } else { kind };
        let grown = grown(self.heap, kind, &point.accumulated)?;
        let is_steady = is_steady && (kind != LeakKind::Chain || self.has_become_more(grown, rise));
        let [from, to] = [born, self.snapshots.len().checked_sub(2)?];
        let seconds = self.snapshots.get(to)?.at.saturating_sub(self.snapshots.get(from)?.at);
        let per_second = |amount: f64| amount / seconds.as_secs_f64();
        let count = count(kind, grown, &point.accumulated);
        let bytes = proven.iter().map(|cohort| cohort.bytes).sum::<u64>() as f64;
        let above = self.told_path(self.start(kind, point, grown));
        let grown_kind = self.heap.graph.types().get(grown)?;
        let evidence = Evidence {
            kind,
            grown: grown_kind.name.clone(),
            holder: names::holder(self.heap, &self.names, &above, &self.pattern(point)),
            objects_per_s: per_second(count),
            bytes_per_s: per_second(bytes),
            bytes_per_object: bytes / count,
            keeps_frames: keeps_frames(self.heap, &point.accumulated),
            filling: self.filling_of(kind, point, per_second(count)),
        };
        let watch = self.watch(kind, point, grown);
        evidence.into_suspect(key, Rise { is_steady, ..rise }, watch, self.collector)
    }

    /// The bound of a place; for many holders, that of one of the fastest-growing, if the first few all have
    /// one.
    fn filling_of(
        &self,
        kind: LeakKind,
        point: &AccumulationPoint,
        per_second: f64,
    ) -> Option<Filling> {
        const FEW: usize = 3;
        match kind {
            LeakKind::Container => self.filling(point.node, per_second),
            LeakKind::Spread => {
                let each = per_second / point.holders.len() as f64;
                let few = point.holders.iter().take(FEW);
                let all: Option<Vec<_>> = few.map(|&holder| self.filling(holder, each)).collect();
                all?.pop()
            }
            _ => None,
        }
    }

    /// How much a place held at each moment.
    pub fn series(&self, point: &AccumulationPoint) -> Series {
        let totals = |pick: fn(&HeapColumns) -> u32| {
            self.snapshots.iter().map(|it| (it.at, f64::from(pick(it)))).collect()
        };
        match self.heap.graph.root(point.node).map(|root| &root.kind) {
            Some(RootKind::Garbage) => return totals(|it| it.totals.garbage.objects),
            Some(RootKind::Native) => return totals(|it| it.totals.native.objects),
            _ => {}
        }
        if point.shape == Shape::Chain {
            let mut sum = 0.0;
            let mut series: Series = Vec::new();
            let mut cohorts = point.accumulated.cohorts.iter();
            for snapshot in self.snapshots {
                series.push((snapshot.at, sum));
                sum += cohorts.next().map_or(0.0, |cohort| f64::from(cohort.objects));
            }
            return series;
        }
        let mut series: Series = Vec::new();
        for snapshot in self.snapshots {
            let held = point.holders.iter().filter_map(|&node| self.held(node, snapshot));
            let mut known = false;
            let sum: f64 = held.inspect(|_| known = true).map(|it| f64::from(it.references)).sum();
            // It may have been created since.
            if known {
                series.push((snapshot.at, sum));
            }
        }
        series
    }

    /// Whether the objects of a type have become more by about as much as a chain of them seems to grow. A linked
    /// queue gets new links at its end, and loses as many at its head.
    fn has_become_more(&self, kind: TypeId, rise: Rise) -> bool {
        let counts = |snapshot: &HeapColumns| {
            let info = self.heap.graph.types().get(kind)?;
            Some((snapshot.at, snapshot.count_of(info.address) as f64))
        };
        let series: Series = self.snapshots.iter().filter_map(counts).collect();
        Rise::of(&series, LEAST_OBJECTS).is_some_and(|whole| {
            whole.is_steady && whole.growth.net >= LEAST_SHARE_OF_CHAIN * rise.growth.net
        })
    }

    /// Whether the collector will find the present garbage in its own time.
    fn is_bounded_garbage(&self) -> bool {
        let Some(last) = self.snapshots.last() else { return true };
        let share = f64::from(last.totals.garbage.objects) / f64::from(last.totals.heap.objects);
        self.collector.comes_by() && share < PENDING_SHARE
    }

    /// The object by which a place is reported: of a chain, its first link.
    fn start(&self, kind: LeakKind, point: &AccumulationPoint, grown: TypeId) -> NodeId {
        if kind != LeakKind::Chain {
            return point.node;
        }
        // Between two links there can be other objects, such as the dict of an instance.
        let is_part = |node: NodeId| {
            let kind = self.heap.graph.type_id(node);
            kind.is_some_and(|kind| point.accumulated.kinds.contains_key(&kind))
        };
        let (mut node, mut first) = (point.node, point.node);
        while is_part(node) {
            if self.heap.graph.type_id(node) == Some(grown) {
                first = node;
            }
            let Some(parent) = self.paths.before(node) else { break };
            node = parent;
        }
        first
    }

    /// The way from a place to one of its holders, which stands for the ways to all.
    fn pattern(&self, point: &AccumulationPoint) -> Vec<NodeId> {
        let holder = point.holders.iter().find(|&&holder| holder != point.node);
        match (point.shape, holder) {
            (Shape::Spread, Some(&holder)) => self.paths.between(point.node, holder),
            _ => Vec::new(),
        }
    }

    /// The objects to watch.
    fn watch(&self, kind: LeakKind, point: &AccumulationPoint, grown: TypeId) -> Vec<u64> {
        let graph = &self.heap.graph;
        let of_type = || {
            let kind = graph.types().get(grown).filter(|kind| kind.counts_instances());
            kind.map(|kind| kind.address)
        };
        match kind {
            LeakKind::Container | LeakKind::Spread => {
                let holders = point.holders.iter().chain([&point.node]);
                let mut sizes: Vec<u64> = Vec::new();
                for (address, _) in holders.filter_map(|&node| self.identity(node)) {
                    if !sizes.contains(&address) && sizes.len() < SAMPLE {
                        sizes.push(address);
                    }
                }
                sizes
            }
            LeakKind::Tasks => {
                let examples = point.accumulated.examples.iter();
                let mut code: Vec<u64> =
                    examples.filter_map(|&node| self.code_below(node)).collect();
                code.dedup();
                code
            }
            LeakKind::Chain | LeakKind::Garbage | LeakKind::Refcount => {
                of_type().into_iter().collect()
            }
            LeakKind::Threads
            | LeakKind::Native
            | LeakKind::Holes
            | LeakKind::Mappings
            | LeakKind::Copied
            | LeakKind::Uncollectable => Vec::new(),
        }
    }

    /// Whether what looks like waiting code has ended, in most examples.
    fn have_ended(&self, point: &AccumulationPoint) -> bool {
        let Some(reader) = self.heap.reader() else { return false };
        let examples = &point.accumulated.examples;
        let running = examples.iter().filter_map(|&node| self.running_below(node));
        let addresses = running.filter_map(|node| self.heap.graph.address(node));
        2 * addresses.filter(|&it| reader.suspension(it).is_none()).count() > examples.len()
    }

    /// The coroutine or generator at or below this node.
    fn running_below(&self, node: NodeId) -> Option<NodeId> {
        let graph = &self.heap.graph;
        let waits = |node| graph.type_info(node).is_some_and(|kind| waits(&kind.name));
        nearest(graph, node, |node| self.is_new(node), waits)
    }

    /// Old objects, such as an event loop, lead everywhere.
    fn is_new(&self, node: NodeId) -> bool {
        self.growth.holder(node).is_some()
    }

    /// The code that a coroutine or generator at or below this node runs.
    fn code_below(&self, node: NodeId) -> Option<u64> {
        let graph = &self.heap.graph;
        let name = |node| graph.type_info(node).map(|kind| &*kind.name);
        let running = self.running_below(node)?;
        let is_new = |node| self.is_new(node);
        let is_part = |node| node == running || is_new(node);
        let code = nearest(graph, running, is_part, |node| name(node) == Some("code"))?;
        self.identity(code).map(|(address, _)| address)
    }
}

/// The nearest matching node, a few steps below `from`, through nodes that `goes_through` allows.
fn nearest(
    graph: &impl Flow,
    from: NodeId,
    goes_through: impl Fn(NodeId) -> bool,
    is_it: impl Fn(NodeId) -> bool,
) -> Option<NodeId> {
    const MOST_NODES: usize = 2_000;
    let mut seen = FxHashSet::from_iter([from]);
    let mut rest = std::collections::VecDeque::from([from]);
    while let Some(node) = rest.pop_front() {
        if is_it(node) {
            return Some(node);
        }
        if node >= graph.first_leaf() || !goes_through(node) {
            continue;
        }
        for &next in graph.successors(node) {
            if seen.len() < MOST_NODES && seen.insert(next) {
                rest.push_back(next);
            }
        }
    }
    None
}
