//! Cycles that pile up because no collection can free them.

use rustc_hash::FxHashMap;

use super::comparison::Comparison;
use super::scoring::LEAST_OBJECTS;
use super::suspect::{Evidence, Key, Rise, Suspect};
use crate::heap::NodeId;
use crate::heap::figures::Uncollectable;
use crate::hunt::compare::heap_columns::HeapColumns;
use crate::hunt::compare::steadiness::Series;
use crate::hunt::finding::{Holder, LeakKind};
use crate::python::objects::{Disclosure, EdgeNames, Link, TypeId};

/// Between the parts of a path.
const STEP: &str = " › ";
/// A class says more than the dicts of its instances, if it is one in so many of what is new.
const LEAST_SHARE: u32 = 12;

impl Comparison<'_> {
    /// Cycles that no collection can free, if they pile up.
    pub fn uncollectable(&self) -> Option<Suspect> {
        let series: Series = self
            .snapshots
            .iter()
            .map(|it| (it.at, f64::from(it.totals.uncollectable.objects)))
            .collect();
        let rise = Rise::of(&series, LEAST_OBJECTS)?;
        let found = Uncollectable::of(self.heap);
        let births = self.snapshots.last().map(HeapColumns::births)?;
        let birth = |node| births.get(self.heap.graph.object_index(node)?).copied();
        // What was born in the last interval may still be at work.
        let proven = 1..births.iter().copied().max()?;
        let new: Vec<NodeId> = found
            .nodes
            .iter()
            .copied()
            .filter(|&node| birth(node).is_some_and(|birth| proven.contains(&birth)))
            .collect();
        let grown = self.type_of_most(&new)?;
        let is_grown = |node: &&NodeId| self.heap.graph.type_id(**node) == Some(grown);
        let count = new.iter().filter(is_grown).count() as f64;
        let bytes = new.iter().map(|&node| self.heap.graph.size(node)).sum::<u64>() as f64;
        let [first, .., last_but_one, _] = self.snapshots else { return None };
        let seconds = last_but_one.at.saturating_sub(first.at).as_secs_f64();
        let info = self.heap.graph.types().get(grown)?;
        let evidence = Evidence {
            kind: LeakKind::Uncollectable,
            grown: info.name.clone(),
            holder: self.cycle(&found)?,
            objects_per_s: count / seconds,
            bytes_per_s: bytes / seconds,
            bytes_per_object: bytes / count,
            keeps_frames: false,
            filling: None,
        };
        let watch = info.counts_instances().then_some(info.address);
        let watch = watch.into_iter().collect();
        evidence.into_suspect(Key::Uncollectable, rise, watch, self.collector)
    }

    /// The type by which objects are best told.
    fn type_of_most(&self, nodes: &[NodeId]) -> Option<TypeId> {
        let mut counts: FxHashMap<TypeId, u32> = FxHashMap::default();
        for id in nodes.iter().filter_map(|&node| self.heap.graph.type_id(node)) {
            *counts.entry(id).or_default() += 1;
        }
        let is_own = |id: TypeId| {
            let info = self.heap.graph.types().get(id);
            info.is_some_and(|info| info.made_in_python)
        };
        let all: u32 = counts.values().sum();
        let most = |of: &dyn Fn(TypeId) -> bool| {
            let matching = counts.iter().filter(|(id, _)| of(**id));
            matching.max_by_key(|(id, count)| (**count, id.0)).map(|(&id, &count)| (id, count))
        };
        most(&is_own)
            .filter(|(_, count)| count.saturating_mul(LEAST_SHARE) >= all)
            .or_else(|| most(&|_| true))
            .map(|(id, _)| id)
    }

    /// The cycle, with the object that keeps a reference from the collector.
    fn cycle(&self, found: &Uncollectable) -> Option<Holder> {
        let graph = &self.heap.graph;
        let (mut nodes, closing) = found
            .hidden
            .iter()
            .map(|&hidden| (found.cycle(self.heap, hidden), hidden))
            .find(|(nodes, _)| !nodes.is_empty())?;
        nodes.push(closing.1);
        let name =
            |node| graph.type_info(node).map_or("(unreadable)", |info| &info.name).to_owned();
        let addresses: Vec<u64> = nodes.iter().filter_map(|&node| graph.address(node)).collect();
        let mut parts = vec![name(closing.1)];
        for step in self.heap.names().path(&addresses) {
            let link = match Disclosure::default() {
                Disclosure::Names => step.link.redacted(),
                _ => step.link,
            };
            parts.push(Link::to_string(&link));
            let node = graph.node(step.object)?;
            parts.push(name(node));
        }
        let culprit = name(closing.0);
        Some(Holder {
            path: parts.join(STEP),
            name: format!("cycles through {culprit}"),
            kind: culprit,
            address: None,
        })
    }
}
