//! From several heaps of one process, one after the other, to what seems to leak in it.
//!
//! What is new is attributed to [holders](super::growth), and gathered in [places](super::places). A
//! place is suspect if objects of each interval are still there *and* it holds more in net terms, in every
//! interval and at about the same pace: a bounded cache takes in new objects, but has no net growth; a queue
//! has, for a moment, but what was in it is soon gone; what is loaded once does not go on.

use std::cmp::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};

use super::collector::Collector;
use super::finding::{Finding, LeakKind};
use super::growth::{Growth, Holding};
use super::hints::{self, Circumstances};
use super::names::holder;
use super::places::{Place, Shape, places};
use super::snapshot::{Resizable, Snapshot};
use super::threads;
use super::trend::{Series, Trend, trend};
use crate::heap::{Analysis, Flow, RootKind, RootNames, ShortestPaths};
use crate::python::Python;
use crate::python::objects::TypeId;

/// A quantity must have grown by so much before it is suspect: objects, and bytes of what has none.
const LEAST_OBJECTS: f64 = 6.0;
const LEAST_BYTES: f64 = 4096.0;
/// So many holders of a spread are watched.
const SAMPLE: usize = 12;
/// So many containers that grow without new objects are looked at, those with most first.
const MOST_CONTAINERS: usize = 256;
/// So many of a container's newest references tell what grows in it.
const NEWEST: usize = 16;
/// Types whose objects are only there for what is in them.
const WRAPPERS: [&str; 3] = ["tuple", "list", "functools._HashedSeq"];
/// What of all bytes garbage may take before the collector, if it is on, is to look for it, as CPython has
/// it (`long_lived_pending < long_lived_total / 4`, Modules/gcmodule.c, 3.8 to 3.13).
const PENDING_SHARE: f64 = 0.25;

/// What a suspect is known by from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// By the object that holds what grows.
    Object(u64),
    /// What nobody holds.
    Garbage,
    /// What native code holds.
    Native,
    /// Threads.
    Threads,
}

/// What seems to leak.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// What it is known by.
    pub key: Key,
    /// What is known of it; nobody knows yet who feeds it.
    pub finding: Finding,
    /// The objects whose [growth words](super::words) tell that: holders, or the type or the code of what
    /// piles up.
    pub watch: Vec<u64>,
    /// Whether it has grown in every interval, at about the same pace. If not it may be worth watching,
    /// but is nothing to tell of.
    pub is_steady: bool,
}

/// What seems to leak in a process whose heap was looked at several times; the last of the snapshots is
/// of this heap. Those that take most come first.
pub fn suspects(heap: &Analysis<'_>, python: &Python, snapshots: &[Snapshot]) -> Vec<Suspect> {
    let paths = ShortestPaths::of(&heap.graph);
    let names = RootNames::of(heap, python);
    let births = Snapshot::births(snapshots);
    let growth = Growth::of(heap, &paths, &births, snapshots.len());
    let collector = Collector::of(heap, python);
    let judge = Judge { heap, python, snapshots, paths, names, growth, births, collector };
    judge.suspects()
}

struct Judge<'a> {
    heap: &'a Analysis<'a>,
    python: &'a Python,
    snapshots: &'a [Snapshot],
    paths: ShortestPaths,
    names: RootNames,
    growth: Growth,
    births: Vec<u8>,
    collector: Collector,
}

impl Judge<'_> {
    fn suspects(&self) -> Vec<Suspect> {
        let mut found = Vec::new();
        let threads = self.threads();
        let places = places(self.heap, &self.paths, &self.growth);
        let mut holders: FxHashMap<u32, usize> = FxHashMap::default();
        for place in &places {
            if threads.is_some() && self.is_of_threads(place.node) {
                continue;
            }
            if let Some(suspect) = self.place(place) {
                for &holder in place.holders.iter().chain([&place.node]) {
                    holders.insert(holder, found.len());
                }
                found.push(suspect);
            }
        }
        self.containers(&mut found, &holders, threads.is_some());
        found.extend(self.resizable());
        found.extend(threads);
        let weak = |suspect: &Suspect| is_weak(&suspect.finding.grown);
        if found.iter().any(|suspect| !weak(suspect)) {
            // References to what leaks, which do not hold it.
            found.retain(|suspect| !weak(suspect));
        }
        let bytes = |suspect: &Suspect| suspect.finding.bytes_per_s;
        found.sort_by(|a, b| bytes(b).partial_cmp(&bytes(a)).unwrap_or(Ordering::Equal));
        found
    }

    /// How much a place held at each moment.
    fn series(&self, place: &Place) -> Series {
        let totals = |pick: fn(&Snapshot) -> u32| {
            self.snapshots.iter().map(|it| (it.at, f64::from(pick(it)))).collect()
        };
        match self.heap.graph.root(place.node).map(|root| &root.kind) {
            Some(RootKind::Garbage) => return totals(|it| it.totals.garbage.objects),
            Some(RootKind::Native) => return totals(|it| it.totals.native.objects),
            _ => {}
        }
        if place.shape == Shape::Chain {
            let mut sum = 0.0;
            let mut series: Series = Vec::new();
            let mut cohorts = place.holding.cohorts.iter();
            for snapshot in self.snapshots {
                series.push((snapshot.at, sum));
                sum += cohorts.next().map_or(0.0, |cohort| f64::from(cohort.objects));
            }
            return series;
        }
        let holders: Vec<(u64, u64)> =
            place.holders.iter().filter_map(|&node| self.identity(node)).collect();
        let mut series: Series = Vec::new();
        for snapshot in self.snapshots {
            let held = holders.iter().filter_map(|&(address, kind)| snapshot.held(address, kind));
            let mut known = false;
            let sum: f64 = held.inspect(|_| known = true).map(|it| f64::from(it.references)).sum();
            // It may have come into being meanwhile.
            if known {
                series.push((snapshot.at, sum));
            }
        }
        series
    }

    /// The address of an object and of its type.
    fn identity(&self, node: u32) -> Option<(u64, u64)> {
        let address = self.heap.graph.address(&self.heap.capture, node)?;
        Some((address, self.heap.graph.kind(node)?.address))
    }

    fn place(&self, place: &Place) -> Option<Suspect> {
        let root = self.heap.graph.root(place.node).map(|root| &root.kind);
        let series = self.series(place);
        let rise = Rise::of(&series, LEAST_OBJECTS)?;
        let proven = place.holding.cohorts.split_last()?.1;
        let since = series.len().min(self.snapshots.len());
        let born = self.snapshots.len() - since;
        let proven = proven.get(born..)?;
        let is_steady = rise.is_steady && proven.iter().all(|cohort| cohort.objects > 0);
        let kind = match (root, place.shape) {
            (Some(RootKind::Garbage), _) => LeakKind::Garbage,
            (Some(RootKind::Native), _) => LeakKind::Refcount,
            (_, Shape::Chain) => LeakKind::Chain,
            (Some(_), _) => return None,
            (None, Shape::Spread) => LeakKind::Spread,
            (None, Shape::One) => LeakKind::Container,
        };
        let key = match (kind, self.identity(place.node)) {
            (LeakKind::Garbage, _) if self.is_bounded_garbage() => return None,
            (LeakKind::Garbage, _) => Key::Garbage,
            (LeakKind::Refcount, _) => Key::Native,
            (_, Some((address, _))) => Key::Object(address),
            // A chain that hangs from a frame.
            (_, None) => Key::Object(self.identity(*place.holding.examples.first()?)?.0),
        };
        let kind = if is_waiting(self.heap, &place.holding) { LeakKind::Tasks } else { kind };
        let grown = self.grown(kind, &place.holding)?;
        let [from, to] = [born, self.snapshots.len().checked_sub(2)?];
        let seconds = self.snapshots.get(to)?.at.saturating_sub(self.snapshots.get(from)?.at);
        let per_second = |amount: f64| amount / seconds.as_secs_f64();
        let count = self.count(kind, grown, &place.holding);
        let bytes = proven.iter().map(|cohort| cohort.bytes).sum::<u64>() as f64;
        let above = self.paths.between(0, self.start(kind, place, grown));
        let holder = holder(self.heap, &self.names, &above, &self.pattern(place));
        let grown_kind = self.heap.graph.kinds().get(grown.0 as usize)?;
        let circumstances = Circumstances {
            kind,
            holder: &holder,
            grown: &grown_kind.name,
            keeps_frames: keeps_frames(self.heap, &place.holding),
            collector: self.collector,
        };
        let finding = Finding {
            kind,
            hint: hints::hint(&circumstances),
            grown: grown_kind.name.clone(),
            holder,
            also: Vec::new(),
            objects_per_s: per_second(count),
            bytes_per_s: per_second(bytes),
            bytes_per_object: bytes / count,
            confidence: rise.trend.confidence,
            feeders: Vec::new(),
        };
        let is_sound = finding.objects_per_s.is_finite() && finding.bytes_per_object.is_finite();
        let watch = self.watch(kind, place, grown);
        is_sound.then_some(Suspect { key, finding, watch, is_steady })
    }

    /// Whether the collector will find what is garbage now in its own time.
    fn is_bounded_garbage(&self) -> bool {
        let Some(last) = self.snapshots.last() else { return true };
        let share = f64::from(last.totals.garbage.objects) / f64::from(last.totals.heap.objects);
        self.collector.is_on() && share < PENDING_SHARE
    }

    /// The type that piles up.
    fn grown(&self, kind: LeakKind, holding: &Holding) -> Option<TypeId> {
        let name = |id: TypeId| self.heap.graph.kinds().get(id.0 as usize).map(|kind| &*kind.name);
        let most = |of: &dyn Fn(TypeId) -> bool| {
            let matching = holding.kinds.iter().filter(|(id, _)| of(**id));
            matching.max_by_key(|(id, count)| (**count, id.0)).map(|(id, _)| *id)
        };
        match kind {
            LeakKind::Tasks => most(&|id| name(id).is_some_and(is_task))
                .or_else(|| most(&|id| name(id).is_some_and(waits))),
            LeakKind::Garbage | LeakKind::Refcount | LeakKind::Chain => {
                let own = |id: TypeId| {
                    let kind = self.heap.graph.kinds().get(id.0 as usize);
                    kind.is_some_and(|kind| kind.module != "builtins")
                };
                let all: u32 = holding.kinds.values().sum();
                // A class says more than the dicts of its instances.
                most(&own)
                    .filter(|id| holding.kinds.get(id).is_some_and(|&count| 12 * count >= all))
                    .or_else(|| most(&|_| true))
            }
            _ => {
                let bytes = |id: &TypeId| holding.items.get(id).map_or(0, |items| items.bytes);
                let most = holding.items.keys().copied().max_by_key(|id| (bytes(id), id.0))?;
                Some(self.wrapped(most, holding).unwrap_or(most))
            }
        }
    }

    /// What is really kept where items are only wrapped around it: the arguments of a cached call in a
    /// tuple, what is in the collections of a spread.
    fn wrapped(&self, item: TypeId, holding: &Holding) -> Option<TypeId> {
        let kind = |id: TypeId| self.heap.graph.kinds().get(id.0 as usize);
        if !WRAPPERS.contains(&&*kind(item)?.name) {
            return None;
        }
        let items = holding.items.get(&item)?.count;
        let own = |id: &TypeId| kind(*id).is_some_and(|kind| kind.module != "builtins");
        let inside = holding.kinds.iter().filter(|(id, count)| own(id) && **count >= items);
        inside.max_by_key(|(id, count)| (**count, id.0)).map(|(id, _)| *id)
    }

    /// How many of that type are new.
    fn count(&self, kind: LeakKind, grown: TypeId, holding: &Holding) -> f64 {
        let all = holding.kinds.get(&grown).copied().unwrap_or_default();
        let items = holding.items.get(&grown).map_or(0, |items| items.count);
        f64::from(match kind {
            LeakKind::Container if items > 0 => items,
            _ => all,
        })
    }

    /// The object by which a place is told: of a chain its first link.
    fn start(&self, kind: LeakKind, place: &Place, grown: TypeId) -> u32 {
        if kind != LeakKind::Chain {
            return place.node;
        }
        // Between two links there can be other objects, such as the dict of an instance.
        let is_part = |node: u32| {
            let kind = self.heap.graph.kind_id(node);
            kind.is_some_and(|kind| place.holding.kinds.contains_key(&kind))
        };
        let (mut node, mut first) = (place.node, place.node);
        while is_part(node) {
            if self.heap.graph.kind_id(node) == Some(grown) {
                first = node;
            }
            let Some(parent) = self.paths.before(node) else { break };
            node = parent;
        }
        first
    }

    /// The way from a place to one of its holders, without what tells that from the others.
    fn pattern(&self, place: &Place) -> Vec<u32> {
        let holder = place.holders.iter().find(|&&holder| holder != place.node);
        match (place.shape, holder) {
            (Shape::Spread, Some(&holder)) => self.paths.between(place.node, holder),
            _ => Vec::new(),
        }
    }

    /// What to watch.
    fn watch(&self, kind: LeakKind, place: &Place, grown: TypeId) -> Vec<u64> {
        let graph = &self.heap.graph;
        let of_type = || {
            let kind = graph.kinds().get(grown.0 as usize).filter(|kind| kind.counts_instances());
            kind.map(|kind| kind.address)
        };
        match kind {
            LeakKind::Container | LeakKind::Spread => {
                let holders = place.holders.iter().chain([&place.node]);
                let mut sizes: Vec<u64> = Vec::new();
                for (address, _) in holders.filter_map(|&node| self.identity(node)) {
                    if !sizes.contains(&address) && sizes.len() < SAMPLE {
                        sizes.push(address);
                    }
                }
                sizes
            }
            LeakKind::Tasks => {
                let examples = place.holding.examples.iter();
                let mut code: Vec<u64> =
                    examples.filter_map(|&node| self.code_below(node)).collect();
                code.dedup();
                code
            }
            LeakKind::Chain | LeakKind::Garbage | LeakKind::Refcount => {
                of_type().into_iter().collect()
            }
            LeakKind::Threads | LeakKind::Native => Vec::new(),
        }
    }

    /// The code that a coroutine or generator at or below this node runs.
    fn code_below(&self, node: u32) -> Option<u64> {
        let graph = &self.heap.graph;
        let name = |node| graph.kind(node).map(|kind| &*kind.name);
        let running = nearest(graph, node, |node| name(node).is_some_and(waits))?;
        let code = nearest(graph, running, |node| name(node) == Some("code"))?;
        self.identity(code).map(|(address, _)| address)
    }

    /// Containers that grow though nothing new hangs from them: what they hold hangs from others as
    /// well, or has always been there.
    fn containers(
        &self,
        found: &mut Vec<Suspect>,
        holders: &FxHashMap<u32, usize>,
        but_threads: bool,
    ) {
        let Some(([first, ..], last)) = self.snapshots.split_last().map(|(last, e)| (e, last))
        else {
            return;
        };
        let start = self.heap.graph.objects().start;
        let mut grown: Vec<(u32, u32)> = last
            .grown_since(first)
            .filter(|&(_, more)| f64::from(more) >= LEAST_OBJECTS)
            .map(|(index, more)| (more, start + index as u32))
            .filter(|(_, node)| !holders.contains_key(node))
            .collect();
        grown.sort_unstable_by(|a, b| b.cmp(a));
        grown.truncate(MOST_CONTAINERS);
        for (_, node) in grown {
            let place =
                Place { node, shape: Shape::One, holders: vec![node], holding: Holding::default() };
            let series = self.series(&place);
            let Some(rise) = Rise::of(&series, LEAST_OBJECTS) else { continue };
            if series.len() < self.snapshots.len() || but_threads && self.is_of_threads(node) {
                continue;
            }
            match self.shared_with(node, holders) {
                Shared::With(index) => {
                    let above = self.paths.between(0, node);
                    let path = holder(self.heap, &self.names, &above, &[]).path;
                    if let Some(suspect) = found.get_mut(index) {
                        suspect.finding.also.push(path);
                    }
                }
                Shared::Unknown => {}
                Shared::Old(grown) => found.extend(self.container(node, grown, rise)),
            }
        }
    }

    /// Whether a container grows with what a suspect holds, or with objects that are not new.
    fn shared_with(&self, node: u32, holders: &FxHashMap<u32, usize>) -> Shared {
        let graph = &self.heap.graph;
        let references = graph.successors(node);
        let mut old = FxHashMap::<TypeId, u32>::default();
        for &next in references.iter().rev().take(NEWEST) {
            match self.growth.holder(next) {
                Some(other) => match holders.get(&other) {
                    Some(&index) => return Shared::With(index),
                    None => return Shared::Unknown,
                },
                None => {
                    if let Some(kind) = graph.kind_id(next) {
                        *old.entry(kind).or_default() += 1;
                    }
                }
            }
        }
        let most = old.into_iter().max_by_key(|(kind, count)| (*count, kind.0));
        most.map_or(Shared::Unknown, |(kind, _)| Shared::Old(kind))
    }

    /// A container with ever more references to what has always been there.
    fn container(&self, node: u32, grown: TypeId, rise: Rise) -> Option<Suspect> {
        let (address, kind) = self.identity(node)?;
        let first = self.snapshots.first()?;
        let bytes = self.heap.amount(node).bytes.checked_sub(first.held(address, kind)?.bytes)?;
        let seconds = self.snapshots.last()?.at.saturating_sub(first.at).as_secs_f64();
        let holder = holder(self.heap, &self.names, &self.paths.between(0, node), &[]);
        if holder.path.is_empty() {
            return None;
        }
        let grown = &self.heap.graph.kinds().get(grown.0 as usize)?.name;
        let kind = LeakKind::Container;
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown,
            keeps_frames: false,
            collector: self.collector,
        });
        let finding = Finding {
            kind,
            grown: grown.clone(),
            holder,
            also: Vec::new(),
            objects_per_s: rise.trend.per_second,
            bytes_per_s: bytes as f64 / seconds,
            bytes_per_object: bytes as f64 / rise.trend.net,
            confidence: rise.trend.confidence,
            hint,
            feeders: Vec::new(),
        };
        let (key, watch) = (Key::Object(address), vec![address]);
        Some(Suspect { key, finding, watch, is_steady: rise.is_steady })
    }

    /// Objects that grow by themselves, such as a bytearray.
    fn resizable(&self) -> Vec<Suspect> {
        let Some((last, earlier)) = self.snapshots.split_last() else { return Vec::new() };
        last.resizable().iter().filter_map(|now| self.resizing(now, earlier, last)).collect()
    }

    fn resizing(&self, now: &Resizable, earlier: &[Snapshot], last: &Snapshot) -> Option<Suspect> {
        let mut series: Series = earlier
            .iter()
            .filter_map(|it| Some((it.at, it.resizable_at(now.address, now.kind)?.bytes as f64)))
            .collect();
        series.push((last.at, now.bytes as f64));
        let rise = Rise::of(&series, LEAST_BYTES).filter(|_| series.len() > 2)?;
        let node = self.heap.graph.node(&self.heap.capture, now.address)?;
        let holder = holder(self.heap, &self.names, &self.paths.between(0, node), &[]);
        let grown = self.heap.graph.kind(node)?.name.clone();
        let kind = LeakKind::Container;
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown: &grown,
            keeps_frames: false,
            collector: self.collector,
        });
        let finding = Finding {
            kind,
            grown,
            holder,
            also: Vec::new(),
            objects_per_s: 0.0,
            bytes_per_s: rise.trend.per_second,
            bytes_per_object: now.bytes as f64,
            confidence: rise.trend.confidence,
            hint,
            feeders: Vec::new(),
        };
        let (key, watch) = (Key::Object(now.address), vec![now.address]);
        Some(Suspect { key, finding, watch, is_steady: rise.is_steady })
    }

    /// Threads that are started and do not end.
    fn threads(&self) -> Option<Suspect> {
        let series: Series =
            self.snapshots.iter().map(|it| (it.at, f64::from(it.totals.threads))).collect();
        let rise = Rise::of(&series, LEAST_OBJECTS / 2.0)?;
        let (holder, bytes) = threads::describe(self.heap, &self.names, &self.births);
        let kind = LeakKind::Threads;
        let grown = "threading.Thread".to_owned();
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown: &grown,
            keeps_frames: false,
            collector: self.collector,
        });
        let finding = Finding {
            kind,
            grown,
            holder,
            also: Vec::new(),
            objects_per_s: rise.trend.per_second,
            bytes_per_s: rise.trend.per_second * bytes,
            bytes_per_object: bytes,
            confidence: rise.trend.confidence,
            hint,
            feeders: Vec::new(),
        };
        let started = threads::started(&self.heap.capture, self.python, &self.heap.graph);
        let watch = started.into_iter().collect();
        Some(Suspect { key: Key::Threads, finding, watch, is_steady: rise.is_steady })
    }

    /// Whether something belongs to threads, or to what Python keeps of them.
    fn is_of_threads(&self, node: u32) -> bool {
        self.paths.between(0, node).iter().any(|&node| {
            match self.heap.graph.root(node).map(|root| &root.kind) {
                Some(RootKind::Thread { .. } | RootKind::Frame { .. }) => true,
                Some(RootKind::Module { name }) => name == "threading" || name == "_weakrefset",
                _ => false,
            }
        })
    }
}

/// A growth, and whether it is steady.
#[derive(Debug, Clone, Copy)]
struct Rise {
    trend: Trend,
    is_steady: bool,
}

impl Rise {
    /// A growth by so much at least.
    fn of(series: &Series, least: f64) -> Option<Rise> {
        let [first, .., last] = &**series else { return None };
        let whole = trend(&[*first, *last]).filter(|trend| trend.net >= least)?;
        let steady = trend(series);
        Some(Rise { trend: steady.unwrap_or(whole), is_steady: steady.is_some() })
    }
}

/// What a container grows with.
enum Shared {
    /// With what this suspect holds.
    With(usize),
    /// With what is new and hangs from somewhere else.
    Unknown,
    /// With what has always been there, mostly of this type.
    Old(TypeId),
}

/// The nearest node that is such, a few steps below one.
fn nearest(graph: &impl Flow, from: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    const MOST_NODES: usize = 2_000;
    let mut seen = FxHashSet::from_iter([from]);
    let mut rest = std::collections::VecDeque::from([from]);
    while let Some(node) = rest.pop_front() {
        if is_it(node) {
            return Some(node);
        }
        if node >= graph.first_leaf() {
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

/// Whether what piles up is code that waits: each item is, or leads to, a coroutine or a generator.
fn is_waiting(heap: &Analysis<'_>, holding: &Holding) -> bool {
    let name = |id: &TypeId| heap.graph.kinds().get(id.0 as usize).map(|kind| &*kind.name);
    let of = |is: fn(&str) -> bool| {
        let matching = holding.kinds.iter().filter(|(id, _)| name(id).is_some_and(is));
        matching.map(|(_, count)| *count).sum::<u32>()
    };
    let items = |is: fn(&str) -> bool| {
        let matching = holding.items.iter().filter(|(id, _)| name(id).is_some_and(is));
        matching.map(|(_, items)| items.count).sum::<u32>()
    };
    let most = holding.items.values().map(|items| items.count).max().unwrap_or_default();
    let awaiting = of(|name| matches!(name, "coroutine" | "async_generator"));
    most > 0 && (10 * awaiting >= 8 * most || 10 * items(waits) >= 8 * most)
}

fn waits(name: &str) -> bool {
    matches!(name, "coroutine" | "async_generator" | "generator")
}

fn is_task(name: &str) -> bool {
    matches!(name, "_asyncio.Task" | "asyncio.Task" | "asyncio.tasks.Task")
}

fn is_weak(name: &str) -> bool {
    matches!(name, "weakref" | "weakref.ReferenceType" | "weakref.KeyedRef" | "weakref.WeakMethod")
}

/// Whether what piles up keeps frames alive, with all their local variables.
fn keeps_frames(heap: &Analysis<'_>, holding: &Holding) -> bool {
    let is_traceback = |id: &TypeId| {
        heap.graph.kinds().get(id.0 as usize).is_some_and(|kind| kind.name == "traceback")
    };
    let tracebacks = holding.kinds.iter().filter(|(id, _)| is_traceback(id));
    let most = holding.items.values().map(|items| items.count).max().unwrap_or_default();
    2 * tracebacks.map(|(_, count)| *count).sum::<u32>() >= most.max(1)
}
