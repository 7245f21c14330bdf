//! The malloc blocks that Python owns: those that hold an object, and those that an object points to.
//!
//! A block holds an object if one begins where the block does (or 16 bytes later, after the debugging
//! allocator's own header). A block is a buffer of an object if one of the object's first words, where all of
//! Python's own types have their pointers, is the address of the block: a list's items, a dict's table, the
//! data of an array. Small buffers can lead to further ones, as the blocks of a deque do. Objects of
//! undescribed types may hold anything, so their pointers do not count.

use super::malloc::{Chunk, ChunkState, Malloc};
use crate::heap::capture::copy::Capture;
use crate::heap::ids::Slot;
use crate::heap::trace::notes::Notes;
use crate::heap::trace::numbering::Marks;
use crate::heap::trace::tracer::trace;
use crate::memory::{Memory, u64_at};
use crate::process::glibc::{FLAGS, HEADER, size_at};
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
        let mut small = Vec::new();
        each_block(capture, malloc, |chunk| {
            if let Some(slot) = capture.segments().slot(chunk.block()) {
                blocks.all.add(slot);
                if chunk.size <= LEADS_ON {
                    small.push(chunk);
                }
            }
        });
        let looking = || Looking { capture, blocks: &blocks };
        let notes = (0..threads.max(1)).map(|_| looking()).collect();
        let objects = trace(capture, python, notes, strict)?.marks;
        let owners = Owners { objects, blocks };
        owners.lead_on(capture, small);
        Ok(owners)
    }

    /// The owner of the block that begins at this address.
    pub fn of(&self, capture: &Capture<'_>, block: u64) -> Whose {
        let Some(slot) = capture.segments().slot(block) else { return Whose::Other };
        if self.blocks.with_object.contains(slot) {
            Whose::Object
        } else if self.blocks.pointed_to.contains(slot) {
            Whose::Buffer
        } else {
            Whose::Other
        }
    }

    /// Follows pointers from small buffers to further buffers.
    fn lead_on(&self, capture: &Capture<'_>, small: Vec<Chunk>) {
        let is_buffer = |block: u64| self.of(capture, block) == Whose::Buffer;
        let mut next: Vec<u64> = small
            .into_iter()
            .map(|chunk| chunk.block())
            .filter(|&block| is_buffer(block))
            .collect();
        while let Some(block) = next.pop() {
            let chunk = block.wrapping_sub(HEADER);
            let size = size_at(capture, chunk).unwrap_or_default() & !FLAGS;
            if !(HEADER..=LEADS_ON).contains(&size) {
                continue;
            }
            let bytes = capture.lend(block, (size - HEADER) as usize).unwrap_or_default();
            for word in bytes.as_chunks::<8>().0 {
                let pointer = u64::from_le_bytes(*word);
                if self.blocks.point_to(capture, pointer) {
                    next.extend(
                        [pointer, pointer.wrapping_sub(DEBUG_HEAD)]
                            .into_iter()
                            .filter(|&block| self.of(capture, block) == Whose::Buffer),
                    );
                }
            }
        }
    }
}

impl Blocks {
    /// Marks the block that a pointer leads to, if there is one; returns whether that is new.
    #[inline]
    fn point_to(&self, capture: &Capture<'_>, pointer: u64) -> bool {
        if !pointer.is_multiple_of(16) || pointer == 0 {
            return false;
        }
        let mut is_new = false;
        for block in [pointer, pointer.wrapping_sub(DEBUG_HEAD)] {
            if let Some(slot) = capture.segments().slot(block)
                && self.all.contains(slot)
            {
                is_new |= self.pointed_to.add(slot);
            }
        }
        is_new
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
        let length = header.saturating_add(shape.shallow).min(LOOK) / Slot::BYTES * Slot::BYTES;
        let Some(bytes) = self.capture.lend(start, length as usize) else { return };
        for place in (0..bytes.len()).step_by(Slot::BYTES as usize) {
            if let Some(word) = u64_at(bytes, place) {
                self.blocks.point_to(self.capture, word);
            }
        }
    }
}

/// Calls `each` with every chunk that is in use.
pub(crate) fn each_block(
    capture: &Capture<'_>,
    malloc: Option<&Malloc>,
    mut each: impl FnMut(Chunk),
) {
    let Some(malloc) = malloc else { return };
    malloc.for_each(capture, |chunk| {
        if chunk.state == ChunkState::InUse {
            each(chunk);
        }
    });
    for range in malloc.mapped() {
        let size = range.end.saturating_sub(range.start);
        each(Chunk { start: range.start, size, state: ChunkState::InUse });
    }
}
