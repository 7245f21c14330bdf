//! The stretch of memory read last, for many small reads in order of address.

use std::ops::Range;

use crate::memory::{Memory, PAGE, ReadError};

/// How many bytes are read at once: at first, and where reads follow each other closely.
const LEAST: u64 = PAGE;
const MOST: u64 = 256 << 10;

/// A copy of whole pages.
#[derive(Debug, Default)]
pub(crate) struct Window {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Window {
    /// Reads a part of a page, and pages before `most` together with it.
    pub fn read(
        &mut self,
        memory: &(impl Memory + ?Sized),
        address: u64,
        buffer: &mut [u8],
        most: u64,
    ) -> Result<(), ReadError> {
        let unmapped = ReadError::Unmapped { address, length: buffer.len() };
        let end = address.checked_add(buffer.len() as u64).ok_or(unmapped)?;
        if !(self.range.start <= address && end <= self.range.end) {
            let last = self.range.end.saturating_sub(self.range.start);
            let is_close = (self.range.end..self.range.end.saturating_add(last)).contains(&address);
            let length = if is_close { (2 * last).min(MOST) } else { LEAST };
            let start = address / PAGE * PAGE;
            self.range = start..start.saturating_add(length).min(most);
            self.bytes.resize(self.range.end.saturating_sub(start) as usize, 0);
            if let Err(error) = memory.read(start, &mut self.bytes) {
                self.range = 0..0;
                return Err(error);
            }
        }
        let inside = (address - self.range.start) as usize;
        let bytes = self.bytes.get(inside..inside.saturating_add(buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(unmapped)?);
        Ok(())
    }
}
