//! Whether an object is still the one that it was, seen while the target runs: memory is soon used again.
//!
//! An object that the collector tracks has `PyGC_Head` before it, whose first word is zero while it is in none
//! of the collector's lists: it is being made or undone. A new instance gets its type, then the reference to
//! that is counted, then its own count is set to 1, and only then it is handed to the collector
//! (`_PyObject_Init`, `PyType_GenericAlloc`, 3.8 to 3.15).

use super::reader::Reader;
use super::values::type_of;
use crate::memory::{Memory, ReadError, u64_at};
use crate::python::gc::HEAD_SIZE;
use crate::python::{Python, at};

/// No instance has more references than this; an address is a larger number.
const MOST_REFERENCES: u64 = 1 << 31;
/// The words of nearly all objects are within so many bytes from the collector's header.
const SPAN: usize = 96;

/// What an object was when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its address.
    pub object: u64,
    /// The address of its type.
    pub type_address: u64,
    /// Whether it was in one of the collector's lists.
    pub is_tracked: bool,
}

impl<M: Memory> Reader<'_, M> {
    /// What an object is now; `None` if that cannot be read.
    pub fn identity(&self, object: u64) -> Option<Identity> {
        let info = self.type_of(object).ok()?;
        let is_tracked = info.is_gc && self.memory.u64(object.wrapping_sub(HEAD_SIZE)).ok()? != 0;
        Some(Identity { object, type_address: info.address, is_tracked })
    }
}

impl Python {
    /// A word of an object, of 8 bytes, by its address; `None` if there is another object by now.
    ///
    /// # Errors
    /// The memory cannot be read.
    pub fn word_of<M: Memory>(
        &self,
        memory: &M,
        identity: Identity,
        address: u64,
    ) -> Result<Option<u64>, ReadError> {
        let Identity { object, type_address, is_tracked } = identity;
        let start = if is_tracked { object.wrapping_sub(HEAD_SIZE) } else { object };
        let own_type = at(object, self.layout.object.kind).wrapping_sub(start) as usize;
        let place = address.wrapping_sub(start) as usize;
        let end = place.max(own_type).saturating_add(8);
        let is_near = end <= SPAN;
        let mut buffer = [0; SPAN];
        // Nothing behind the word is read: it may be the last of all memory.
        let length = if is_near { end } else { own_type.saturating_add(8).min(SPAN) };
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        memory.read(start, bytes)?;
        let is_one = u64_at(bytes, own_type) == Some(type_address);
        let is_in_list = !is_tracked || u64_at(bytes, 0) != Some(0);
        if !is_one || !is_in_list {
            return Ok(None);
        }
        match u64_at(bytes, place).filter(|_| is_near) {
            Some(value) => Ok(Some(value)),
            None => memory.u64(address).map(Some),
        }
    }

    /// Whether an object of this class is being made at this address: it is of the class, and the collector
    /// has not been told of it, or, of classes without cycles, nobody else refers to it.
    ///
    /// # Errors
    /// There is no memory.
    pub fn is_new_instance<M: Memory>(
        &self,
        memory: &M,
        object: u64,
        class: u64,
        are_gc: bool,
    ) -> Result<bool, ReadError> {
        let bytes = memory.array::<32>(object.wrapping_sub(HEAD_SIZE))?;
        let head = HEAD_SIZE as usize;
        let is_one = u64_at(&bytes, head + self.layout.object.kind) == Some(class);
        // Up to 3.13 all of a new object is zero; from 3.14 on what its memory was used for before, perhaps
        // the address of a free block, stands in place of its references.
        let references = u64_at(&bytes, head).unwrap_or_default();
        let is_new = match are_gc {
            true => u64_at(&bytes, 0) == Some(0),
            false => references <= 1 || references > MOST_REFERENCES,
        };
        Ok(is_one && is_new)
    }

    /// Whether an instance of a class is at this address. Where it was freed its type is still to be read,
    /// and in place of its references there is nothing, or the address of the next free block.
    pub fn is_instance<M: Memory>(&self, memory: &M, object: u64, class: u64) -> bool {
        let references = memory.u64(object).unwrap_or_default();
        type_of(memory, &self.layout, object) == Ok(class)
            && (1..=MOST_REFERENCES).contains(&references)
    }
}
