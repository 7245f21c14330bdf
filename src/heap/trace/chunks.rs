//! malloc's blocks in use, where objects of more than 512 bytes are, and which block of any allocator a pointer leads to.
//!
//! Pages that a capture left out hold no pointer to an object, so they are passed over and not read.

use std::cmp::Reverse;

use super::tracer::Heap;
use crate::heap::capture::copy::Capture;
use crate::heap::ids::Slot;
use crate::heap::rss::malloc::{Chunk, Malloc};
use crate::heap::rss::owners::each_block;
use crate::heap::rss::residency::Residency;
use crate::memory::{Memory, ReadError};
use crate::process::glibc::HEADER;
use crate::python::objects::{BLOCK_HEADERS, OwnedBlock};
use crate::python::pymalloc::{Arena, Block};

/// What has been copied, and nothing else.
struct Copied<'a>(&'a Capture<'a>);

impl Memory for Copied<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        let bytes = self.0.lend(address, length);
        buffer.copy_from_slice(bytes.ok_or(ReadError::Unmapped { address, length })?);
        Ok(())
    }

    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.0.lend(address, length)
    }
}

/// malloc's chunks in use, in order of address; none where it is not glibc's.
pub(super) fn chunks_in_use(capture: &Capture<'_>, arenas: &[Arena]) -> Vec<Chunk> {
    let mut taken: Vec<_> = arenas.iter().map(|arena| arena.start..arena.end).collect();
    taken.sort_by_key(|range| range.start);
    let copied = Copied(capture);
    let malloc = Malloc::read(&copied, &Residency::of_mappings(capture.maps.clone()), &taken);
    let mut chunks = Vec::new();
    each_block(&copied, malloc.as_ref(), |chunk| chunks.push(chunk));
    chunks.sort_unstable_by_key(|chunk| chunk.start);
    chunks
}

/// The block of a chunk. The block reaches into the header of the next one.
pub(super) fn block_of(chunk: Chunk) -> Block {
    Block { address: chunk.block(), size: chunk.size.saturating_sub(HEADER).saturating_add(8) }
}

/// The blocks that these objects point to and that hold no object. A block to which several point is the first one's.
pub(super) fn owned_blocks(heap: &Heap<'_>, objects: &[u64], arenas: &[Arena]) -> Vec<OwnedBlock> {
    let mut arenas = arenas.to_vec();
    arenas.sort_unstable_by_key(|arena| arena.start);
    let mut found = Vec::new();
    for &object in objects {
        for (word, place) in heap.reader.candidates(object) {
            let Some(block) = block_at(heap, &arenas, word) else { continue };
            let end = word.saturating_add(block.size.saturating_sub(8));
            for piece in heap.capture.copied(word..end) {
                let words = (piece.end - piece.start) / Slot::BYTES;
                found.push(OwnedBlock { object, place, block: piece.start, words });
            }
        }
    }
    // By block, and then in the order of the objects.
    found.sort_by_key(|owned| Reverse(owned.block));
    found.dedup_by_key(|owned| owned.block);
    found
}

/// The block in use that begins at this address, if it holds no object.
fn block_at(heap: &Heap<'_>, arenas: &[Arena], address: u64) -> Option<Block> {
    let slot = heap.capture.segments().slot(address)?;
    let is_object = |header: &u64| heap.marks.contains(slot.plus((header / Slot::BYTES) as u32));
    if BLOCK_HEADERS.iter().any(is_object) {
        return None;
    }
    let after = arenas.partition_point(|arena| arena.start <= address);
    let arena = after.checked_sub(1).and_then(|index| arenas.get(index));
    if let Some(arena) = arena.filter(|arena| address < arena.end) {
        return heap.python.block_at(heap.capture, arena, address);
    }
    let start = address.checked_sub(HEADER)?;
    let index = heap.chunks.binary_search_by_key(&start, |chunk| chunk.start).ok()?;
    heap.chunks.get(index).map(|chunk| block_of(*chunk))
}
