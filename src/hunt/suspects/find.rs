//! From several heaps of one process, one after the other, to what seems to leak in it.
//!
//! What is new is attributed to [holders](crate::hunt::compare::growth), and gathered in [places](crate::hunt::compare::accumulation_points), which are
//! [judged](super::scoring). Beside those there is what grows [without new objects](super::containers).

use rustc_hash::FxHashMap;

use super::bounds::Filling;
use super::collector::Collector;
use super::hints;
use super::hints::Circumstances;
use super::leak_kinds::is_weak;
use super::names;
use crate::heap::{Analysis, NodeId, RootKind, RootNames, ShortestPaths};
use crate::hunt::compare::accumulation_points::places;
use crate::hunt::compare::growth::Growth;
use crate::hunt::compare::heap_columns::Snapshot;
use crate::hunt::compare::steadiness::{Series, Trend, trend};
use crate::hunt::finding::{Finding, Holder, LeakKind};
use crate::python::Python;

/// A path that lasts may have so many more steps than a shortest.
const LONGEST_WAY_ROUND: usize = 3;

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
    /// The objects whose [growth words](crate::hunt::inserts::growth_counters) tell that: holders, or the type or the code of what
    /// piles up.
    pub watch: Vec<u64>,
    /// Whether it has grown in every interval, at about the same pace, and nothing stops it soon. If not
    /// it may be worth watching, but is nothing to tell of.
    pub is_steady: bool,
}

/// What seems to leak in a process whose heap was looked at several times; the last of the snapshots is
/// of this heap. Those that take most come first.
pub fn suspects(heap: &Analysis<'_>, python: &Python, snapshots: &[Snapshot]) -> Vec<Suspect> {
    let paths = ShortestPaths::of(&heap.graph);
    let is_for_a_while = |node| {
        let root = heap.graph.root(node).map(|root| &root.kind);
        matches!(root, Some(RootKind::Thread { .. } | RootKind::Frame { .. }))
    };
    let lasting_paths = ShortestPaths::through(&heap.graph, |node| !is_for_a_while(node));
    let births = Snapshot::births(snapshots);
    let growth = Growth::of(heap, &paths, &births, snapshots.len());
    let scene = Scene {
        heap,
        python,
        snapshots,
        names: RootNames::of(heap, python),
        collector: Collector::of(heap, python, &growth),
        growth,
        paths,
        lasting_paths,
    };
    scene.suspects()
}

/// All that is known when suspects are looked for.
pub(crate) struct Scene<'a> {
    pub heap: &'a Analysis<'a>,
    pub python: &'a Python,
    pub snapshots: &'a [Snapshot],
    pub paths: ShortestPaths,
    /// Those that lead through no thread's frames: what a function has in hand, it has for a while.
    lasting_paths: ShortestPaths,
    pub names: RootNames,
    pub growth: Growth,
    pub collector: Collector,
}

/// What is to be said of a growth.
pub(crate) struct Account {
    pub kind: LeakKind,
    pub grown: String,
    pub holder: Holder,
    pub objects_per_s: f64,
    pub bytes_per_s: f64,
    pub bytes_per_object: f64,
    /// Whether it keeps frames of functions that have ended.
    pub keeps_frames: bool,
    /// The bound of what holds it.
    pub filling: Option<Filling>,
}

impl Scene<'_> {
    fn suspects(&self) -> Vec<Suspect> {
        let mut found = Vec::new();
        let threads = self.threads();
        let places = places(self.heap, &self.paths, &self.growth);
        let mut holders: FxHashMap<NodeId, usize> = FxHashMap::default();
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
        found.sort_by(|a, b| bytes(b).total_cmp(&bytes(a)));
        found
    }

    /// The address of an object and of its type.
    pub fn identity(&self, node: NodeId) -> Option<(u64, u64)> {
        let address = self.heap.graph.address(&self.heap.capture, node)?;
        Some((address, self.heap.graph.type_info(node)?.address))
    }

    /// The path by which a node is told: one that lasts, unless it is a long way round.
    pub fn told_path(&self, node: NodeId) -> Vec<NodeId> {
        let shortest = self.paths.between(NodeId::ROOT, node);
        let lasting = match self.lasting_paths.reaches(node) {
            true => self.lasting_paths.between(NodeId::ROOT, node),
            false => Vec::new(),
        };
        let is_near = lasting.len() <= shortest.len() + LONGEST_WAY_ROUND;
        if lasting.is_empty() || !is_near { shortest } else { lasting }
    }

    /// What a node is called as a holder.
    pub fn holder(&self, node: NodeId) -> Holder {
        names::holder(self.heap, &self.names, &self.told_path(node), &[])
    }

    /// A suspect, if all that is to be said of it makes sense.
    pub fn suspect(
        &self,
        key: Key,
        account: Account,
        rise: Rise,
        watch: Vec<u64>,
    ) -> Option<Suspect> {
        let Account {
            kind,
            grown,
            holder,
            objects_per_s,
            bytes_per_s,
            bytes_per_object,
            keeps_frames,
            filling,
        } = account;
        let is_soon_over = filling.as_ref().is_some_and(Filling::is_soon_over);
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown: &grown,
            keeps_frames,
            filling: filling.as_ref(),
            collector: self.collector,
        });
        let figures = [objects_per_s, bytes_per_s, bytes_per_object];
        let finding = Finding {
            kind,
            grown,
            holder,
            also: Vec::new(),
            objects_per_s,
            bytes_per_s,
            bytes_per_object,
            confidence: rise.trend.confidence,
            hint,
            feeders: Vec::new(),
        };
        let is_sound = figures.iter().all(|figure| figure.is_finite());
        let is_steady = rise.is_steady && !is_soon_over;
        is_sound.then_some(Suspect { key, finding, watch, is_steady })
    }
}

/// A growth, and whether it is steady.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise {
    pub trend: Trend,
    pub is_steady: bool,
}

impl Rise {
    /// A growth by so much at least.
    pub fn of(series: &Series, least: f64) -> Option<Rise> {
        let [first, .., last] = &**series else { return None };
        let whole = trend(&[*first, *last]).filter(|trend| trend.net >= least)?;
        let steady = trend(series);
        Some(Rise { trend: steady.unwrap_or(whole), is_steady: steady.is_some() })
    }
}
