//! Tracing: from the collector's lists and the known roots along all references, on several threads at once;
//! then the blocks in use by pymalloc and malloc that nothing refers to. Each object is visited once, and everything
//! about it is recorded at that moment, while it is in the processor's caches.
//!
//! The result is the same however many threads there are and whatever each of them does first. References are
//! followed to their end, which is the same in any order; blocks are recognized in rounds, during which neither
//! the objects nor the types that are known change.
//!
//! Objects of undescribed types are described last, when it is known which blocks they point to.
//!
//! Over 400 lines, because all that a task can be is here.
//!
//! A reference that does not lead to an object (its type is not a type) is not followed: the target may have
//! been paused in the middle of a change.

use std::mem;
use std::ops::Range;
use std::thread;

use super::chunks::{block_of, chunks_in_use, owned_blocks};
use super::notes::{Inconsistencies, Notes};
use super::numbering::Marks;
use super::recognition::object_in;
use super::roots::{Root, known_roots};
use crate::heap::capture::copy::Capture;
use crate::heap::ids::Slot;
use crate::heap::rss::malloc::Chunk;
use crate::heap::support::work_queue::{Hand, Tasks};
use crate::memory::{Memory, u64_at};
use crate::python::Python;
use crate::python::gc::{GcError, Generation};
use crate::python::objects::{BLOCK_HEADERS, Edges, Reader, TypeCache, TypeInfo, TypeTable};
use crate::python::pymalloc::{Arena, Block, Pool};

/// The number of listed objects in a task.
const BATCH: usize = 1024;
/// How many met addresses are sorted out at once.
const TOGETHER: usize = 256;
/// A tracer with more unfollowed objects than this gives the older half to others.
const MOST_FOUND: usize = 8192;
/// How many bytes of an object are prefetched: all of a small one.
const HEAD: usize = 48;
/// The most rounds in which blocks are recognized. Another one is needed only where a type is met for the first
/// time in what the round before has found.
const MOST_ROUNDS: usize = 64;

/// The result of tracing.
pub(crate) struct Traced<N> {
    /// The slots of the objects.
    pub marks: Marks,
    /// The types of all objects.
    pub types: TypeTable,
    /// The roots.
    pub roots: Vec<Root>,
    /// The slots of the objects that the collector tracks, by generation, youngest first.
    pub tracked: [Vec<Slot>; Generation::ALL.len()],
    /// The notes of each thread.
    pub notes: Vec<N>,
    /// What did not fit together.
    pub inconsistencies: Inconsistencies,
}

/// Traces all objects of a capture, on one thread for each of these notes. If `strict`, a list of the
/// collector that does not close is an error.
pub(crate) fn trace<N: Notes>(
    capture: &Capture<'_>,
    python: &Python,
    notes: Vec<N>,
    strict: bool,
) -> Result<Traced<N>, GcError> {
    let extent = capture.extent().saturating_add(capture.facts.left_out);
    let types = TypeTable::new(capture, python, extent);
    let reader = Reader::new(capture, &types);
    let marks = Marks::new(capture.slots());
    let roots = known_roots(reader, python);
    let seeds = roots.iter().flat_map(|root| &root.objects).copied().collect();
    let arenas = python.arenas(capture).unwrap_or_default();
    let chunks = chunks_in_use(capture, &arenas);
    let heap = Heap { capture, marks: &marks, python, reader, chunks: &chunks };
    let tracer = |notes| Tracer::new(TypeCache::new(&types), notes);
    let mut tracers: Vec<Tracer<'_, N>> = notes.into_iter().map(tracer).collect();

    let mut listed = Listed::default();
    work(&heap, &mut tracers, vec![Task::Meet(seeds)], |hand| listed.walk(&heap, hand, strict))?;
    sweep(&heap, &mut tracers, &arenas)?;
    look_into_blocks(&heap, &mut tracers, &arenas)?;

    let mut inconsistencies = Inconsistencies { open_lists: listed.open, ..Default::default() };
    let mut notes = Vec::new();
    for tracer in tracers {
        inconsistencies.dangling += tracer.dangling;
        inconsistencies.unreadable += tracer.unreadable;
        notes.push(tracer.notes);
    }
    Ok(Traced { marks, types, roots, tracked: listed.slots, notes, inconsistencies })
}

/// What all tracers share.
pub(super) struct Heap<'a> {
    pub capture: &'a Capture<'a>,
    pub marks: &'a Marks,
    pub python: &'a Python,
    pub reader: Reader<'a, Capture<'a>>,
    /// malloc's chunks in use, by address.
    pub chunks: &'a [Chunk],
}

impl Heap<'_> {
    /// The slot of an object; one that was left out is noted.
    #[inline]
    pub fn slot(&self, object: u64) -> Option<Slot> {
        let slot = self.capture.segments().slot(object);
        if slot.is_none() {
            self.capture.want(object);
        }
        slot
    }

    /// A word of the capture; zero if it was not captured.
    #[inline]
    pub fn word(&self, address: u64) -> u64 {
        self.capture.lend(address, 8).and_then(|bytes| u64_at(bytes, 0)).unwrap_or_default()
    }

    /// The address of the type of an object.
    #[inline]
    pub fn kind(&self, object: u64) -> u64 {
        self.reader.type_address(object)
    }
}

/// Finds the objects in these arenas, and in malloc's chunks, that nothing refers to, and what they refer to.
fn sweep<N: Notes>(
    heap: &Heap<'_>,
    tracers: &mut [Tracer<'_, N>],
    arenas: &[Arena],
) -> Result<(), GcError> {
    for _ in 0..MOST_ROUNDS {
        heap.reader.learn_subclasses();
        let types = heap.reader.type_count();
        tracers.iter_mut().for_each(|tracer| tracer.types.take_over());
        let pools = arenas.iter().copied().map(Task::Sweep);
        let starts = (0..heap.chunks.len()).step_by(BATCH);
        let chunks = starts.map(|start| Task::SweepChunks(start..start.saturating_add(BATCH)));
        work(heap, tracers, pools.chain(chunks).collect(), |_| Ok(()))?;
        let mut unseen: Vec<u64> = Vec::new();
        tracers.iter_mut().for_each(|tracer| unseen.append(&mut tracer.unseen));
        if unseen.is_empty() {
            break;
        }
        let batches = unseen.chunks(BATCH).map(|batch| Task::Meet(batch.to_vec()));
        work(heap, tracers, batches.collect(), |_| Ok(()))?;
        if heap.reader.type_count() == types {
            break;
        }
    }
    Ok(())
}

/// Describes the objects of undescribed types, now that all objects are known, with what they have in blocks that they
/// point to.
fn look_into_blocks<N: Notes>(
    heap: &Heap<'_>,
    tracers: &mut [Tracer<'_, N>],
    arenas: &[Arena],
) -> Result<(), GcError> {
    let mut late: Vec<u64> = Vec::new();
    tracers.iter_mut().for_each(|tracer| late.append(&mut tracer.late));
    late.sort_unstable();
    heap.reader.tell_owned_blocks(owned_blocks(heap, &late, arenas));
    let batches = late.chunks(BATCH).map(|batch| Task::Describe(batch.to_vec()));
    work(heap, tracers, batches.collect(), |_| Ok(()))
}

/// A unit of work for a tracer.
enum Task {
    /// Visit these addresses, which may have been visited before or not be objects.
    Meet(Vec<u64>),
    /// Follow these objects, which another tracer has found.
    Follow(Vec<Met>),
    /// Find the objects in an arena that nothing refers to.
    Sweep(Arena),
    /// The same in some of malloc's chunks.
    SweepChunks(Range<usize>),
    /// Describe these objects, which have been found.
    Describe(Vec<u64>),
}

/// Runs the tracers on tasks, while this thread runs `first`, which gives more tasks, and then joins in.
fn work<N: Notes>(
    heap: &Heap<'_>,
    tracers: &mut [Tracer<'_, N>],
    tasks: Vec<Task>,
    first: impl FnOnce(&Hand<'_, Task>) -> Result<(), GcError>,
) -> Result<(), GcError> {
    let tasks = Tasks::new(tasks);
    let Some((own, others)) = tracers.split_first_mut() else { return Ok(()) };
    let hand = tasks.join();
    thread::scope(|scope| {
        for tracer in others {
            let hand = tasks.join();
            scope.spawn(move || tracer.work(heap, hand));
        }
        first(&hand)?;
        own.work(heap, hand);
        Ok(())
    })
}

/// The objects of the collector's lists.
#[derive(Default)]
struct Listed {
    slots: [Vec<Slot>; Generation::ALL.len()],
    /// Lists that do not close.
    open: u64,
}

impl Listed {
    /// Walks the lists while others visit the objects, because walking mostly waits for memory.
    fn walk(
        &mut self,
        heap: &Heap<'_>,
        hand: &Hand<'_, Task>,
        strict: bool,
    ) -> Result<(), GcError> {
        for list in heap.python.gc_lists(heap.capture)? {
            let slots = &mut self.slots[list.generation as usize];
            let mut batch = Vec::with_capacity(BATCH);
            let outcome = list.for_each(heap.capture, |object| {
                slots.extend(heap.slot(object));
                batch.push(object);
                if batch.len() == BATCH {
                    hand.give(Task::Meet(mem::replace(&mut batch, Vec::with_capacity(BATCH))));
                }
            });
            hand.give(Task::Meet(batch));
            match outcome {
                Err(error) if strict => return Err(error),
                Err(_) => self.open += 1,
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// An address that may be that of an object.
#[derive(Clone, Copy)]
struct Met {
    object: u64,
    slot: Slot,
}

/// An object that can refer to others, and its type.
#[derive(Clone, Copy)]
struct Found<'t> {
    met: Met,
    info: &'t TypeInfo,
}

/// Traces objects, in one thread.
struct Tracer<'t, N> {
    types: TypeCache<'t>,
    notes: N,
    edges: Edges,
    /// Addresses met and not sorted out yet.
    met: Vec<Met>,
    /// Objects found and not followed yet.
    found: Vec<Found<'t>>,
    /// Objects that the sweep has recognized and nobody visited yet.
    unseen: Vec<u64>,
    /// Objects of undescribed types, to be described when all objects are known.
    late: Vec<u64>,
    dangling: u64,
    unreadable: u64,
}

impl<'t, N: Notes> Tracer<'t, N> {
    fn new(types: TypeCache<'t>, notes: N) -> Tracer<'t, N> {
        Tracer {
            types,
            notes,
            edges: Edges::new(),
            met: Vec::new(),
            found: Vec::new(),
            unseen: Vec::new(),
            late: Vec::new(),
            dangling: 0,
            unreadable: 0,
        }
    }

    /// Works on tasks until none are left.
    fn work(&mut self, heap: &Heap<'_>, mut hand: Hand<'_, Task>) {
        while let Some(task) = hand.take() {
            match task {
                Task::Meet(objects) => objects.iter().for_each(|&object| self.meet(heap, object)),
                Task::Follow(found) => found.iter().for_each(|&met| self.take_over(heap, met)),
                Task::Sweep(arena) => self.sweep(heap, &arena),
                Task::SweepChunks(range) => self.sweep_chunks(heap, range),
                Task::Describe(objects) => {
                    objects.iter().for_each(|&object| self.describe_late(heap, object));
                }
            }
            while !(self.met.is_empty() && self.found.is_empty()) {
                while self.met.len() < TOGETHER
                    && let Some(found) = self.found.pop()
                {
                    self.follow(heap, found);
                }
                self.sort_out(heap);
                if self.found.len() > MOST_FOUND {
                    let older = self.found.drain(..MOST_FOUND / 2);
                    hand.give(Task::Follow(older.map(|found| found.met).collect()));
                }
            }
        }
    }

    /// Adds an address to be sorted out.
    #[inline]
    fn meet(&mut self, heap: &Heap<'_>, object: u64) {
        self.met.extend(heap.slot(object).map(|slot| Met { object, slot }));
    }

    /// Finds the new objects among the addresses met.
    ///
    /// Nearly every first read of one is a cache miss. In rounds, many misses overlap.
    fn sort_out(&mut self, heap: &Heap<'_>) {
        let mut met = mem::take(&mut self.met);
        let mut fresh: Vec<Met> = Vec::with_capacity(TOGETHER);
        for some in met.chunks(TOGETHER) {
            fresh.clear();
            fresh.extend(some.iter().filter(|met| !heap.marks.contains(met.slot)));
            let mut kinds = [0; TOGETHER];
            for (kind, met) in kinds.iter_mut().zip(&fresh) {
                *kind = heap.kind(met.object);
            }
            for (&met, kind) in fresh.iter().zip(kinds) {
                self.find(heap, met, kind);
            }
        }
        met.clear();
        self.met = met;
    }

    /// Marks an object with a type at this address, and describes it at once if it is a leaf.
    fn find(&mut self, heap: &Heap<'_>, met: Met, kind: u64) {
        let Some(info) = self.types.at(heap.capture, kind) else {
            self.dangling += 1;
            return;
        };
        if heap.marks.add(met.slot) {
            let found = Found { met, info };
            if info.is_leaf() {
                return self.describe(heap, found);
            }
            if let Some(table) = info.table(met.object) {
                heap.capture.prefetch(heap.word(table), HEAD);
            }
            self.found.push(found);
        }
    }

    /// Queues an object that another tracer has found.
    fn take_over(&mut self, heap: &Heap<'_>, met: Met) {
        if let Some(info) = self.types.at(heap.capture, heap.kind(met.object)) {
            self.found.push(Found { met, info });
        }
    }

    /// Describes an object and meets its references.
    fn follow(&mut self, heap: &Heap<'_>, found: Found<'t>) {
        if found.info.is_metatype() {
            // Makes the type known, even if none of its objects has been seen yet.
            let _ = self.types.at(heap.capture, found.met.object);
        }
        self.describe(heap, found);
    }

    fn describe(&mut self, heap: &Heap<'_>, Found { met: Met { object, slot }, info }: Found<'t>) {
        let shape = heap.reader.describe_as(object, info, &mut self.edges);
        self.unreadable += u64::from(shape.is_err());
        let is_late = shape.as_ref().is_ok_and(|shape| shape.conservative)
            && !heap.reader.knows_owned_blocks();
        let Edges { shown, held, candidates } = &self.edges;
        for &child in shown.iter().chain(held) {
            if let Some(slot) = heap.slot(child) {
                if !is_late {
                    self.notes.edge(slot);
                }
                heap.marks.prefetch(slot);
                heap.capture.prefetch(child, HEAD);
                self.met.push(Met { object: child, slot });
            }
        }
        if is_late {
            return self.late.push(object);
        }
        for &candidate in candidates {
            if let Some(slot) = heap.capture.segments().slot(candidate) {
                self.notes.edge(slot);
            }
        }
        let is_container = !(shown.is_empty() && held.is_empty() && candidates.is_empty());
        if is_container {
            heap.marks.add_container(slot);
        }
        self.notes.object(slot, shape.as_ref().ok(), is_container);
    }

    /// Describes an object of an undescribed type.
    fn describe_late(&mut self, heap: &Heap<'_>, object: u64) {
        let info = self.types.at(heap.capture, heap.kind(object));
        if let Some((info, slot)) = info.zip(heap.slot(object)) {
            self.describe(heap, Found { met: Met { object, slot }, info });
        }
    }

    /// Recognizes the objects in these of malloc's chunks that nothing refers to.
    fn sweep_chunks(&mut self, heap: &Heap<'_>, range: Range<usize>) {
        let end = range.end.min(heap.chunks.len());
        for &chunk in heap.chunks.get(range.start..end).unwrap_or_default() {
            let found = self.unknown_object(heap, block_of(chunk), true);
            self.unseen.extend(found);
        }
    }

    /// Recognizes the objects in an arena that nothing refers to.
    fn sweep(&mut self, heap: &Heap<'_>, arena: &Arena) {
        let mut unseen = mem::take(&mut self.unseen);
        // In most pools every used block holds an object that has been found.
        let is_wanted = |pool: Pool| {
            let slots = heap.slot(pool.start).zip(heap.slot(pool.end - Slot::BYTES));
            slots.is_none_or(|(first, last)| heap.marks.count(first..last.plus(1)) != pool.used)
        };
        heap.python.for_each_block_in(heap.capture, arena, is_wanted, |block| {
            unseen.extend(self.unknown_object(heap, block, false));
        });
        self.unseen = unseen;
    }

    /// The object in a block, if there is one that has not been found; a tight block has hardly more room than was
    /// asked for.
    fn unknown_object(&mut self, heap: &Heap<'_>, block: Block, is_tight: bool) -> Option<u64> {
        let slot = heap.slot(block.address)?;
        let is_found = |header: &u64| heap.marks.contains(slot.plus((header / Slot::BYTES) as u32));
        if BLOCK_HEADERS.iter().any(is_found) {
            return None;
        }
        object_in(heap, &self.types, block.address, block.size, is_tight, &mut self.edges)
    }
}
