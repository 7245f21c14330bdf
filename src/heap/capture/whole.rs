//! A capture together with the memory that it left out, which is read from the process when it is asked for.
//!
//! What was left out is read as it is now, not as it was in the pause: native code can have changed it. A capture
//! copies what malloc keeps between the blocks; so this concerns only blocks that were made or freed right before the
//! pause.

use std::cell::RefCell;

use super::copy::Capture;
use super::window::Window;
use crate::memory::{Memory, PAGE, ReadError};

/// All memory that can hold objects.
#[derive(Debug)]
pub struct Whole<'c, 'a> {
    capture: &'c Capture<'a>,
    /// The stretch read last.
    window: RefCell<Window>,
}

impl<'c, 'a> Whole<'c, 'a> {
    /// The memory of this capture, and what it left out.
    pub fn new(capture: &'c Capture<'a>) -> Whole<'c, 'a> {
        Whole { capture, window: RefCell::default() }
    }

    /// The capture.
    pub fn capture(&self) -> &'c Capture<'a> {
        self.capture
    }

    /// Reads a part of a page that was left out, or that was mapped when it was already decided what to copy.
    fn read_late(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end_of_page = (address / PAGE * PAGE).saturating_add(PAGE);
        let most = self.capture.end_of_left_out(address).unwrap_or(end_of_page);
        self.window.borrow_mut().read(self.capture.process, address, buffer, most)
    }
}

impl Memory for Whole<'_, '_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut rest = buffer;
        let mut next = address;
        while !rest.is_empty() {
            let here = (PAGE - next % PAGE).min(rest.len() as u64);
            let (piece, others) = rest.split_at_mut(here as usize);
            match self.capture.is_left_out(next) {
                true => self.read_late(next, piece)?,
                false if self.capture.read(next, piece).is_ok() => {}
                false => self.read_late(next, piece)?,
            }
            rest = others;
            next = next.wrapping_add(here);
        }
        Ok(())
    }

    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.capture.lend(address, length)
    }
}
