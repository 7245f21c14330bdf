//! How many references to an object are counted, and where.
//!
//! `ob_refcnt` is the first field. From 3.12 on only its lower half counts, and an object of which that half
//! is negative is immortal: its references are not counted.

use super::reader::Reader;
use super::type_info::{GC_HEAD, PRE_HEADER};
use crate::memory::{Memory, ReadError};

/// From this count on, as a half word, an object is immortal.
const IMMORTAL: u32 = 1 << 31;
/// What no object refers to but claims more references than this is no object.
const MOST_UNREFERENCED: u32 = 1 << 20;

/// Where an object can begin in its block, in bytes: behind nothing, behind the collector's header, and
/// behind that and the two words for the dict and the weak references.
pub const BLOCK_HEADERS: [u64; 3] = [0, GC_HEAD, GC_HEAD + PRE_HEADER];

/// An object's reference count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceCount {
    /// So many.
    Counted(u64),
    /// They are not counted.
    Immortal,
}

impl<M: Memory> Reader<'_, M> {
    /// How many references to an object it counts.
    ///
    /// # Errors
    /// There is no memory.
    pub fn reference_count(&self, object: u64) -> Result<ReferenceCount, ReadError> {
        if self.layout().object.reference_count == 8 {
            return self.memory.u64(object).map(ReferenceCount::Counted);
        }
        Ok(match self.memory.u32(object)? {
            IMMORTAL.. => ReferenceCount::Immortal,
            count => ReferenceCount::Counted(count.into()),
        })
    }

    /// The word that counts the references to an object: its address, and its length in bytes. `None` if they
    /// are not counted, or there is no memory.
    pub fn reference_counter(&self, object: u64) -> Option<(u64, u8)> {
        let count = self.reference_count(object).ok()?;
        (count != ReferenceCount::Immortal)
            .then_some((object, self.layout().object.reference_count))
    }
}

/// Whether the first word of a block can be the reference count of an object that no object refers to. What
/// is free has none, or (from 3.14 on) the address of the next that is free.
pub fn can_be_unreferenced(word: u64) -> bool {
    let (count, overflow) = (word as u32, (word >> 32) as u16);
    overflow == 0 && ((1..MOST_UNREFERENCED).contains(&count) || count >= IMMORTAL)
}
