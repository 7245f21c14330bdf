//! A capture of what a core file has. Nothing is copied if its segments lie in the file as pages do (those of the
//! kernel and of gcore do): the capture then refers to the mapped file.

use std::sync::Arc;
use std::time::Duration;

use memmap2::MmapMut;

use super::copy::{Bytes, Capture, LeftOut, Segment, Segments};
use super::options::{CaptureError, CaptureFacts};
use super::plan::{MOST_SLOTS, available_memory, graph};
use super::readers::length;
use super::regions::{program_data, regions};
use super::take::constant;
use crate::memory::{Memory, PAGE};
use crate::process::{Core, Target};
use crate::python::Python;

impl<'a> Capture<'a> {
    /// The memory of a dead process that can hold Python objects. Everything computed from it may take
    /// `max_memory` bytes, by default half of what is available.
    ///
    /// # Errors
    /// That is not enough.
    pub fn of_core(
        core: &'a Core,
        python: &Python,
        max_memory: Option<u64>,
    ) -> Result<Capture<'a>, CaptureError> {
        let maps = core.maps()?;
        let mut constant = constant(&maps);
        let mut segments = Vec::new();
        let mut kept = 0;
        for region in regions(&maps) {
            let mut next = region.range.start;
            for (range, offset) in core.kept(region.range.clone()) {
                constant.push(next..range.start);
                next = range.end;
                kept += length(&range);
                segments.push(Segment { range, offset: offset as usize });
            }
            // What the process has never written, which no object is in.
            constant.push(next..region.range.end);
        }
        constant.retain(|range| !range.is_empty());
        constant.sort_unstable_by_key(|range| range.start);
        // Slots are counted in pages: each page of memory must begin at a page of the buffer.
        let shift = segments.first().map_or(0, |first: &Segment| first.offset % PAGE as usize);
        let is_lent = segments.iter().all(|segment| segment.offset % PAGE as usize == shift);
        let room = if is_lent { 0 } else { kept };
        let needed = graph(kept).saturating_add(room);
        let allowed = max_memory.unwrap_or_else(|| available_memory() / 2);
        let end = segments.iter().map(|it| it.offset as u64 + length(&it.range)).max();
        if needed > allowed || kept.max(end.unwrap_or_default()) > MOST_SLOTS {
            return Err(CaptureError::TooLarge { needed, allowed });
        }
        let buffer = match is_lent {
            true => {
                segments.iter_mut().for_each(|segment| segment.offset -= shift);
                Bytes::Lent(core.bytes().get(shift..).unwrap_or_default())
            }
            false => Bytes::Copied(copied(core, &mut segments)?),
        };
        let segments = Segments::new(segments);
        let facts = CaptureFacts {
            pause: Duration::ZERO,
            paused: Duration::ZERO,
            copied: 0,
            left_out: 0,
            rss: 0,
            collecting: python.gc_is_collecting(core)?,
        };
        Ok(Capture {
            segments: Arc::new(segments),
            buffer,
            constant,
            program: program_data(&maps, &python.image),
            left_out: LeftOut::default(),
            maps,
            process: core,
            facts,
        })
    }
}

/// Copies segments into a buffer in which each begins at a page.
fn copied(core: &Core, segments: &mut [Segment]) -> Result<MmapMut, CaptureError> {
    let pages = |segment: &Segment| length(&segment.range).next_multiple_of(PAGE) as usize;
    let room = segments.iter().map(pages).sum::<usize>().max(PAGE as usize);
    let mut buffer = MmapMut::map_anon(room).map_err(CaptureError::NoMemory)?;
    let mut next = 0;
    for segment in segments {
        let place = next..next + length(&segment.range) as usize;
        core.read(segment.range.start, buffer.get_mut(place).unwrap_or_default())?;
        segment.offset = next;
        next += pages(segment);
    }
    Ok(buffer)
}
