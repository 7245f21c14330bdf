//! Finding all objects of a capture.
//!
//! From the collector's lists and the known roots along all references, by several threads at once; then
//! what pymalloc has in use and nothing refers to. A reference that does not lead to an object (its type
//! is none) is not followed: the target may have stood still in the middle of a change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::capture::Capture;
use super::census::{Census, Marks};
use super::roots::{Root, known_roots};
use crate::memory::{Memory, u64_at};
use crate::python::gc::{GcError, Generation};
use crate::python::objects::{Decoder, Edges};
use crate::python::pymalloc::{Arena, Block};
use crate::python::{Python, at};

/// Objects that a thread takes at a time.
const BATCH: usize = 1024;
/// Where an object can begin in its block: behind nothing, the collector's header, or two more words.
const HEADERS: [u64; 3] = [0, 16, 32];
/// What no object refers to but has more references than this is no object.
const MOST_REFERENCES: u32 = 1 << 20;
/// From this reference count on (as a half word) an object is immortal (from 3.12 on).
const IMMORTAL: u32 = 1 << 31;

/// All objects of a capture.
#[derive(Debug)]
pub struct Discovery {
    /// The objects; numbers before the first are for the root of all and the roots.
    pub census: Census,
    /// A decoder that knows the types of all objects.
    pub decoder: Decoder,
    /// The roots.
    pub roots: Vec<Root>,
    /// The numbers of the objects that the collector tracks: those of each generation, youngest first.
    pub tracked: [Vec<u32>; Generation::ALL.len()],
    /// What did not fit together.
    pub inconsistencies: Inconsistencies,
}

/// What does not fit together in a capture. In one that was made in a pause there is hardly any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inconsistencies {
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that lead to what is no object.
    pub dangling: u64,
    /// Objects that could not be read whole.
    pub unreadable: u64,
}

impl Inconsistencies {
    /// All of them together.
    pub fn count(&self) -> u64 {
        self.open_lists + self.dangling + self.unreadable
    }
}

impl Discovery {
    /// Finds all objects, with so many threads. Lists of the collector that do not close are an error if
    /// it is to be `strict`, as for a capture that was made in a pause.
    pub fn of(
        capture: &Capture<'_>,
        python: &Python,
        threads: usize,
        strict: bool,
    ) -> Result<Discovery, GcError> {
        let mut decoder =
            Decoder::new(capture, python, capture.extent().saturating_add(capture.facts.left_out));
        let marks = Marks::new(capture.slots());
        let mut inconsistencies = Inconsistencies::default();
        let mut tracked: [Vec<u64>; Generation::ALL.len()] = Default::default();
        for list in python.gc_lists(capture)? {
            let objects = &mut tracked[list.generation as usize];
            let outcome = list.for_each(capture, |object| {
                if capture.segments().slot(object).is_some_and(|slot| marks.add(slot)) {
                    objects.push(object);
                }
            });
            match outcome {
                Err(error) if strict => return Err(error),
                Err(_) => inconsistencies.open_lists += 1,
                Ok(_) => {}
            }
        }
        let roots = known_roots(capture, python, &decoder);
        let seeds: Vec<u64> = roots.iter().flat_map(|root| &root.objects).copied().collect();
        let arenas = python.arenas(capture).unwrap_or_default();
        let heap = Heap { capture, marks: &marks, python };
        let mut tracers = vec![Tracer::new(decoder.clone()); threads.max(1)];
        for objects in &tracked {
            for_all(&mut tracers, objects, BATCH, |tracer, object| tracer.follow(&heap, *object));
        }
        for_all(&mut tracers, &seeds, BATCH, |tracer, seed| tracer.reach(&heap, *seed));
        share_types(&heap, &mut decoder, &mut tracers);
        for_all(&mut tracers, &arenas, 1, |tracer, arena| tracer.sweep(&heap, arena));
        share_types(&heap, &mut decoder, &mut tracers);
        for tracer in &tracers {
            inconsistencies.dangling += tracer.dangling;
            inconsistencies.unreadable += tracer.unreadable;
        }
        drop(tracers);
        let census = marks.number(1 + roots.len() as u32);
        let number = |object| census.number(capture.segments().slot(object)?);
        let tracked = tracked.map(|objects| objects.into_iter().filter_map(number).collect());
        Ok(Discovery { census, decoder, roots, tracked, inconsistencies })
    }
}

/// What all tracers look at.
struct Heap<'a> {
    capture: &'a Capture<'a>,
    marks: &'a Marks,
    python: &'a Python,
}

/// Follows references, in one thread.
#[derive(Clone)]
struct Tracer {
    decoder: Decoder,
    edges: Edges,
    /// Objects that are found and not yet followed.
    rest: Vec<u64>,
    dangling: u64,
    unreadable: u64,
}

impl Tracer {
    fn new(decoder: Decoder) -> Tracer {
        Tracer { decoder, edges: Edges::new(), rest: Vec::new(), dangling: 0, unreadable: 0 }
    }

    /// Marks what an object, which is marked itself, leads to.
    fn follow(&mut self, heap: &Heap<'_>, object: u64) {
        self.rest.push(object);
        while let Some(object) = self.rest.pop() {
            let mut edges = std::mem::take(&mut self.edges);
            match self.decoder.describe(heap.capture, object, &mut edges) {
                Ok(shape) => {
                    if self.decoder.kind(shape.kind).is_some_and(|kind| kind.is_metatype()) {
                        // It need not have objects, or none that has been seen. If it is none, its
                        // objects show.
                        let _ = self.decoder.type_at(heap.capture, object);
                    }
                }
                Err(_) => self.unreadable += 1,
            }
            if !(edges.shown.is_empty() && edges.held.is_empty() && edges.candidates.is_empty())
                && let Some(slot) = heap.capture.segments().slot(object)
            {
                heap.marks.add_container(slot);
            }
            for &child in edges.shown.iter().chain(&edges.held) {
                self.find(heap, child);
            }
            self.edges = edges;
        }
    }

    /// Marks an object and what it leads to.
    fn reach(&mut self, heap: &Heap<'_>, object: u64) {
        self.find(heap, object);
        if let Some(object) = self.rest.pop() {
            self.follow(heap, object);
        }
    }

    /// Marks an object, and leaves it to be followed if it can lead to others.
    #[inline]
    fn find(&mut self, heap: &Heap<'_>, object: u64) {
        let Some(slot) = heap.capture.segments().slot(object) else { return };
        if !heap.marks.add(slot) {
            return;
        }
        let kind = word(heap, at(object, heap.python.layout.object.kind));
        let kind = self.decoder.type_at(heap.capture, kind);
        match kind.ok().and_then(|kind| self.decoder.kind(kind)) {
            Some(kind) if kind.is_leaf() => {}
            Some(_) => self.rest.push(object),
            None => {
                heap.marks.remove(slot);
                self.dangling += 1;
            }
        }
    }

    /// Finds the objects in an arena that nothing refers to.
    fn sweep(&mut self, heap: &Heap<'_>, arena: &Arena) {
        heap.python.for_each_block(heap.capture, arena, |block| {
            if let Some(object) = self.unknown_object(heap, block) {
                self.reach(heap, object);
            }
        });
    }

    /// The object in a block, if there is one that has not been found.
    fn unknown_object(&self, heap: &Heap<'_>, block: Block) -> Option<u64> {
        let slot = heap.capture.segments().slot(block.address)?;
        let is_found = |header: &u64| heap.marks.contains(slot.saturating_add((header / 8) as u32));
        if HEADERS.iter().any(is_found) {
            return None;
        }
        HEADERS.iter().find_map(|&header| {
            let room = block.size.checked_sub(header).filter(|&room| room >= 16)?;
            let object = block.address.wrapping_add(header);
            let kind = word(heap, at(object, heap.python.layout.object.kind));
            let kind = self.decoder.known_type(kind)?;
            let fits = kind.header == header && kind.basic_size <= room;
            (fits && is_reference_count(word(heap, object))).then_some(object)
        })
    }
}

/// Whether this can be the reference count of an object that no object refers to. What is free has none,
/// or (from 3.14 on) the address of the next that is free.
fn is_reference_count(word: u64) -> bool {
    let (count, overflow) = (word as u32, (word >> 32) as u16);
    overflow == 0 && ((1..MOST_REFERENCES).contains(&count) || count >= IMMORTAL)
}

/// A word of a capture; zero where there is none.
#[inline]
fn word(heap: &Heap<'_>, address: u64) -> u64 {
    heap.capture.lend(address, 8).and_then(|bytes| u64_at(bytes, 0)).unwrap_or_default()
}

/// Lets the tracers share items among them, so many at a time.
fn for_all<T: Sync>(
    tracers: &mut [Tracer],
    items: &[T],
    batch: usize,
    each: impl Fn(&mut Tracer, &T) + Sync,
) {
    let next = AtomicUsize::new(0);
    let (next, each) = (&next, &each);
    thread::scope(|scope| {
        for tracer in tracers {
            scope.spawn(move || {
                while let Some(items) =
                    items.chunks(batch).nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    items.iter().for_each(|item| each(tracer, item));
                }
            });
        }
    });
}

/// Lets all tracers know the types that any of them has seen, by the same numbers.
fn share_types(heap: &Heap<'_>, decoder: &mut Decoder, tracers: &mut [Tracer]) {
    for tracer in &*tracers {
        for kind in tracer.decoder.kinds() {
            // What one could read, all can.
            let _ = decoder.type_at(heap.capture, kind.address);
        }
    }
    for tracer in tracers {
        tracer.decoder.clone_from(decoder);
    }
}
