//! Copying with two readers: each takes a part at a time until nothing is left.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::copy::Segment;
use crate::memory::ReadError;
use crate::process::{Bulk, PageMap, Piece};

/// Bytes that one reader copies at a time.
const PART: usize = 2 << 20;
/// A piece of no more than so many bytes is small; so many small ones are copied at a time.
const SMALL: usize = 32 << 10;
const MOST_TOGETHER: usize = 256;

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
enum Part<'a> {
    /// A stretch of which only the occupied pages are copied.
    Stretch { address: u64, buffer: &'a mut [u8] },
    /// Pieces that are copied as they are.
    Pieces(Vec<Piece<'a>>),
}

impl<'a> Queue<'a> {
    /// Cuts the buffer into parts. Places are in order of their offsets.
    pub fn new(places: &[Placed], buffer: &'a mut [u8]) -> Queue<'a> {
        let mut parts = Vec::new();
        // Asking which pages of a small piece are occupied takes longer than copying it.
        let mut pieces = Vec::new();
        let mut together = 0;
        let mut rest = buffer;
        let mut offset = 0;
        for Placed { segment, anonymous } in places {
            let gap = segment.offset.saturating_sub(offset).min(rest.len());
            let (_, behind) = mem::take(&mut rest).split_at_mut(gap);
            let here = (length(&segment.range) as usize).min(behind.len());
            let (place, behind) = behind.split_at_mut(here);
            rest = behind;
            offset = segment.offset + here;
            let address = segment.range.start;
            if *anonymous && here > SMALL {
                let addresses = (address..).step_by(PART).zip(place.chunks_mut(PART));
                parts.extend(addresses.map(|(address, buffer)| Part::Stretch { address, buffer }));
                continue;
            }
            for (address, buffer) in (address..).step_by(PART).zip(place.chunks_mut(PART)) {
                together += buffer.len();
                pieces.push(Piece { address, buffer });
                if together >= PART || pieces.len() >= MOST_TOGETHER {
                    parts.push(Part::Pieces(mem::take(&mut pieces)));
                    together = 0;
                }
            }
        }
        parts.push(Part::Pieces(pieces));
        Queue { parts: Mutex::new(parts) }
    }

    fn next(&self) -> Option<Part<'a>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Copies parts until none is left, and returns the number of bytes copied.
    pub fn copy(&self, memory: &Bulk<'_>, pages: Option<&PageMap>) -> Result<u64, ReadError> {
        let mut bytes = 0;
        let mut runs = Vec::new();
        while let Some(part) = self.next() {
            let mut pieces = match part {
                Part::Pieces(pieces) => pieces,
                Part::Stretch { address, buffer } => occupied(address, buffer, pages, &mut runs),
            };
            bytes += memory.read_pieces(&mut pieces)?;
        }
        Ok(bytes)
    }
}

/// The occupied pieces of a stretch.
fn occupied<'a>(
    address: u64,
    buffer: &'a mut [u8],
    pages: Option<&PageMap>,
    runs: &mut Vec<Range<u64>>,
) -> Vec<Piece<'a>> {
    let all = address..address + buffer.len() as u64;
    runs.clear();
    match pages {
        // If this fails, everything is copied.
        Some(pages) if pages.occupied(all.clone(), runs).is_ok() => {}
        _ => {
            runs.clear();
            runs.push(all);
        }
    }
    let mut pieces = Vec::with_capacity(runs.len());
    let mut rest = buffer;
    let mut next = address;
    for run in runs {
        let (_, behind) = rest.split_at_mut((run.start - next) as usize);
        let (buffer, behind) = behind.split_at_mut(length(run) as usize);
        pieces.push(Piece { address: run.start, buffer });
        rest = behind;
        next = run.end;
    }
    pieces
}

/// The length of a range of addresses.
pub(super) fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
