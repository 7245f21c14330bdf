//! The word that changes when an object grows, by what the object is.
//!
//! A dict has `ma_used`, a set `used`, a list, a deque, a bytearray and an array `ob_size`. Of a class
//! made by Python code or of any other heap type it is the type's own `ob_refcnt`, for each instance
//! refers to its type; of a function, that of its code, to which each running or suspended call
//! refers. The interpreter's own static types are immortal (from 3.12 on) or do not count their
//! instances (before), so they have no such word.

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::python::objects::{Decoder, Growth, type_of};
use crate::python::{Python, at};

/// Bytes from the collector's header to its object: `_gc_next` is its first word, and is zero while the
/// object is not in one of the collector's lists.
pub(super) const GC_HEAD: u64 = 16;

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

/// The word that changes when this object grows; `None` for one that does not grow, or not in one word.
pub fn growth_word<M: Memory>(
    memory: &M,
    python: &Python,
    decoder: &mut Decoder,
    object: u64,
) -> Option<Word> {
    let layout = &python.layout;
    let (object, offset, length, meaning) = match decoder.growth(memory, object)? {
        Growth::Size { object, offset } => (object, offset, 8, Meaning::Size),
        Growth::Instances { class, are_gc } => {
            (class, 0, layout.object.reference_count, Meaning::Instances { are_gc })
        }
        Growth::Calls { code } => (code, 0, layout.object.reference_count, Meaning::Calls),
    };
    let address = at(object, offset);
    // Immortal objects are not counted (from 3.12 on, where half a word counts).
    if length == 4 && memory.i32(address).ok()? < 0 || !address.is_multiple_of(length.into()) {
        return None;
    }
    let kind = type_of(memory, layout, object).ok()?;
    let id = decoder.type_at(memory, kind).ok()?;
    let is_gc = decoder.kind(id)?.is_gc;
    let is_tracked = is_gc && memory.u64(object.wrapping_sub(GC_HEAD)).ok()? != 0;
    Some(Word { address, length, meaning, object, kind, is_tracked })
}
