//! From what threads have noted to what is known of each object by its number.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustc_hash::FxHashMap;

use crate::heap::capture::copy::fetch;
use crate::heap::support::huge_vec::filled;
use crate::heap::trace::numbering::Census;
use crate::heap::trace::trace_log::{Facts, Ledger, Span, UnusualFacts};

/// Containers whose references are numbered at a time.
const BATCH: usize = 1 << 14;

/// All objects and their references, by number.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// The number of the first object, a container.
    first: u32,
    /// Of each object.
    facts: Vec<Facts>,
    /// Those that do not fit.
    unusual: FxHashMap<u32, UnusualFacts>,
    /// Of each container.
    spans: Vec<Span>,
    /// The numbers of the objects that are referred to.
    targets: Vec<u32>,
}

/// The references of some containers, to be numbered.
struct Work<'a> {
    spans: &'a mut [Span],
    targets: &'a mut [u32],
}

impl Assembly {
    /// Puts together what the ledgers have, with so many threads.
    pub fn of(census: &Census, mut ledgers: Vec<Ledger>, threads: usize) -> Assembly {
        let first = census.first_container();
        let place = |slot| census.number(slot).map(|number| (number - first) as usize);
        let mut all = Assembly {
            first,
            facts: filled(Facts::UNUSUAL, (census.end() - first) as usize),
            spans: filled(Span::default(), (census.first_leaf() - first) as usize),
            ..Assembly::default()
        };
        let mut references: Vec<_> = ledgers
            .iter_mut()
            .map(|ledger| (mem::take(&mut ledger.spans), mem::take(&mut ledger.targets)))
            .collect();
        number_all(census, &mut references, threads, || {
            for entry in ledgers.iter_mut().flat_map(|ledger| mem::take(&mut ledger.leaves)) {
                if let Some(facts) = place(entry.slot).and_then(|at| all.facts.get_mut(at)) {
                    *facts = entry.facts;
                }
            }
        });
        all.unusual.reserve(ledgers.iter().map(|ledger| ledger.unusual.len()).sum());
        for (ledger, (spans, mut targets)) in ledgers.into_iter().zip(references) {
            let before = all.targets.len() as u32;
            match before {
                0 => all.targets = targets,
                _ => all.targets.append(&mut targets),
            }
            for (entry, span) in ledger.containers.into_iter().zip(spans) {
                let Some(at) = place(entry.slot) else { continue };
                if let (Some(facts), Some(place)) = (all.facts.get_mut(at), all.spans.get_mut(at)) {
                    *facts = entry.facts;
                    *place = Span { start: before + span.start, end: before + span.end };
                }
            }
            let number = |(slot, size)| Some((census.number(slot)?, size));
            all.unusual.extend(ledger.unusual.into_iter().filter_map(number));
        }
        all
    }

    /// The type and the sizes of an object; nothing for what is none.
    #[inline]
    pub fn facts(&self, object: u32) -> UnusualFacts {
        let facts = self.index(object).and_then(|index| self.facts.get(index));
        match facts.map(|facts| facts.get()) {
            None => UnusualFacts::UNKNOWN,
            Some(Some((type_id, size))) => UnusualFacts { type_id, size, external: 0 },
            Some(None) => self.unusual.get(&object).copied().unwrap_or(UnusualFacts::UNKNOWN),
        }
    }

    /// The numbers of the objects that a container refers to.
    #[inline]
    pub fn references(&self, container: u32) -> &[u32] {
        let span = self.index(container).and_then(|index| self.spans.get(index));
        let Span { start, end } = span.copied().unwrap_or_default();
        self.targets.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Says that [`references`](Self::references) will soon be asked for.
    #[inline]
    pub fn prefetch_references(&self, container: u32) {
        if let Some(span) = self.index(container).and_then(|index| self.spans.get(index)) {
            fetch(span);
        }
    }

    #[inline]
    fn index(&self, object: u32) -> Option<usize> {
        object.checked_sub(self.first).map(|index| index as usize)
    }
}

/// Numbers what is referred to, with so many threads, of which this one does something else first.
fn number_all(
    census: &Census,
    references: &mut [(Vec<Span>, Vec<u32>)],
    threads: usize,
    first: impl FnOnce(),
) {
    let work = references.iter_mut().flat_map(|(spans, targets)| batches(spans, targets));
    let work = Mutex::new(work);
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    let number = || {
        while let Some(work) = next() {
            work.number(census);
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

/// Cuts the references of a ledger into batches.
fn batches<'a>(spans: &'a mut [Span], targets: &'a mut [u32]) -> impl Iterator<Item = Work<'a>> {
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
    /// Numbers what is referred to, and forgets what is no object.
    fn number(self, census: &Census) {
        let mut rest = self.targets;
        for span in self.spans {
            let here = ((span.end - span.start) as usize).min(rest.len());
            let (targets, behind) = mem::take(&mut rest).split_at_mut(here);
            rest = behind;
            let mut kept = 0;
            for place in 0..targets.len() {
                let number = census.number(targets[place]);
                targets[kept] = number.unwrap_or_default();
                kept += usize::from(number.is_some());
            }
            span.end = span.start + kept as u32;
        }
    }
}
