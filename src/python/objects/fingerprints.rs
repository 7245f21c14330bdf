//! What tells the value of an object that never changes it: equal fingerprints of two objects say that their
//! values are likely equal, different ones that they are not.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use crate::memory::{Memory, u32_at, u64_at};
use crate::python::at;
use crate::python::layout::Layout;

/// Bytes of a long value that count, at its beginning and as many at its end.
const SPAN: u64 = 64;
/// No value is longer.
const LONGEST: u64 = 1 << 40;
/// Of a longer one the end may not have been captured.
const WHOLE: u64 = 1 << 16;
/// `ob_fval` of a float, `cval` of a complex number: behind `ob_refcnt` and `ob_type`.
const NUMBER: u64 = 16;

/// Where objects of a type have their value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// A `str`.
    Text,
    /// `bytes`.
    Bytes,
    /// An `int`: its size and its digits.
    Int,
    /// So many bytes.
    Number(u64),
}

impl ValueForm {
    /// That of a type whose objects are fixed in value and refer to nothing; `None` for others.
    pub fn of(info: &TypeInfo) -> Option<ValueForm> {
        if info.made_in_python || !info.is_leaf() {
            return None;
        }
        match (&*info.name, info.body) {
            (_, Body::Str) => Some(ValueForm::Text),
            ("int", _) => Some(ValueForm::Int),
            ("bytes", _) => Some(ValueForm::Bytes),
            ("float", _) => Some(ValueForm::Number(8)),
            ("complex", _) => Some(ValueForm::Number(16)),
            _ => None,
        }
    }
}

impl<M: Memory> Reader<'_, M> {
    /// The fingerprint of the object of this form at an address, never 0; `None` where it cannot be read. A
    /// string's cached hash and its encoded copy do not count: they come later.
    pub fn fingerprint(&self, object: u64, form: ValueForm) -> Option<u64> {
        let (memory, layout) = (self.memory, &*self.types.context.layout);
        let (start, length) = match form {
            ValueForm::Text => text(memory, layout, object)?,
            ValueForm::Bytes => {
                let length = memory.u64(at(object, layout.bytes.length)).ok()?;
                (at(object, layout.bytes.data), length)
            }
            ValueForm::Int => int(memory, layout, object)?,
            ValueForm::Number(length) => (object.wrapping_add(NUMBER), length),
        };
        let mut hasher = FxHasher::default();
        hasher.write_u64(length);
        let head = length.min(SPAN);
        self.hash_bytes(start, head, &mut hasher)?;
        if length > SPAN && length <= WHOLE {
            let tail = (length - SPAN).min(SPAN);
            self.hash_bytes(start.wrapping_add(length - tail), tail, &mut hasher)?;
        }
        Some(hasher.finish().max(1))
    }

    /// Hashes no more than a span of bytes.
    fn hash_bytes(&self, start: u64, length: u64, hasher: &mut FxHasher) -> Option<()> {
        match self.memory.lend(start, length as usize) {
            Some(bytes) => hasher.write(bytes),
            // A part of it was not captured.
            None => hasher.write(&self.memory.bytes(start, length, SPAN as usize).ok()?),
        }
        Some(())
    }
}

/// Where the characters of a string are, and how many bytes.
pub(super) fn text<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Option<(u64, u64)> {
    let layout = &layout.unicode;
    let head = memory.lend(object, layout.ascii_data)?;
    let (length, state) = (u64_at(head, layout.length)?, u32_at(head, layout.state)?);
    let (width, is_compact, is_ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
    let start = match (is_compact, is_ascii) {
        (true, true) => at(object, layout.ascii_data),
        (true, false) => at(object, layout.compact_data),
        (false, _) => memory.u64(at(object, layout.data_pointer)).ok()?,
    };
    Some((start, length.checked_mul(width.into()).filter(|&length| length < LONGEST)?))
}

/// Where the size and the digits of an integer are: its size says how many there are.
pub(super) fn int<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Option<(u64, u64)> {
    let size = memory.u64(at(object, layout.int.size)).ok()?;
    let digits = match layout.int.tagged {
        true => size >> 3,
        false => (size as i64).unsigned_abs(),
    };
    // A digit takes four bytes; the size stands before them.
    let length = digits.checked_mul(4).filter(|&length| length < LONGEST)?;
    Some((at(object, layout.int.size), length + 8))
}
