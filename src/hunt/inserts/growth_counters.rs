//! The word that changes when an object grows, by what the object is.
//!
//! A dict has `ma_used`, a set `used`, a list, a deque, a bytearray and an array `ob_size`. Of a class
//! made by Python code or of any other heap type it is the type's own `ob_refcnt`, for each instance
//! refers to its type; of a function, that of its code, to which each running or suspended call
//! refers. The interpreter's own static types are immortal (from 3.12 on) or do not count their
//! instances (before), so they have no such word.

use serde::{Deserialize, Serialize};

use crate::memory::{Memory, ReadError, u64_at};
use crate::process::breakpoint::{Kind, Spot};
use crate::python::layout::Layout;
use crate::python::objects::{Growth, Reader};
use crate::python::{Python, at};

/// Bytes from the collector's header to its object: `_gc_next` is its first word, and is zero while the
/// object is not in one of the collector's lists.
pub(crate) const GC_HEAD: u64 = 16;

/// A word that changes when an object grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Its address.
    pub address: u64,
    /// Its length, 4 or 8 bytes; it is aligned.
    pub length: u8,
    /// What it counts.
    pub meaning: Meaning,
    /// The object that it is part of.
    pub object: u64,
    /// The type of that object.
    pub kind: u64,
    /// Whether that object is in one of the collector's lists. One that was and is no more is being
    /// made or undone: its memory is used again.
    pub is_tracked: bool,
}

/// What a word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meaning {
    /// What the object holds.
    Size,
    /// References to a class, which its instances have, and others for a moment.
    Instances {
        /// Whether the collector knows the instances.
        are_gc: bool,
    },
    /// References to a code object, which its calls have.
    Calls,
}

impl Word {
    /// Where it is watched.
    pub(crate) fn spot(&self) -> Spot {
        Spot { address: self.address, kind: Kind::Write { length: self.length } }
    }

    /// Its value now; `None` if its object is another by now.
    pub(crate) fn value<M: Memory>(
        &self,
        memory: &M,
        layout: &Layout,
    ) -> Result<Option<u64>, ReadError> {
        /// The words of nearly all objects are within so many bytes from the collector's header.
        const SPAN: usize = 96;
        let start = match self.is_tracked {
            true => self.object.wrapping_sub(GC_HEAD),
            false => self.object,
        };
        let kind = at(self.object, layout.object.kind).wrapping_sub(start) as usize;
        let place = self.address.wrapping_sub(start) as usize;
        let end = place.max(kind).saturating_add(8);
        let is_near = end <= SPAN;
        let mut buffer = [0; SPAN];
        // Nothing behind the word is read: it may be the last of all memory.
        let bytes = &mut buffer[..if is_near { end } else { kind.saturating_add(8).min(SPAN) }];
        memory.read(start, bytes)?;
        let is_one = u64_at(bytes, kind) == Some(self.kind);
        let is_tracked = !self.is_tracked || u64_at(bytes, 0) != Some(0);
        if !is_one || !is_tracked {
            return Ok(None);
        }
        let value = match u64_at(bytes, place).filter(|_| is_near) {
            Some(value) => value,
            None => memory.u64(self.address)?,
        };
        Ok(Some(if self.length == 4 { value & u64::from(u32::MAX) } else { value }))
    }
}

/// The word that changes when this object grows; `None` for one that does not grow, or not in one word.
pub fn growth_word<M: Memory>(reader: Reader<'_, M>, python: &Python, object: u64) -> Option<Word> {
    let (memory, layout) = (reader.memory(), &python.layout);
    let (object, offset, length, meaning) = match reader.growth(object)? {
        Growth::Size { object, offset } => (object, offset, 8, Meaning::Size),
        Growth::Instances { class, are_gc } => {
            (class, 0, layout.object.reference_count, Meaning::Instances { are_gc })
        }
        Growth::Calls { code } => (code, 0, layout.object.reference_count, Meaning::Calls),
    };
    let address = at(object, offset);
    // Immortal objects are not counted (from 3.12 on, where half a word counts).
    let is_immortal = length == 4 && memory.i32(address).ok()? < 0;
    if is_immortal || !address.is_multiple_of(length.into()) {
        return None;
    }
    let info = reader.type_of(object).ok()?;
    let is_tracked = info.is_gc && memory.u64(object.wrapping_sub(GC_HEAD)).ok()? != 0;
    Some(Word { address, length, meaning, object, kind: info.address, is_tracked })
}
