//! Everything that can be done before the pause: deciding what to copy, allocating the buffer and faulting
//! its pages in. (A fresh buffer makes the copy take nearly twice as long.)

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use memmap2::{Advice, MmapMut, MmapOptions};
use procfs::{Current, Meminfo};

use super::copy::Segment;
use super::left_out::{Examination, Places};
use super::options::{CaptureError, CaptureOptions};
use super::readers::{Placed, length};
use super::regions::{Region, program_data, regions, without};
use crate::heap::rss::malloc::own_data;
use crate::memory::PAGE;
use crate::process::{Bulk, PageMap, Process};
use crate::python::Python;

/// Bytes of the buffer that are faulted in at a time.
const POPULATED: usize = 8 << 20;
/// Spare room that is faulted in: this much, and one part in this many of the occupied bytes; then room that
/// is only reserved.
const SPARE: u64 = 4 << 20;
const SPARE_PART: u64 = 128;
const RESERVED: u64 = 256 << 20;
/// The fewest pages in a row that are left out between headers of malloc's blocks.
const FEWEST_BETWEEN: u64 = 2;
/// How often memory is examined for what can be left out: then once more what is new by then.
const EXAMINATIONS: usize = 2;
/// The most memory that slots can address, in bytes.
pub(super) const MOST_SLOTS: u64 = 32 << 30;
/// A region of at least this length, three quarters of it occupied, gets huge pages.
const HUGE: u64 = 4 << 20;

/// The memory for a capture and its graph.
fn needed(occupied: u64) -> u64 {
    occupied.saturating_add(graph(occupied))
}

/// The memory for the graph of a capture: one byte for every two captured.
pub(super) fn graph(occupied: u64) -> u64 {
    occupied / 2
}

/// Everything decided before the pause.
pub(super) struct Plan<'a> {
    pub memory: Bulk<'a>,
    pub pages: Option<PageMap>,
    /// What is not copied, in order of address.
    pub left_out: Vec<Range<u64>>,
    /// A place in the buffer for each region.
    places: Vec<Segment>,
    /// The parts of the buffer to be faulted in, and those of them worth huge pages.
    populate: Vec<Range<usize>>,
    huge: Vec<Range<usize>>,
    /// Where the spare room begins, and where it ends.
    spare: usize,
    end: usize,
}

impl<'a> Plan<'a> {
    /// Decides what to copy, and gives each region its place. Memory in the ranges `in_any_case` is
    /// copied.
    pub fn make(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        in_any_case: &[Range<u64>],
    ) -> Result<Plan<'a>, CaptureError> {
        let memory = process.bulk();
        let mut all = regions(&process.maps()?);
        let pages = PageMap::open(process.pid()).ok();
        let mut left_out = Vec::new();
        // The tables of tracemalloc are blocks that no object refers to, and are read from the capture.
        let is_traced = matches!(python.tracing(process), Ok(Some(_)));
        // Without the page map everything is copied.
        if let Some(pages) = pages.as_ref().filter(|_| !is_traced) {
            let mut examination = Examination::default();
            for _ in 0..EXAMINATIONS {
                let maps = process.maps()?;
                all = regions(&maps);
                let program = program_data(&maps, &python.image);
                let places = Places::new(&all, &arenas(python, process), program);
                examination.update(&memory, pages, &places)?;
            }
            left_out = outside(examination.left_out(), in_any_case);
            left_out = outside(left_out, &own_data(&memory, process.maps()?));
            left_out.retain(|run| length(run) / PAGE >= FEWEST_BETWEEN);
        }
        let mut plan = Plan {
            memory,
            pages,
            left_out,
            places: Vec::new(),
            populate: Vec::new(),
            huge: Vec::new(),
            spare: 0,
            end: 0,
        };
        let occupied = plan.place(without(all, &plan.left_out));
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

    /// Gives each region a place in the buffer, and returns the number of occupied bytes.
    fn place(&mut self, regions: Vec<Region>) -> u64 {
        let mut occupied = 0;
        let mut runs = Vec::new();
        for region in regions {
            let offset = self.spare;
            let place = |address: u64| offset + (address - region.range.start) as usize;
            runs.clear();
            match &self.pages {
                Some(pages) if region.anonymous => {
                    // A region that has been unmapped has no runs.
                    let _ = pages.occupied(region.range.clone(), &mut runs);
                }
                _ => runs.push(region.range.clone()),
            }
            let here: u64 = runs.iter().map(length).sum();
            occupied += here;
            if region.length() >= HUGE && here >= region.length() / 4 * 3 {
                self.huge.push(place(region.range.start)..place(region.range.end));
            }
            for run in &runs {
                let run = place(run.start)..place(run.end);
                match self.populate.last_mut() {
                    Some(last) if last.end == run.start => last.end = run.end,
                    _ => self.populate.push(run),
                }
            }
            self.spare = place(region.range.end);
            self.places.push(Segment { range: region.range, offset });
        }
        let spare = SPARE + occupied / SPARE_PART;
        self.populate.push(self.spare..self.spare + spare as usize);
        self.end = self.spare + (spare + RESERVED) as usize;
        occupied
    }

    /// Allocates the buffer, and faults in the parts that will be needed.
    pub fn buffer(&self) -> Result<MmapMut, CaptureError> {
        let buffer = MmapOptions::new()
            .len(self.end)
            .no_reserve_swap()
            .map_anon()
            .map_err(CaptureError::NoMemory)?;
        for range in &self.huge {
            // Refused only by a kernel without huge pages; small pages do then.
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
                // Not supported before kernel 5.14; the pages are then faulted in as they are written.
                let _ = buffer.advise_range(Advice::PopulateWrite, piece.start, piece.len());
            }
        };
        thread::scope(|scope| {
            scope.spawn(populate);
            populate();
        });
        Ok(buffer)
    }

    /// A place in the buffer for each region as it is now: where it was planned, or in the spare room if it
    /// is new. `None` if that is too small.
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

/// The addresses of pymalloc's arenas; none if they are not found.
pub(super) fn arenas(python: &Python, process: &Process) -> Vec<Range<u64>> {
    let arenas = python.arenas(process).unwrap_or_default();
    arenas.iter().map(|arena| arena.start..arena.end).collect()
}

/// These ranges without others; both are in order and do not overlap.
pub(super) fn outside(ranges: Vec<Range<u64>>, others: &[Range<u64>]) -> Vec<Range<u64>> {
    let whole = |range| Region { range, anonymous: true, brk: false };
    let rest = without(ranges.into_iter().map(whole).collect(), others);
    rest.into_iter().map(|region| region.range).collect()
}

/// The memory that the system can give us without swapping (`MemAvailable`), in bytes.
pub(crate) fn available_memory() -> u64 {
    Meminfo::current().ok().and_then(|info| info.mem_available).unwrap_or(u64::MAX)
}
