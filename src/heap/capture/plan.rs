//! Everything that can be done before the pause: deciding what to copy, allocating the buffer and faulting
//! its pages in. (A fresh buffer makes the copy take nearly twice as long.)

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use memmap2::{Advice, MmapMut, MmapOptions};
use procfs::{Current, Meminfo};

use super::buffers::{Buffer, find_buffers};
use super::copy::Segment;
use super::options::{CaptureError, CaptureOptions};
use super::readers::{Placed, length};
use super::regions::{Region, regions, without};
use crate::process::{PageMap, Process};
use crate::python::Python;

/// Bytes of the buffer that are faulted in at a time.
const POPULATED: usize = 8 << 20;
/// Spare room that is faulted in: so much, and a part of all; and what is only reserved.
const SPARE: u64 = 4 << 20;
const SPARE_PART: u64 = 128;
const RESERVED: u64 = 256 << 20;
/// The most that slots can number, in bytes.
const MOST_SLOTS: u64 = 32 << 30;
/// A region of this length in which this part is occupied gets huge pages.
const HUGE: u64 = 4 << 20;

/// What a graph takes beside the capture that it is made of: one byte for two.
fn needed(occupied: u64) -> u64 {
    occupied + occupied / 2
}

/// What is known before the pause.
pub(super) struct Plan {
    pub pages: Option<PageMap>,
    pub buffers: Vec<Buffer>,
    /// A place in the buffer for each region.
    places: Vec<Segment>,
    /// The parts of the buffer to be faulted in, and of these the ones worth huge pages.
    populate: Vec<Range<usize>>,
    huge: Vec<Range<usize>>,
    /// Where the spare part begins, and the end of it.
    spare: usize,
    end: usize,
}

impl Plan {
    /// Finds out what there is to copy, and gives each region its place.
    pub fn make(
        process: &Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Plan, CaptureError> {
        let all = regions(&process.maps()?);
        // Without the page map everything is copied, and without the arenas more is asked for.
        let pages = PageMap::open(process.pid()).ok();
        let arenas = python.arenas(process).unwrap_or_default();
        let buffers = match &pages {
            Some(pages) => find_buffers(process, pages, &all, &arenas)?,
            None => Vec::new(),
        };
        let mut plan = Plan {
            pages,
            buffers,
            places: Vec::new(),
            populate: Vec::new(),
            huge: Vec::new(),
            spare: 0,
            end: 0,
        };
        let occupied = plan.place(without(all, &skipped(&plan.buffers)));
        let allowed = match options.max_memory {
            Some(bytes) => bytes,
            None => available_memory() / 2,
        };
        let needed = needed(occupied);
        if needed > allowed || plan.end as u64 > MOST_SLOTS {
            return Err(CaptureError::TooLarge { needed, allowed });
        }
        Ok(plan)
    }

    /// Gives each region a place in the buffer, and the bytes that are occupied.
    fn place(&mut self, regions: Vec<Region>) -> u64 {
        let mut occupied = 0;
        let mut runs = Vec::new();
        for region in regions {
            let offset = self.spare;
            let place = |address: u64| offset + (address - region.range.start) as usize;
            runs.clear();
            match &self.pages {
                Some(pages) if region.anonymous => {
                    // A region that is gone by now has no runs.
                    let _ = pages.occupied(region.range.clone(), &mut runs);
                }
                _ => runs.push(region.range.clone()),
            }
            let here: u64 = runs.iter().map(length).sum();
            occupied += here;
            if region.length() >= HUGE && here >= region.length() / 4 * 3 {
                self.huge.push(place(region.range.start)..place(region.range.end));
            }
            self.populate.extend(runs.iter().map(|run| place(run.start)..place(run.end)));
            self.spare = place(region.range.end);
            self.places.push(Segment { range: region.range, offset });
        }
        let spare = SPARE + occupied / SPARE_PART;
        self.populate.push(self.spare..self.spare + spare as usize);
        self.end = self.spare + (spare + RESERVED) as usize;
        occupied
    }

    /// Makes the buffer, and faults in what will be needed of it.
    pub fn buffer(&self) -> Result<MmapMut, CaptureError> {
        let buffer = MmapOptions::new()
            .len(self.end)
            .no_reserve_swap()
            .map_anon()
            .map_err(CaptureError::NoMemory)?;
        for range in &self.huge {
            // Only a kernel without huge pages refuses, and then there are small ones.
            let _ = buffer.advise_range(Advice::HugePage, range.start, range.len());
        }
        let pieces: Vec<Range<usize>> = self
            .populate
            .iter()
            .flat_map(|range| {
                let starts = range.clone().step_by(POPULATED);
                starts.map(|start| start..(start + POPULATED).min(range.end))
            })
            .collect();
        let next = AtomicUsize::new(0);
        let populate = || {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                // Kernels before 5.14 cannot; the pages are then faulted in as they are written.
                let _ = buffer.advise_range(Advice::PopulateWrite, piece.start, piece.len());
            }
        };
        thread::scope(|scope| {
            scope.spawn(populate);
            populate();
        });
        Ok(buffer)
    }

    /// A place in the buffer for each region as it is now: where it was planned, and for what is new in
    /// the spare part. `None` if that is too small.
    pub fn places_now(&self, regions: Vec<Region>) -> Option<Vec<Placed>> {
        let mut spare = self.spare;
        let mut places = Vec::with_capacity(regions.len() + self.places.len());
        for region in regions {
            let mut start = region.range.start;
            let first = self.places.partition_point(|place| place.range.end <= start);
            let mut planned = self.places.iter().skip(first).peekable();
            while start < region.range.end {
                let next = planned.next_if(|place| place.range.start <= start);
                let (end, offset) = match next {
                    Some(place) => {
                        let inside = (start - place.range.start) as usize;
                        (place.range.end.min(region.range.end), place.offset + inside)
                    }
                    None => {
                        let end = planned.peek().map_or(u64::MAX, |place| place.range.start);
                        let end = end.min(region.range.end);
                        let offset = spare;
                        spare += (end - start) as usize;
                        (end, offset)
                    }
                };
                if spare > self.end {
                    return None;
                }
                let segment = Segment { range: start..end, offset };
                places.push(Placed { segment, anonymous: region.anonymous });
                start = end;
            }
        }
        places.sort_unstable_by_key(|place| place.segment.offset);
        Some(places)
    }
}

/// The parts of large buffers that are left out.
pub(super) fn skipped(buffers: &[Buffer]) -> Vec<Range<u64>> {
    buffers.iter().map(Buffer::skipped).collect()
}

/// What the system could give us without trouble, in bytes.
pub(crate) fn available_memory() -> u64 {
    Meminfo::current().ok().and_then(|info| info.mem_available).unwrap_or(u64::MAX)
}
