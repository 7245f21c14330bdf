//! The reference count of an object, and where it is stored.
//!
//! `ob_refcnt` is the first field. From 3.12 on only its lower half is the count, and if that half is
//! negative the object is immortal: its references are not counted.

use super::reader::Reader;
use super::type_info::{GC_HEAD, PRE_HEADER};
use crate::memory::{Memory, ReadError};

/// From this count on, as an unsigned half word, an object is immortal.
const IMMORTAL: u32 = 1 << 31;
/// Such an object cannot plausibly have more references than this.
const NOT_VERY_MANY: u32 = 1 << 20;

/// With this count begin objects that are built into the interpreter, in 3.11 (`_PyObject_IMMORTAL_REFCNT`).
const BUILT_IN: u64 = 999_999_999;

/// Where an object can begin in its block, in bytes: at the start, after the collector's header, or after
/// that and the two words for the dict and the weak references.
pub const BLOCK_HEADERS: [u64; 3] = [0, GC_HEAD, GC_HEAD + PRE_HEADER];

/// An object's reference count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceCount {
    /// The number of references.
    Counted(u64),
    /// The references are not counted.
    Immortal,
}

impl<M: Memory> Reader<'_, M> {
    /// The reference count of an object.
    ///
    /// # Errors
    /// The memory cannot be read.
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
    /// are not counted, or the memory cannot be read.
    pub fn reference_counter(&self, object: u64) -> Option<(u64, u8)> {
        let count = self.reference_count(object).ok()?;
        (count != ReferenceCount::Immortal)
            .then_some((object, self.layout().object.reference_count))
    }
}

/// Whether the first word of a block can be the reference count of an object to which not very many refer. A free
/// block has zero there, or the address of the next free block.
pub fn can_be_reference_count(word: u64) -> bool {
    let (count, overflow) = (word as u32, (word >> 32) as u16);
    overflow == 0 && ((1..NOT_VERY_MANY).contains(&count) || count >= IMMORTAL)
}

/// Whether the first word of an object shows that it is built into the interpreter, which 3.11 counts references to.
pub fn is_built_in(word: u64) -> bool {
    word.abs_diff(BUILT_IN) < BUILT_IN / 2
}
