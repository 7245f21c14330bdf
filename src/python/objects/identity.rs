//! Whether an object is still the same one while the target runs: memory is soon reused.
//!
//! An object that the collector tracks has `PyGC_Head` before it, whose first word is zero while the object
//! is in none of the collector's lists, because it is being created or destroyed. A new instance gets its
//! type, then the reference to the type is counted, then the instance's own count is set to 1, and only then
//! is it handed to the collector (`_PyObject_Init`, `PyType_GenericAlloc`, 3.8 to 3.15).

use super::reader::Reader;
use super::values::type_of;
use crate::memory::{Memory, ReadError, u64_at};
use crate::python::gc::HEAD_SIZE;
use crate::python::{Python, at};

/// The most references that an instance can plausibly have; an address is a larger number.
const MOST_REFERENCES: u64 = 1 << 31;
/// The word is nearly always within this many bytes from the collector's header.
const SPAN: usize = 96;

/// What identifies an object, as read when it was found.
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
    /// The current identity of an object; `None` if it cannot be read.
    pub fn identity(&self, object: u64) -> Option<Identity> {
        let info = self.type_of(object).ok()?;
        let is_tracked = info.is_gc && self.memory.u64(object.wrapping_sub(HEAD_SIZE)).ok()? != 0;
        Some(Identity { object, type_address: info.address, is_tracked })
    }
}

impl Python {
    /// An 8-byte word of an object, by its address; `None` if another object is there now.
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
        // Nothing after the word is read: the memory may end there.
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

    /// Whether an object of this class is being created at this address: it has the class, and it has not
    /// been handed to the collector or, for a class that the collector does not track, at most one reference
    /// to it is counted.
    ///
    /// # Errors
    /// The memory cannot be read.
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
        // Up to 3.13 a new object is all zero; from 3.14 on the place of its reference count still has what
        // the memory held before, perhaps the address of a free block.
        let references = u64_at(&bytes, head).unwrap_or_default();
        let is_new = match are_gc {
            true => u64_at(&bytes, 0) == Some(0),
            false => references <= 1 || references > MOST_REFERENCES,
        };
        Ok(is_one && is_new)
    }

    /// Whether an instance of a class is at this address. A freed instance still has its type, but in place
    /// of its reference count there is zero or the address of the next free block.
    pub fn is_instance<M: Memory>(&self, memory: &M, object: u64, class: u64) -> bool {
        let references = memory.u64(object).unwrap_or_default();
        type_of(memory, &self.layout, object) == Ok(class)
            && (1..=MOST_REFERENCES).contains(&references)
    }
}
