//! Where malloc keeps its own data between the blocks: headers of chunks, arenas, caches; and where the next blocks
//! will be. It is found while the target runs, so that a capture which leaves out blocks can copy this much of them.

use std::cell::RefCell;
use std::ops::Range;

use super::arenas::{self, HEAP};
use super::{ChunkState, anonymous_runs, mapped_chunk, walk};
use crate::heap::capture::window::Window;
use crate::heap::rss::residency::Residency;
use crate::memory::{Memory, PAGE, ReadError};
use crate::process::{Bulk, Mapping};

/// Malloc's data in a chunk is in its first bytes: the header, links of lists, at most a thread's cache.
const FIRST: u64 = 1040;
/// New blocks are cut off the beginning of a free chunk, and of the top: so much may be used by the time of the
/// pause, in bytes.
const NEXT_FREE: u64 = 256 << 10;
const NEXT_TOP: u64 = 4 << 20;

/// The memory of a running process, for reads in order of address.
struct Live<'a> {
    all: &'a Bulk<'a>,
    residency: &'a Residency,
    window: RefCell<Window>,
}

impl Memory for Live<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len() as u64;
        match self.residency.mapping_at(address) {
            Some(it) if address % PAGE + length <= PAGE => {
                self.window.borrow_mut().read(self.all, address, buffer, it.mapping.end)
            }
            _ => self.all.read(address, buffer),
        }
    }
}

/// The pages with malloc's own data, in order of address. A heap that cannot be walked, because it changes
/// meanwhile, counts as a whole from there on. Of chunks with mappings of their own those count that are the first
/// of a mapping, or follow another: in the midst of other memory there are few.
pub(crate) fn own_data(all: &Bulk<'_>, maps: Vec<Mapping>) -> Vec<Range<u64>> {
    let residency = Residency::of_mappings(maps);
    let memory = Live { all, residency: &residency, window: RefCell::default() };
    let Some(found) = arenas::find(&memory, &residency) else { return Vec::new() };
    let mut pages = Vec::new();
    for stretch in &found.stretches {
        if !stretch.is_main {
            add(&mut pages, stretch.range.start / HEAP * HEAP..stretch.range.start);
        }
        let walked = walk(&memory, stretch, |chunk| {
            let first = match chunk.state {
                ChunkState::InUse | ChunkState::Cached => FIRST,
                ChunkState::Free => NEXT_FREE,
                ChunkState::Top => NEXT_TOP,
            };
            add(&mut pages, chunk.start..chunk.start.saturating_add(chunk.size.min(first)));
        });
        add(&mut pages, walked..stretch.range.end);
    }
    for run in anonymous_runs(&residency) {
        let mut page = run.start;
        while page < run.end {
            pages.push(page..page.saturating_add(PAGE));
            let Some(chunk) = mapped_chunk(&memory, page) else { break };
            page = chunk.mapping.end;
        }
    }
    pages.sort_unstable_by_key(|range| range.start);
    let mut merged = Vec::new();
    pages.into_iter().for_each(|range| add(&mut merged, range));
    merged
}

/// Adds the pages of a range, none of which begins before the last.
fn add(pages: &mut Vec<Range<u64>>, range: Range<u64>) {
    if range.is_empty() {
        return;
    }
    let new = range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE);
    match pages.last_mut() {
        Some(last) if new.start <= last.end => last.end = last.end.max(new.end),
        _ => pages.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_neighbours_are_one_range() {
        let mut pages = Vec::new();
        for range in [0x1010..0x1020, 0x1ff0..0x2010, 0x3000..0x3000, 0x4ff0..0x5000] {
            add(&mut pages, range);
        }
        assert_eq!(pages, [0x1000..0x3000, 0x4000..0x5000]);
    }
}
