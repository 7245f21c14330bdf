//! The malloc blocks that Python owns: those that hold an object, and those that an object points to.
//!
//! A block holds an object if one begins where the block does (or 16 bytes later, after the debugging
//! allocator's own header). A block is a buffer of an object if one of the words of the object's fixed part is the
//! address of the block: a list's items, a dict's table, the data of an array. Only the blocks of a deque and
//! the like lead to further ones; without pymalloc all small blocks do, since any of them can be a small buffer.
//! Objects of undescribed types may hold anything, so their pointers do not count, and neither do those of C
//! data.

use rustc_hash::FxHashSet;

use super::malloc::{Chunk, ChunkState, Malloc};
use crate::heap::capture::Whole;
use crate::heap::capture::copy::Capture;
use crate::heap::ids::Slot;
use crate::heap::trace::notes::Notes;
use crate::heap::trace::numbering::Marks;
use crate::heap::trace::tracer::trace;
use crate::memory::{Memory, u64_at};
use crate::process::glibc::{ALIGNMENT, FLAGS, HEADER, size_at};
use crate::python::Python;
use crate::python::allocators::DEBUG_HEAD;
use crate::python::gc::GcError;
use crate::python::objects::Shape;

/// How many bytes of an object are examined: pointers to buffers are in its first fields.
const LOOK: u64 = 256;
/// The maximum size of a buffer that can lead to others, in bytes.
const LEADS_ON: u64 = 1040;

/// The owner of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// An object, which is in the block.
    Object,
    /// An object, which points to the block.
    Buffer,
    /// None that is known.
    Other,
}

/// The owners of malloc's blocks.
#[derive(Debug)]
pub(crate) struct Owners {
    /// The slots of objects.
    pub objects: Marks,
    blocks: Blocks,
    /// Where objects point to in memory that was left out.
    elsewhere: FxHashSet<u64>,
}

/// Blocks of malloc, by the slots at which they begin.
#[derive(Debug)]
struct Blocks {
    all: Marks,
    with_object: Marks,
    pointed_to: Marks,
}

/// Examines the words of objects that are found.
struct Looking<'a> {
    capture: &'a Capture<'a>,
    blocks: &'a Blocks,
    /// Pointers to memory that was left out.
    elsewhere: Vec<u64>,
    /// Buffers that lead to others.
    leading: Vec<u64>,
}

impl Owners {
    /// Traces all objects, and finds the owners of malloc's blocks.
    pub fn find(
        capture: &Capture<'_>,
        python: &Python,
        malloc: Option<&Malloc>,
        threads: usize,
        strict: bool,
    ) -> Result<Owners, GcError> {
        let marks = || Marks::new(capture.slots());
        let blocks = Blocks { all: marks(), with_object: marks(), pointed_to: marks() };
        let has_arenas = python.arenas(capture).is_ok_and(|arenas| !arenas.is_empty());
        let mut small = Vec::new();
        each_block(&Whole::new(capture), malloc, |chunk| {
            if let Some(slot) = capture.segments().slot(chunk.block()) {
                blocks.all.add(slot);
                if chunk.size <= LEADS_ON && !has_arenas {
                    small.push(chunk);
                }
            }
        });
        let looking =
            || Looking { capture, blocks: &blocks, elsewhere: Vec::new(), leading: Vec::new() };
        let notes = (0..threads.max(1)).map(|_| looking()).collect();
        let traced = trace(capture, python, notes, strict)?;
        let mut elsewhere = FxHashSet::default();
        let mut leading = Vec::new();
        for notes in traced.notes {
            elsewhere.extend(notes.elsewhere);
            leading.extend(notes.leading);
        }
        let owners = Owners { objects: traced.marks, blocks, elsewhere };
        leading.extend(small.into_iter().map(|chunk| chunk.block()));
        owners.lead_on(capture, leading);
        Ok(owners)
    }

    /// The owner of the block that begins at this address.
    pub fn of(&self, capture: &Capture<'_>, block: u64) -> Whose {
        let Some(slot) = capture.segments().slot(block) else {
            let pointers = [block, block.wrapping_add(DEBUG_HEAD)];
            return match pointers.iter().any(|pointer| self.elsewhere.contains(pointer)) {
                true => Whose::Buffer,
                false => Whose::Other,
            };
        };
        if self.blocks.with_object.contains(slot) {
            Whose::Object
        } else if self.blocks.pointed_to.contains(slot) {
            Whose::Buffer
        } else {
            Whose::Other
        }
    }

    /// Follows pointers from those of these blocks that are small buffers to further buffers, also through buffers
    /// that something else points to: a chain must not end where a stale pointer happens to lead.
    fn lead_on(&self, capture: &Capture<'_>, mut next: Vec<u64>) {
        let seen = Marks::new(capture.slots());
        let is_unseen_buffer = |block: u64| {
            block.is_multiple_of(ALIGNMENT)
                && self.of(capture, block) == Whose::Buffer
                && capture.segments().slot(block).is_some_and(|slot| seen.add(slot))
        };
        next.retain(|&block| is_unseen_buffer(block));
        while let Some(block) = next.pop() {
            let chunk = block.wrapping_sub(HEADER);
            let size = size_at(capture, chunk).unwrap_or_default() & !FLAGS;
            if !(HEADER..=LEADS_ON).contains(&size) {
                continue;
            }
            let bytes = capture.lend(block, (size - HEADER) as usize).unwrap_or_default();
            for word in bytes.as_chunks::<8>().0 {
                let pointer = u64::from_le_bytes(*word);
                self.blocks.point_to(capture, pointer);
                let blocks = [pointer, pointer.wrapping_sub(DEBUG_HEAD)];
                next.extend(blocks.into_iter().filter(|&block| is_unseen_buffer(block)));
            }
        }
    }
}

impl Blocks {
    /// Marks the block that a pointer leads to, if there is one.
    #[inline]
    fn point_to(&self, capture: &Capture<'_>, pointer: u64) {
        if !pointer.is_multiple_of(ALIGNMENT) || pointer == 0 {
            return;
        }
        for block in [pointer, pointer.wrapping_sub(DEBUG_HEAD)] {
            if let Some(slot) = capture.segments().slot(block)
                && self.all.contains(slot)
            {
                self.pointed_to.add(slot);
            }
        }
    }
}

impl Notes for Looking<'_> {
    #[inline]
    fn edge(&mut self, _slot: Slot) {}

    fn object(&mut self, slot: Slot, shape: Option<&Shape>, _is_container: bool) {
        let Some(object) = self.capture.segments().address(slot) else { return };
        let header = shape.map_or(0, |shape| shape.header);
        let start = object.wrapping_sub(header);
        for block in [start, start.wrapping_sub(DEBUG_HEAD)] {
            if let Some(slot) = self.capture.segments().slot(block)
                && self.blocks.all.contains(slot)
            {
                self.blocks.with_object.add(slot);
            }
        }
        let Some(shape) = shape.filter(|shape| !shape.conservative) else { return };
        if shape.pointers == 0 {
            return;
        }
        let length = header.saturating_add(shape.pointers).min(LOOK) / Slot::BYTES * Slot::BYTES;
        let Some(bytes) = self.capture.lend(start, length as usize) else { return };
        for place in (0..bytes.len()).step_by(Slot::BYTES as usize) {
            if let Some(word) = u64_at(bytes, place) {
                self.blocks.point_to(self.capture, word);
                if shape.leads_on {
                    self.leading.push(word);
                }
                if self.capture.is_left_out(word) {
                    self.elsewhere.push(word);
                }
            }
        }
    }
}

/// Calls `each` with every chunk that is in use.
pub(crate) fn each_block(
    memory: &impl Memory,
    malloc: Option<&Malloc>,
    mut each: impl FnMut(Chunk),
) {
    let Some(malloc) = malloc else { return };
    malloc.for_each(memory, |chunk| {
        if chunk.state == ChunkState::InUse {
            each(chunk);
        }
    });
    malloc.mapped().iter().for_each(|mapped| each(mapped.chunk()));
}
