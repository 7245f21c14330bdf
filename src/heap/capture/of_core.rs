//! A capture of what a core file has. Nothing is copied: the capture refers to the mapped file.

use std::sync::Arc;
use std::time::Duration;

use super::copy::{Bytes, Capture, Segment, Segments};
use super::options::{CaptureError, CaptureFacts};
use super::plan::{MOST_SLOTS, available_memory, graph};
use super::readers::length;
use super::regions::{program_data, regions};
use super::take::constant;
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
        let segments = Segments::new(segments);
        let (needed, allowed) = (graph(kept), max_memory.unwrap_or_else(|| available_memory() / 2));
        if needed > allowed || segments.end() as u64 > MOST_SLOTS {
            return Err(CaptureError::TooLarge { needed, allowed });
        }
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
            buffer: Bytes::Lent(core.bytes()),
            constant,
            program: program_data(&maps, &python.image),
            process: core,
            facts,
        })
    }
}
