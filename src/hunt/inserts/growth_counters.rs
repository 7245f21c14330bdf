//! The word that changes when an object grows, by type of object.
//!
//! A dict has `ma_used`, a set `used`, a list, a deque, a bytearray and an array `ob_size`. A class made by
//! Python code, or any other heap type, has its own `ob_refcnt`, because each instance refers to its type; a
//! function has the `ob_refcnt` of its code, to which each running or suspended call refers. The
//! interpreter's own static types have no such word: they are immortal (from 3.12 on) or do not count their
//! instances (before). Containers of extension modules (multidict, BTrees) count their items as well: there the word is
//! found by its value.

use serde::{Deserialize, Serialize};

use crate::memory::{Memory, ReadError};
use crate::process::breakpoint::{Kind, Spot};
use crate::python::Python;
use crate::python::objects::{Growth, Identity, Reader};

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
    /// Whether that object is in one of the collector's lists. If it was and no longer is, it is being
    /// created or destroyed: its memory is reused.
    pub is_tracked: bool,
}

/// The meaning of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meaning {
    /// The number of items that the object holds.
    Size,
    /// The same, as it seems: the type is unknown, and the word has the value that it should have.
    Items,
    /// References to a class: those of its instances, and others for a moment.
    Instances {
        /// Whether the collector knows the instances.
        are_gc: bool,
    },
    /// References to a code object: those of its calls.
    Calls,
}

impl Word {
    /// The spot for its breakpoint.
    pub(crate) fn spot(&self) -> Spot {
        Spot { address: self.address, kind: Kind::Write { length: self.length } }
    }

    /// Its present value; `None` if another object has taken its object's place.
    pub(crate) fn value<M: Memory>(
        &self,
        memory: &M,
        python: &Python,
    ) -> Result<Option<u64>, ReadError> {
        let &Word { object, kind, is_tracked, .. } = self;
        let identity = Identity { object, type_address: kind, is_tracked };
        let value = python.word_of(memory, identity, self.address)?;
        Ok(value.map(|value| match self.length {
            4 => value & u64::from(u32::MAX),
            _ => value,
        }))
    }
}

/// The word that changes when this object grows; `None` if the object does not grow, or not in a single word.
pub fn growth_word<M: Memory>(reader: Reader<'_, M>, object: u64) -> Option<Word> {
    let counter = |object, meaning| {
        let (address, length) = reader.reference_counter(object)?;
        Some((object, address, length, meaning))
    };
    let (object, address, length, meaning) = match reader.growth(object)? {
        Growth::Size { object, offset } => {
            (object, object.wrapping_add(offset as u64), 8, Meaning::Size)
        }
        Growth::Instances { class, are_gc } => counter(class, Meaning::Instances { are_gc })?,
        Growth::Calls { code } => counter(code, Meaning::Calls)?,
    };
    word(reader, object, address, length, meaning)
}

/// The word by which an object of an unknown type seems to count its items, if it refers to so many objects.
pub fn item_counter<M: Memory>(
    reader: Reader<'_, M>,
    object: u64,
    references: u64,
) -> Option<Word> {
    let (offset, length) = reader.item_counter(object, references)?;
    word(reader, object, object.wrapping_add(offset as u64), length, Meaning::Items)
}

fn word<M: Memory>(
    reader: Reader<'_, M>,
    object: u64,
    address: u64,
    length: u8,
    meaning: Meaning,
) -> Option<Word> {
    if !address.is_multiple_of(length.into()) {
        return None;
    }
    let Identity { type_address: kind, is_tracked, .. } = reader.identity(object)?;
    Some(Word { address, length, meaning, object, kind, is_tracked })
}
