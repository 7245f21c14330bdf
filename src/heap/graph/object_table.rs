//! From the notes of the tracing threads to arrays indexed by object number.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustc_hash::FxHashMap;

use crate::heap::capture::copy::fetch;
use crate::heap::ids::NodeId;
use crate::heap::support::huge_vec::filled;
use crate::heap::trace::numbering::Numbering;
use crate::heap::trace::trace_log::{Facts, Span, Target, TraceLog, UnusualFacts};

/// How many containers have their references numbered at a time.
const BATCH: usize = 1 << 14;

/// All objects and their references, by number.
#[derive(Debug, Default)]
pub(crate) struct ObjectTable {
    /// The number of the first object, a container.
    first: NodeId,
    /// The type and size of each object.
    facts: Vec<Facts>,
    /// Those that do not fit there.
    unusual: FxHashMap<NodeId, UnusualFacts>,
    /// The references of each container, as a range of `targets`.
    spans: Vec<Span>,
    /// The referenced objects.
    targets: Vec<NodeId>,
}

/// The references of some containers, still to be numbered.
struct Work<'a> {
    spans: &'a mut [Span],
    targets: &'a mut [Target],
}

impl ObjectTable {
    /// Combines the logs, on this many threads.
    pub fn of(numbering: &Numbering, mut logs: Vec<TraceLog>, threads: usize) -> ObjectTable {
        let first = numbering.first_container();
        let place = |slot| numbering.number(slot).map(|node| node.index() - first.index());
        let mut all = ObjectTable {
            first,
            facts: filled(Facts::UNUSUAL, numbering.end().index() - first.index()),
            spans: filled(Span::default(), numbering.first_leaf().index() - first.index()),
            ..ObjectTable::default()
        };
        let mut references: Vec<_> = logs
            .iter_mut()
            .map(|log| (mem::take(&mut log.spans), mem::take(&mut log.targets)))
            .collect();
        number_all(numbering, &mut references, threads, || {
            for entry in logs.iter_mut().flat_map(|log| mem::take(&mut log.leaves)) {
                if let Some(facts) = place(entry.slot).and_then(|at| all.facts.get_mut(at)) {
                    *facts = entry.facts;
                }
            }
        });
        all.unusual.reserve(logs.iter().map(|log| log.unusual.len()).sum());
        for (log, (spans, targets)) in logs.into_iter().zip(references) {
            // Done in place: the compiler optimizes the copy away.
            let mut targets: Vec<NodeId> = targets.into_iter().map(Target::node).collect();
            let before = all.targets.len() as u32;
            match before {
                0 => all.targets = targets,
                _ => all.targets.append(&mut targets),
            }
            for (entry, span) in log.containers.into_iter().zip(spans) {
                let Some(at) = place(entry.slot) else { continue };
                if let (Some(facts), Some(place)) = (all.facts.get_mut(at), all.spans.get_mut(at)) {
                    *facts = entry.facts;
                    *place = Span { start: before + span.start, end: before + span.end };
                }
            }
            let number = |(slot, size)| Some((numbering.number(slot)?, size));
            all.unusual.extend(log.unusual.into_iter().filter_map(number));
        }
        all
    }

    /// An empty table; the first object will have this number.
    pub fn empty(first: NodeId) -> ObjectTable {
        ObjectTable { first, ..ObjectTable::default() }
    }

    /// Adds an object at the end.
    pub fn add(&mut self, object: NodeId, facts: UnusualFacts) {
        match facts.usual() {
            Some(usual) => self.facts.push(usual),
            None => {
                self.facts.push(Facts::UNUSUAL);
                self.unusual.insert(object, facts);
            }
        }
    }

    /// Adds a reference to the current container.
    pub fn add_edge(&mut self, target: NodeId) {
        self.targets.push(target);
    }

    /// Ends the references of the current container.
    pub fn end_row(&mut self) {
        let start = self.spans.last().map_or(0, |span| span.end);
        self.spans.push(Span { start, end: self.targets.len() as u32 });
    }

    /// The range of a container's references among all references.
    pub fn edges_of_row(&self, row: usize) -> Range<usize> {
        let Span { start, end } = self.spans.get(row).copied().unwrap_or_default();
        start as usize..end as usize
    }

    /// The type and the sizes of an object; unknown and zero if there is none.
    #[inline]
    pub fn facts(&self, object: NodeId) -> UnusualFacts {
        let facts = self.index(object).and_then(|index| self.facts.get(index));
        match facts.map(|facts| facts.get()) {
            None => UnusualFacts::UNKNOWN,
            Some(Some((type_id, size))) => UnusualFacts { type_id, size, external: 0 },
            Some(None) => self.unusual.get(&object).copied().unwrap_or(UnusualFacts::UNKNOWN),
        }
    }

    /// The objects that a container refers to.
    #[inline]
    pub fn references(&self, container: NodeId) -> &[NodeId] {
        let span = self.index(container).and_then(|index| self.spans.get(index));
        let Span { start, end } = span.copied().unwrap_or_default();
        self.targets.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Prefetches for [`references`](Self::references).
    #[inline]
    pub fn prefetch_references(&self, container: NodeId) {
        if let Some(span) = self.index(container).and_then(|index| self.spans.get(index)) {
            fetch(span);
        }
    }

    #[inline]
    fn index(&self, object: NodeId) -> Option<usize> {
        object.index().checked_sub(self.first.index())
    }
}

/// Numbers the referenced objects on this many threads; the calling thread runs `first` before it joins in.
fn number_all(
    numbering: &Numbering,
    references: &mut [(Vec<Span>, Vec<Target>)],
    threads: usize,
    first: impl FnOnce(),
) {
    let work = references.iter_mut().flat_map(|(spans, targets)| batches(spans, targets));
    let work = Mutex::new(work);
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    let number = || {
        while let Some(work) = next() {
            work.number(numbering);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(number);
        }
        first();
        number();
    });
}

/// Splits the references of a log into batches.
fn batches<'a>(spans: &'a mut [Span], targets: &'a mut [Target]) -> impl Iterator<Item = Work<'a>> {
    let mut rest = targets;
    spans.chunks_mut(BATCH).map(move |spans| {
        let end = spans.last().map_or(0, |span| span.end);
        let start = spans.first().map_or(end, |span| span.start);
        let here = ((end - start) as usize).min(rest.len());
        let (targets, behind) = mem::take(&mut rest).split_at_mut(here);
        rest = behind;
        Work { spans, targets }
    })
}

impl Work<'_> {
    /// Replaces slots by object numbers, and drops references that do not lead to an object.
    fn number(self, numbering: &Numbering) {
        let mut rest = self.targets;
        for span in self.spans {
            let here = ((span.end - span.start) as usize).min(rest.len());
            let (targets, behind) = mem::take(&mut rest).split_at_mut(here);
            rest = behind;
            let mut kept = 0;
            for place in 0..targets.len() {
                let number = numbering.number(targets[place].slot());
                targets[kept] = Target::numbered(number.unwrap_or_default());
                kept += usize::from(number.is_some());
            }
            span.end = span.start + kept as u32;
        }
    }
}
