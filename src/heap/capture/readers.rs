//! Copying with two readers: each takes a part at a time until nothing is left.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::copy::Segment;
use crate::memory::ReadError;
use crate::process::{PageMap, Piece, Process};

/// Bytes that one reader copies at a time.
const PART: usize = 2 << 20;

/// A part of a region, and its place in the buffer.
pub(super) struct Placed {
    pub segment: Segment,
    pub anonymous: bool,
}

/// The parts still to be copied.
pub(super) struct Queue<'a> {
    parts: Mutex<Vec<Part<'a>>>,
}

/// A part for one reader.
struct Part<'a> {
    address: u64,
    anonymous: bool,
    buffer: &'a mut [u8],
}

impl<'a> Queue<'a> {
    /// Cuts the buffer into parts. Places are in order of their offsets.
    pub fn new(places: &[Placed], buffer: &'a mut [u8]) -> Queue<'a> {
        let mut parts = Vec::new();
        let mut rest = buffer;
        let mut offset = 0;
        for Placed { segment, anonymous } in places {
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

    /// Copies parts until none is left, and returns the number of bytes copied.
    pub fn copy(&self, process: &Process, pages: Option<&PageMap>) -> Result<u64, ReadError> {
        let mut bytes = 0;
        let mut runs = Vec::new();
        while let Some(part) = self.next() {
            let all = part.address..part.address + part.buffer.len() as u64;
            runs.clear();
            match pages.filter(|_| part.anonymous) {
                // If this fails, everything is copied.
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

/// The length of a range of addresses.
pub(super) fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
