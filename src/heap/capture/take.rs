//! Taking a capture: everything that can be done before the pause is done before it.
//!
//! Before: what there is to copy is found out, the buffer is made and its pages are faulted in (a fresh
//! buffer makes the copy nearly twice as long), and a second reader is started. In the pause: the mappings
//! are listed once more, since the process may have grown, and two readers copy all pages that hold
//! anything. What is new since then goes to a spare part of the buffer.

use std::io;
use std::mem;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut, MmapOptions};
use procfs::{Current, Meminfo};

use super::buffers::{Buffer, find_buffers, still_buffers};
use super::copy::{Capture, Segment, Segments};
use super::regions::{Region, program_data, regions, without};
use crate::memory::ReadError;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::{Mapping, PageMap, Piece, Process, ProcessError};
use crate::python::Python;
use crate::python::pause::{PythonPause, PythonPauseError};

/// How a capture is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Whether the target is paused meanwhile. Without a pause the parts do not fit together exactly.
    pub pausing: bool,
    /// How much memory the capture, and what is made of it, may take, in bytes; by default half of what
    /// is available.
    pub max_memory: Option<u64>,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        CaptureOptions { pausing: true, max_memory: None }
    }
}

/// How a capture was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureFacts {
    /// How long the target stood still while it was copied.
    pub pause: Duration,
    /// How long it stood still in all, with the pauses that fell on a collection and were left.
    pub paused: Duration,
    /// Bytes that were copied.
    pub copied: u64,
    /// Bytes of large buffers that hold no objects and were left out.
    pub left_out: u64,
    /// The resident set of the target, in bytes.
    pub rss: u64,
}

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It could not be paused.
    #[error(transparent)]
    Pause(#[from] PythonPauseError),
    /// Its memory cannot be read.
    #[error("cannot read the memory of the process: {0}")]
    Read(#[from] ReadError),
    /// It has more memory than may be used for a copy of it.
    #[error("its heap takes {} MB to look at, more than the {} MB that may be used", needed >> 20, allowed >> 20)]
    TooLarge {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that may be used.
        allowed: u64,
    },
    /// No moment was found in which the collector's lists could be looked at.
    #[error("its garbage collector is at work all the time")]
    Collecting,
    /// It grew more quickly than a place for it could be made.
    #[error("it grows too quickly to be captured")]
    Restless,
    /// There is no memory for the copy.
    #[error("no memory for a copy of the heap: {0}")]
    NoMemory(#[source] io::Error),
}

impl Obstructed for CaptureError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            CaptureError::Process(error) => error.obstacle(),
            CaptureError::Pause(error) => error.obstacle(),
            CaptureError::Read(error) => error.obstacle(),
            &CaptureError::TooLarge { needed, allowed } => {
                Obstacle::TooLarge { needed, allowed }.of_target()
            }
            CaptureError::Collecting | CaptureError::Restless | CaptureError::NoMemory(_) => None,
        }
    }
}

/// How often a target is captured that outgrows the place made for it.
const TRIES: usize = 3;
/// For how long a moment is looked for in which no collection runs, and how long each wait is at most.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// Bytes that one reader copies at a time.
const PART: usize = 2 << 20;
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

impl<'a> Capture<'a> {
    /// Captures the memory of a Python process that can hold objects.
    pub fn take(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Capture<'a>, CaptureError> {
        Capture::take_with(process, python, options, &mut || ())
    }

    /// As [`take`](Self::take), and does something else in the same pause; more than once if the first
    /// capture is none.
    pub fn take_with(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Capture<'a>, CaptureError> {
        let mut paused = Duration::ZERO;
        for _ in 0..TRIES {
            let plan = Plan::make(process, python, options)?;
            let mut buffer = plan.buffer()?;
            let copied = plan.copy(process, python, options, &mut buffer, meanwhile)?;
            paused += copied.paused;
            let Some(segments) = copied.segments else { continue };
            let left_out = copied.buffers.iter().map(|buffer| length(&buffer.skipped())).sum();
            let facts = CaptureFacts {
                pause: copied.pause,
                paused,
                copied: copied.bytes,
                left_out,
                rss: process.resident_bytes().unwrap_or_default(),
            };
            let segments = Segments::new(segments);
            let constant = constant(&copied.maps);
            let program = program_data(&copied.maps, &python.image);
            return Ok(Capture { segments, buffer, constant, program, process, facts });
        }
        Err(CaptureError::Restless)
    }
}

/// What is known before the pause.
struct Plan {
    pages: Option<PageMap>,
    buffers: Vec<Buffer>,
    /// A place in the buffer for each region.
    places: Vec<Segment>,
    /// The parts of the buffer to be faulted in, and of these the ones worth huge pages.
    populate: Vec<Range<usize>>,
    huge: Vec<Range<usize>>,
    /// Where the spare part begins, and the end of it.
    spare: usize,
    end: usize,
}

/// What the pause gave.
struct Copied {
    pause: Duration,
    paused: Duration,
    bytes: u64,
    maps: Vec<Mapping>,
    buffers: Vec<Buffer>,
    /// `None` where the spare part was not large enough.
    segments: Option<Vec<Segment>>,
}

impl Plan {
    fn make(
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
    fn buffer(&self) -> Result<MmapMut, CaptureError> {
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

    /// Pauses the target and copies.
    fn copy<'env>(
        &'env self,
        process: &'env Process,
        python: &Python,
        options: &CaptureOptions,
        buffer: &'env mut [u8],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Copied, CaptureError> {
        let pages = self.pages.as_ref();
        thread::scope(|scope| {
            let (give, take) = mpsc::channel::<Arc<Queue<'env>>>();
            let second = scope.spawn(move || match take.recv() {
                Ok(queue) => queue.copy(process, pages),
                // There was no pause.
                Err(_) => Ok(0),
            });
            let (pause, wasted) = match options.pausing {
                true => pause_between_collections(process, python).map(|(p, w)| (Some(p), w))?,
                false => (None, Duration::ZERO),
            };
            let maps = process.maps()?;
            let all = regions(&maps);
            let mut buffers = self.buffers.clone();
            still_buffers(process, &all, &mut buffers);
            let places = self.places_now(without(all, &skipped(&buffers)));
            let mut bytes = 0;
            if let Some(places) = &places {
                let queue = Arc::new(Queue::new(places, buffer));
                // It only fails where the other reader is gone.
                let _ = give.send(Arc::clone(&queue));
                bytes = queue.copy(process, pages)?;
                bytes += second.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            }
            meanwhile();
            let pause = pause.map(PythonPause::resume).unwrap_or_default();
            let paused = pause + wasted;
            let segments =
                places.map(|places| places.into_iter().map(|place| place.segment).collect());
            Ok(Copied { pause, paused, bytes, maps, buffers, segments })
        })
    }

    /// A place in the buffer for each region as it is now: where it was planned, and for what is new in
    /// the spare part. `None` if that is too small.
    fn places_now(&self, regions: Vec<Region>) -> Option<Vec<Place>> {
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
                places.push(Place { segment, anonymous: region.anonymous });
                start = end;
            }
        }
        places.sort_unstable_by_key(|place| place.segment.offset);
        Some(places)
    }
}

/// A part of a region, and its place in the buffer.
struct Place {
    segment: Segment,
    anonymous: bool,
}

/// What is still to be copied.
struct Queue<'a> {
    parts: Mutex<Vec<Part<'a>>>,
}

/// What one reader copies at a time.
struct Part<'a> {
    address: u64,
    anonymous: bool,
    buffer: &'a mut [u8],
}

impl<'a> Queue<'a> {
    /// Cuts the buffer into parts. Places are in order of their offsets.
    fn new(places: &[Place], buffer: &'a mut [u8]) -> Queue<'a> {
        let mut parts = Vec::new();
        let mut rest = buffer;
        let mut offset = 0;
        for Place { segment, anonymous } in places {
            let gap = segment.offset.saturating_sub(offset).min(rest.len());
            let (_, behind) = mem::take(&mut rest).split_at_mut(gap);
            let here = (length(&segment.range) as usize).min(behind.len());
            let (place, behind) = behind.split_at_mut(here);
            rest = behind;
            offset = segment.offset + here;
            let addresses = (segment.range.start..).step_by(PART);
            parts.extend(addresses.zip(place.chunks_mut(PART)).map(|(address, buffer)| Part {
                address,
                anonymous: *anonymous,
                buffer,
            }));
        }
        Queue { parts: Mutex::new(parts) }
    }

    fn next(&self) -> Option<Part<'a>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Copies parts until none is left, and gives the bytes that were copied.
    fn copy(&self, process: &Process, pages: Option<&PageMap>) -> Result<u64, ReadError> {
        let mut bytes = 0;
        let mut runs = Vec::new();
        while let Some(part) = self.next() {
            let all = part.address..part.address + part.buffer.len() as u64;
            runs.clear();
            match pages.filter(|_| part.anonymous) {
                // Unless it says what is there, all is.
                Some(pages) if pages.occupied(all.clone(), &mut runs).is_ok() => {}
                _ => runs.push(all),
            }
            let mut pieces = Vec::with_capacity(runs.len());
            let mut rest = part.buffer;
            let mut next = part.address;
            for run in &runs {
                let (_, behind) = rest.split_at_mut((run.start - next) as usize);
                let (buffer, behind) = behind.split_at_mut(length(run) as usize);
                pieces.push(Piece { address: run.start, buffer });
                rest = behind;
                next = run.end;
            }
            bytes += process.read_pieces(&mut pieces)?;
        }
        Ok(bytes)
    }
}

/// Pauses Python at a moment when its collector's lists can be looked at, and says how long it stood
/// still in vain before.
fn pause_between_collections(
    process: &Process,
    python: &Python,
) -> Result<(PythonPause, Duration), CaptureError> {
    let began = Instant::now();
    let mut wasted = Duration::ZERO;
    let mut wait = Duration::from_millis(1);
    loop {
        let pause = python.pause(process)?;
        if !python.gc_is_busy(process)? {
            return Ok((pause, wasted));
        }
        wasted += pause.resume();
        if began.elapsed() > PATIENCE {
            return Err(CaptureError::Collecting);
        }
        thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn skipped(buffers: &[Buffer]) -> Vec<Range<u64>> {
    buffers.iter().map(Buffer::skipped).collect()
}

/// The mappings that the process cannot write to.
fn constant(maps: &[Mapping]) -> Vec<Range<u64>> {
    let constant = maps.iter().filter(|mapping| mapping.readable && !mapping.writable);
    constant.map(|mapping| mapping.start..mapping.end).collect()
}

/// What the system could give us without trouble, in bytes.
fn available_memory() -> u64 {
    Meminfo::current().ok().and_then(|info| info.mem_available).unwrap_or(u64::MAX)
}
