//! Whether a block of memory that nothing refers to holds an object.
//!
//! A block in use may still have what was in it before: whoever allocates 100 bytes for a text of 40 leaves the rest
//! of a dead object. Such a rest has the address of a type, but not all that an object has besides: a plausible
//! reference count, links of the collector that lead back, a size that fits, and references to objects only.

use super::tracer::Heap;
use crate::memory::PAGE;
use crate::python::gc::Links;
use crate::python::objects::{BLOCK_HEADERS, Edges, TypeCache, TypeInfo, can_be_reference_count};

/// How much larger than its request a block of malloc can be, in bytes, unless it has pages of its own.
const MOST_ROOM: u64 = 64;

/// The object in a block of this many bytes, if there is one of a known type. If the block is `tight`, it was asked for
/// with about that size.
pub(super) fn object_in(
    heap: &Heap<'_>,
    types: &TypeCache<'_>,
    block: u64,
    size: u64,
    is_tight: bool,
    edges: &mut Edges,
) -> Option<u64> {
    BLOCK_HEADERS.iter().find_map(|&header| {
        let room = size.checked_sub(header).filter(|&room| room >= 16)?;
        let object = block.wrapping_add(header);
        if !can_be_reference_count(heap.word(object)) {
            return None;
        }
        let info = types.known(heap.kind(object))?;
        let is_one = info.header == header
            && heap.reader.least_bytes(object, info).is_some_and(|bytes| {
                let most = if size >= PAGE { PAGE } else { MOST_ROOM };
                bytes <= room && (!is_tight || info.is_gc || room - bytes <= most)
            })
            && (!info.is_gc || Links::of(heap.capture, object).lead_back(heap.capture))
            && refers_to_objects(heap, types, object, info, edges);
        is_one.then_some(object)
    })
}

/// Whether all of an object can be read, and all that it refers to are objects.
fn refers_to_objects(
    heap: &Heap<'_>,
    types: &TypeCache<'_>,
    object: u64,
    info: &TypeInfo,
    edges: &mut Edges,
) -> bool {
    let is_object = |&child: &u64| {
        let slot = heap.capture.segments().slot(child);
        slot.is_some_and(|slot| heap.marks.contains(slot))
            || (slot.is_some() && types.known(heap.kind(child)).is_some())
    };
    heap.reader.describe_as(object, info, edges).is_ok()
        && edges.shown.iter().chain(&edges.held).all(is_object)
}
