//! A capture: the memory of a process as it was in one pause.
//!
//! The copy is one buffer, made of [`Segment`]s. The position of a word in the buffer is a shorter name for
//! it than its address: a *[slot](Slot)* is the number of an eight-byte word of the buffer, and fits in 32
//! bits for captures up to 32 GB. Pages never touched in the target are not touched in the buffer either, and
//! read as zeros in both.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;
use rustc_hash::FxHashMap;

use super::options::{CaptureFacts, CaptureOptions};
use crate::heap::ids::Slot;
use crate::memory::{Memory, PAGE, ReadError};
use crate::process::{Mapping, Target};

/// Addresses are looked up without this many low bits: one entry per megabyte.
const GRANULE_BITS: u32 = 20;
const GRANULE_PAGES: usize = (1 << GRANULE_BITS) / PAGE as usize;
/// The most ranges of memory that was missed that are remembered.
const MOST_MISSED: usize = 1 << 16;

/// A stretch of captured memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// Its addresses in the target.
    pub range: Range<u64>,
    /// Where it begins in the buffer; a multiple of the page size.
    pub offset: usize,
}

/// The segments of a capture, with indices for lookup.
#[derive(Debug, Default)]
pub struct Segments {
    by_address: Vec<Segment>,
    /// The largest segment, which is tried first: most of a heap is in one.
    largest: Segment,
    /// The first segment that overlaps each granule.
    granules: FxHashMap<u64, u32>,
    /// Indices of the segments, in the order of their offsets.
    by_offset: Vec<u32>,
}

impl Segments {
    /// Sorts segments, which must not overlap, and merges neighbours.
    pub fn new(mut segments: Vec<Segment>) -> Segments {
        segments.sort_unstable_by_key(|segment| segment.range.start);
        segments.dedup_by(|next, last| {
            let length = (last.range.end - last.range.start) as usize;
            let continues =
                last.range.end == next.range.start && last.offset + length == next.offset;
            if continues {
                last.range.end = next.range.end;
            }
            continues
        });
        let mut granules = FxHashMap::default();
        for (index, segment) in segments.iter().enumerate() {
            let first = segment.range.start >> GRANULE_BITS;
            let last = segment.range.end.saturating_sub(1) >> GRANULE_BITS;
            for granule in first..=last {
                granules.entry(granule).or_insert(index as u32);
            }
        }
        let mut by_offset: Vec<u32> = (0..segments.len() as u32).collect();
        by_offset.sort_unstable_by_key(|&index| segments[index as usize].offset);
        let largest = segments.iter().max_by_key(|segment| segment.range.end - segment.range.start);
        let largest = largest.cloned().unwrap_or_default();
        Segments { by_address: segments, largest, granules, by_offset }
    }

    /// The segments, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.by_address.iter()
    }

    /// Where the last segment ends in the buffer.
    pub fn end(&self) -> usize {
        let ends = self
            .by_address
            .iter()
            .map(|segment| segment.offset + (segment.range.end - segment.range.start) as usize);
        ends.max().unwrap_or_default()
    }

    /// The segment that contains `address`.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Segment> {
        if self.largest.range.contains(&address) {
            return Some(&self.largest);
        }
        let first = *self.granules.get(&(address >> GRANULE_BITS))?;
        let candidates = self.by_address.get(first as usize..)?;
        // A granule overlaps no more than it has pages.
        let candidates = candidates.get(..GRANULE_PAGES).unwrap_or(candidates);
        let after = candidates.partition_point(|segment| segment.range.end <= address);
        candidates.get(after).filter(|found| found.range.contains(&address))
    }

    /// The slot at `address`, which must be a multiple of eight.
    #[inline]
    pub fn slot(&self, address: u64) -> Option<Slot> {
        if !address.is_multiple_of(Slot::BYTES) {
            return None;
        }
        let segment = self.find(address)?;
        let place = segment.offset as u64 + (address - segment.range.start);
        u32::try_from(place / Slot::BYTES).ok().map(Slot)
    }

    /// The slots of the captured part of these addresses.
    pub fn slots_in(&self, addresses: Range<u64>) -> impl Iterator<Item = Range<Slot>> {
        let first = self.by_address.partition_point(|part| part.range.end <= addresses.start);
        let parts = self.by_address.iter().skip(first);
        let parts = parts.take_while(move |part| part.range.start < addresses.end);
        parts.map(move |part| {
            let slot = |address: u64| {
                let inside = address.clamp(part.range.start, part.range.end) - part.range.start;
                let slot = u32::try_from((part.offset as u64 + inside) / Slot::BYTES);
                Slot(slot.unwrap_or(u32::MAX))
            };
            slot(addresses.start)..slot(addresses.end)
        })
    }

    /// The address of a slot.
    pub fn address(&self, slot: Slot) -> Option<u64> {
        self.segment_of(slot)?.address_of(slot)
    }

    /// The last segment that begins at or before this slot.
    fn segment_of(&self, slot: Slot) -> Option<&Segment> {
        let place = slot.offset();
        let after = self.by_offset.partition_point(|&index| {
            self.by_address.get(index as usize).is_some_and(|s| s.offset as u64 <= place)
        });
        let index = *self.by_offset.get(after.checked_sub(1)?)?;
        self.by_address.get(index as usize)
    }
}

impl Segment {
    /// The address of a slot of this segment.
    fn address_of(&self, slot: Slot) -> Option<u64> {
        let inside = slot.offset().checked_sub(self.offset as u64)?;
        let address = self.range.start.checked_add(inside)?;
        self.range.contains(&address).then_some(address)
    }
}

/// The bytes of a capture.
#[derive(Debug)]
pub(crate) enum Bytes<'a> {
    /// A copy.
    Copied(MmapMut),
    /// A file that has them.
    Lent(&'a [u8]),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Copied(bytes) => bytes,
            Bytes::Lent(bytes) => bytes,
        }
    }
}

/// Memory that was not copied because no object was expected there.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// In order of address.
    ranges: Vec<Range<u64>>,
    /// What was asked for all the same.
    missed: Mutex<Vec<Range<u64>>>,
}

impl LeftOut {
    /// Memory in these ranges, which are in order of address.
    pub fn new(ranges: Vec<Range<u64>>) -> LeftOut {
        LeftOut { ranges, missed: Mutex::default() }
    }

    /// The end of the range that contains an address.
    fn end_at(&self, address: u64) -> Option<u64> {
        let after = self.ranges.partition_point(|range| range.end <= address);
        let range = self.ranges.get(after)?;
        range.contains(&address).then_some(range.end)
    }

    /// Notes that the pages of these addresses were needed.
    fn miss(&self, addresses: Range<u64>) {
        let pages = addresses.start / PAGE * PAGE..addresses.end.next_multiple_of(PAGE);
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.last().is_some_and(|last| last.start <= pages.start && pages.end <= last.end) {
            return;
        }
        if missed.len() < MOST_MISSED {
            missed.push(pages);
        }
    }
}

/// The memory of a process as it was in one pause.
///
/// Only memory that can hold objects was copied. What the process cannot change, such as the names of types
/// in its program files, is read from the process itself on demand. So is memory that was left out, which may
/// have changed since.
#[derive(Debug)]
pub struct Capture<'a> {
    pub(crate) segments: Arc<Segments>,
    pub(crate) buffer: Bytes<'a>,
    /// Mappings that cannot be written, by address.
    pub(crate) constant: Vec<Range<u64>>,
    /// Memory that comes with the program's files, by address.
    pub(crate) program: Vec<Range<u64>>,
    pub(crate) left_out: LeftOut,
    /// All mappings, by address.
    pub(crate) maps: Vec<Mapping>,
    pub(crate) process: &'a dyn Target,
    /// How the capture was made.
    pub facts: CaptureFacts,
}

impl Capture<'_> {
    /// The captured segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The same, shared.
    pub(crate) fn shared_segments(&self) -> Arc<Segments> {
        Arc::clone(&self.segments)
    }

    /// The process, for memory that was not copied. It may have changed since.
    pub fn process(&self) -> &dyn Target {
        self.process
    }

    /// The number of slots, up to the end of the last segment.
    pub fn slots(&self) -> usize {
        self.segments.end() / Slot::BYTES as usize
    }

    /// The captured bytes, including those of untouched pages.
    pub fn extent(&self) -> u64 {
        self.segments.iter().map(|segment| segment.range.end - segment.range.start).sum()
    }

    /// Whether the collector's lists must close: not if the target was not paused, or only during a collection.
    pub fn is_strict(&self, options: &CaptureOptions) -> bool {
        options.pausing && !self.facts.collecting
    }

    /// The slots of memory that comes with the program's files.
    pub fn slots_of_program(&self) -> impl Iterator<Item = Range<Slot>> {
        self.program.iter().flat_map(|program| self.segments.slots_in(program.clone()))
    }

    /// Notes that an object is at this address, if that was left out.
    pub fn want(&self, address: u64) {
        if self.left_out.end_at(address).is_some() {
            self.left_out.miss(address..address.saturating_add(Slot::BYTES));
        }
    }

    /// Whether this address was left out.
    pub fn is_left_out(&self, address: u64) -> bool {
        self.end_of_left_out(address).is_some()
    }

    /// The end of the memory around this address that was left out.
    pub fn end_of_left_out(&self, address: u64) -> Option<u64> {
        self.left_out.end_at(address)
    }

    /// The memory that was left out and has been asked for, in order of address: whole pages.
    pub fn missed(&self) -> Vec<Range<u64>> {
        let missed = self.left_out.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missed = missed.clone();
        missed.sort_unstable_by_key(|range| range.start);
        missed.dedup_by(|next, last| {
            let overlaps = next.start <= last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        missed
    }

    /// The parts of a range that were copied, where others in between may have been left out.
    pub(crate) fn copied(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut pieces = Vec::new();
        let mut next = range.start;
        while next < range.end {
            if let Some(segment) = self.segments.find(next) {
                pieces.push(next..segment.range.end.min(range.end));
                next = segment.range.end;
            } else if let Some(end) = self.left_out.end_at(next) {
                next = end;
            } else {
                break;
            }
        }
        pieces
    }

    /// The mapping that contains this address and cannot be written.
    fn constant_at(&self, address: u64) -> Option<&Range<u64>> {
        let after = self.constant.partition_point(|range| range.start <= address);
        let range = self.constant.get(after.checked_sub(1)?)?;
        range.contains(&address).then_some(range)
    }
}

impl Memory for Capture<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        if let Some(bytes) = self.lend(address, length) {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        // The range may span several segments, some of them constant and not copied.
        let mut rest = buffer;
        let mut next = address;
        while !rest.is_empty() {
            let unmapped = ReadError::Unmapped { address, length };
            let captured = self.segments.find(next).map(|segment| segment.range.end);
            let left_out = self.left_out.end_at(next);
            let constant = || self.constant_at(next).map(|range| range.end);
            let end = captured.or(left_out).or_else(constant).ok_or(unmapped)?;
            let here = (end - next).min(rest.len() as u64);
            let (piece, others) = rest.split_at_mut(here as usize);
            if captured.is_some() {
                piece.copy_from_slice(self.lend(next, piece.len()).ok_or(unmapped)?);
            } else {
                if left_out.is_some() {
                    self.left_out.miss(next..next.saturating_add(here));
                }
                self.process.read(next, piece)?;
            }
            rest = others;
            next = next.wrapping_add(here);
        }
        Ok(())
    }

    #[inline]
    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        let segment = self.segments.find(address)?;
        let available = segment.range.end - address;
        if length as u64 > available {
            return None;
        }
        let start = segment.offset + (address - segment.range.start) as usize;
        self.buffer.get(start..start.checked_add(length)?)
    }

    #[inline]
    fn prefetch(&self, address: u64, length: usize) {
        if let Some([first, .., last]) = self.lend(address, length) {
            fetch(first);
            fetch(last);
        }
    }
}

/// Prefetches a place into the processor's caches, without waiting for it.
#[inline]
pub(crate) fn fetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: nothing is read or written, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> Segments {
        let segment = |range, offset| Segment { range, offset };
        Segments::new(vec![
            segment(0x7000_0000_0000..0x7000_0030_0000, 0x4000),
            segment(0x5000..0x6000, 0x1000),
            segment(0x6000..0x8000, 0x2000),
            segment(0x9000..0xa000, 0),
        ])
    }

    #[test]
    fn neighbours_in_both_are_one() {
        let ranges: Vec<_> = segments().iter().map(|segment| segment.range.clone()).collect();
        assert_eq!(ranges, [0x5000..0x8000, 0x9000..0xa000, 0x7000_0000_0000..0x7000_0030_0000]);
    }

    #[test]
    fn slots_and_addresses_lead_to_each_other() {
        let segments = segments();
        for address in [0x5000, 0x7ff8, 0x9000, 0x7000_0000_0000, 0x7000_002f_fff8] {
            let slot = segments.slot(address).expect("it was captured");
            assert_eq!(segments.address(slot), Some(address));
        }
        for address in [0, 0x4ff8, 0x5004, 0x8000, 0xa000, 0x7000_0030_0000, u64::MAX] {
            assert_eq!(segments.slot(address), None, "{address:#x}");
        }
        assert_eq!(segments.address(Slot(u32::MAX)), None);
    }
}
