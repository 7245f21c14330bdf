//! What a value consists of: the bytes that make two values equal, and a hash of them.
//!
//! Values are immutable objects of the built-in types, and arrays of numbers. A large buffer may lie outside a
//! capture: it is then read from the process itself.

use std::hash::Hasher;

use xxhash_rust::xxh3::Xxh3;

use super::buffers::numpy;
use super::fingerprints::{ValueForm, int, text};
use super::reader::Reader;
use super::type_info::{Body, Place, TypeInfo};
use super::view::each;
use crate::memory::{Memory, ReadError};
use crate::process::Target;
use crate::python::at;

/// How many bytes are hashed at a time where they are not lent.
const PIECE: usize = 1 << 16;
/// The longest value that is hashed, in bytes.
const LONGEST: u64 = 1 << 36;
/// `ob_item` of an `arrayobject`.
const ARRAY_ITEMS: usize = 24;

/// What makes two values of a type equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Their bytes.
    Bytes(ValueForm),
    /// Their items, in order.
    Items,
    /// Their elements, in any order.
    Elements,
    /// The numbers of an `array.array`.
    Array,
    /// The numbers of a `numpy.ndarray`, which owns them.
    NdArray,
}

impl Contents {
    /// Whether it is text, bytes, or has several items.
    pub fn is_more_than_a_number(self) -> bool {
        !matches!(self, Contents::Bytes(ValueForm::Int | ValueForm::Number(_)))
    }
}

/// A value's bytes, and what else tells it from others: its width, item type or shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where they begin.
    pub start: u64,
    /// How many there are.
    pub length: u64,
    /// What they mean.
    pub meaning: u64,
}

impl TypeInfo {
    /// What makes two of its objects equal; `None` for a type whose objects are not values.
    pub fn contents(&self) -> Option<Contents> {
        if let Some(form) = ValueForm::of(self) {
            return Some(Contents::Bytes(form));
        }
        // A subclass without attributes, such as a named tuple, adds nothing to the value.
        let is_bare = self.attributes == Place::Nowhere && self.slots.is_empty();
        match self.body {
            Body::Tuple if is_bare => Some(Contents::Items),
            Body::Set if self.name == "frozenset" && !self.made_in_python => {
                Some(Contents::Elements)
            }
            Body::NumberArray if !self.made_in_python => Some(Contents::Array),
            Body::NdArray if !self.made_in_python => Some(Contents::NdArray),
            _ => None,
        }
    }
}

impl<M: Memory> Reader<'_, M> {
    /// The bytes of a value; `None` for one that consists of objects, and for an array that has none.
    pub fn span(&self, object: u64, contents: Contents) -> Option<Span> {
        let layout = self.layout();
        match contents {
            Contents::Items | Contents::Elements => None,
            Contents::Bytes(form) => {
                let (start, length) = match form {
                    ValueForm::Text => text(self.memory, layout, object)?,
                    ValueForm::Bytes => {
                        let length = self.memory.u64(at(object, layout.bytes.length)).ok()?;
                        (at(object, layout.bytes.data), length)
                    }
                    ValueForm::Int => int(self.memory, layout, object)?,
                    ValueForm::Number(length) => (at(object, layout.object.size), length),
                };
                let meaning = match form {
                    // Text of equal bytes differs if its characters are wider.
                    ValueForm::Text => {
                        u64::from(self.memory.u32(at(object, layout.unicode.state)).ok()? >> 2 & 7)
                    }
                    _ => 0,
                };
                Some(Span { start, length, meaning })
            }
            Contents::Array => {
                let array = &layout.objects.array;
                let descriptor = self.memory.u64(at(object, array.descriptor)).ok()?;
                let size = self.memory.u32(at(descriptor, array.item_size)).ok()?;
                let count = self.memory.u64(at(object, layout.object.size)).ok()?;
                let start = self.memory.u64(at(object, ARRAY_ITEMS)).ok()?;
                let length = count.checked_mul(size.into())?;
                Some(Span { start, length, meaning: descriptor })
            }
            Contents::NdArray => {
                let facts = numpy::read(self.memory, object, self.types.context.extent).ok()?;
                if !facts.owns_data || facts.has_objects() {
                    return None;
                }
                let mut hasher = Xxh3::new();
                hasher.write_u64(facts.descriptor);
                let extent = self.types.context.extent;
                each(self.memory, facts.shape, facts.dimensions, extent, |_, [length]| {
                    hasher.write_u64(length);
                })
                .ok()?;
                let length = facts.count.checked_mul(facts.item_size)?;
                Some(Span { start: facts.data, length, meaning: hasher.finish() })
            }
        }
    }

    /// A hash of a value's bytes, never 0. What this memory does not have is read in `beyond`; `None` if it
    /// is not there either.
    pub fn hash(&self, span: Span, beyond: &dyn Target) -> Option<u64> {
        let mut hasher = Xxh3::new();
        hasher.write_u64(span.length);
        hasher.write_u64(span.meaning);
        self.pieces(span, beyond, |bytes| hasher.update(bytes)).ok()?;
        Some(hasher.finish().max(1))
    }

    /// Passes a value's bytes on, piece by piece; each but the last has a whole number of 64-bit items.
    pub(super) fn pieces(
        &self,
        span: Span,
        beyond: &dyn Target,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let Span { start, length, .. } = span;
        let implausible = ReadError::Implausible { address: start, length };
        let whole =
            usize::try_from(length).ok().filter(|_| length <= LONGEST).ok_or(implausible)?;
        if let Some(bytes) = self.memory.lend(start, whole) {
            take(bytes);
            return Ok(());
        }
        let mut buffer = vec![0; whole.min(PIECE)];
        let (mut next, mut rest) = (start, whole);
        while rest > 0 {
            let piece = buffer.get_mut(..rest.min(PIECE)).unwrap_or_default();
            if self.memory.read(next, piece).is_err() {
                beyond.read(next, piece)?;
            }
            take(piece);
            next = next.wrapping_add(piece.len() as u64);
            rest = rest.saturating_sub(piece.len().max(1));
        }
        Ok(())
    }
}
