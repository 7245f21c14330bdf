//! The values of strings, byte strings and integers, and the names of types.
//!
//! Relies only on a [`Layout`]. Lengths are bounded before anything is allocated.

use crate::memory::{Memory, PAGE, ReadError, u32_at, u64_at};
use crate::process::text::shown;
use crate::python::at;
use crate::python::layout::Layout;

/// The longest string that is read, in characters: longer ones are cut.
pub const LONGEST_STRING: u64 = 4096;
/// The longest byte string that is read, in bytes: line tables of very large modules.
pub const LONGEST_BYTES: usize = 16 << 20;

/// The most digits of an `int` that are read: some 150 in decimal.
const MOST_DIGITS: u64 = 16;
/// How much to read at first: for most strings this is enough.
const FIRST_READ: usize = 256;

/// The address of an object's type.
pub fn type_of<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Result<u64, ReadError> {
    memory.u64(at(object, layout.object.kind))
}

/// The name of a type, as in `tp_name`.
pub fn type_name<M: Memory>(memory: &M, layout: &Layout, kind: u64) -> Result<String, ReadError> {
    let name = memory.u64(at(kind, layout.types.name))?;
    Ok(String::from_utf8_lossy(&memory.c_string(name, 200)?).into_owned())
}

/// The text of a `str` object, at most [`LONGEST_STRING`] characters of it. Lone surrogates and invalid
/// characters become U+FFFD, and those that stand for a byte become `\xNN`: four
/// characters.
pub fn string<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Result<String, ReadError> {
    let (characters, width) = characters(memory, layout, object)?;
    Ok(decode(&characters, width))
}

/// The code points of a `str` object, at most [`LONGEST_STRING`] of them.
pub(super) fn text<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
) -> Result<Vec<u32>, ReadError> {
    let (characters, width) = characters(memory, layout, object)?;
    Ok(code_points(&characters, width).collect())
}

/// The characters of a `str` object and the bytes of each, 1, 2 or 4.
fn characters<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
) -> Result<(Vec<u8>, u32), ReadError> {
    let layout = &layout.unicode;
    let head = head_of(memory, object, layout.data_pointer.saturating_add(8))?;
    let implausible = |length| ReadError::Implausible { address: object, length };
    let length = u64_at(&head, layout.length).ok_or(implausible(0))?;
    let state = u32_at(&head, layout.state).ok_or(implausible(0))?;
    if length > i64::MAX as u64 {
        return Err(implausible(length));
    }
    let kind = state >> 2 & 7;
    let compact = state >> 5 & 1 == 1;
    let ascii = state >> 6 & 1 == 1;
    if !matches!(kind, 1 | 2 | 4) {
        return Err(implausible(length));
    }
    let size = (length.min(LONGEST_STRING) * u64::from(kind)) as usize;
    let inside = if ascii { layout.ascii_data } else { layout.compact_data };
    let characters = match head.get(inside..inside.saturating_add(size)) {
        Some(characters) if compact => characters.to_vec(),
        _ => {
            let start = if compact {
                at(object, inside)
            } else {
                memory.u64(at(object, layout.data_pointer))?
            };
            memory.bytes(start, size as u64, size)?
        }
    };
    Ok((characters, kind))
}

/// Whether a `str` object is this text, which must be ASCII. One read, and nothing is decoded.
pub fn is_text<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
    text: &str,
) -> Result<bool, ReadError> {
    /// The longest text that is compared, including the head of the object.
    const SPAN: usize = 256;
    let layout = &layout.unicode;
    let mut buffer = [0; SPAN];
    let end = layout.ascii_data.saturating_add(text.len());
    let Some(bytes) = buffer.get_mut(..end) else { return Ok(false) };
    // If this would read past the end of mapped memory, the string is shorter and so a different one.
    memory.read(object, bytes)?;
    let state = u32_at(bytes, layout.state).unwrap_or_default();
    Ok(state >> 5 & 3 == 3
        && u64_at(bytes, layout.length) == Some(text.len() as u64)
        && bytes.ends_with(text.as_bytes()))
}

/// The contents of a `bytes` object.
pub fn bytes<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Result<Vec<u8>, ReadError> {
    let layout = &layout.bytes;
    let head = head_of(memory, object, layout.data)?;
    let length = u64_at(&head, layout.length)
        .ok_or(ReadError::Implausible { address: object, length: 0 })?;
    let end = usize::try_from(length).ok().and_then(|length| layout.data.checked_add(length));
    match end.and_then(|end| head.get(layout.data..end)) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => memory.bytes(at(object, layout.data), length, LONGEST_BYTES),
    }
}

/// The value of an `int` that is not negative and below 2 to the 60; `None` for others.
pub fn small_int<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
) -> Result<Option<u64>, ReadError> {
    let size = memory.u64(at(object, layout.int.size))?;
    let digits = match (layout.int.tagged, size & 7) {
        (false, _) => size,
        (true, 0 | 4) => size >> 3,
        (true, 1 | 5) => 0,
        (true, _) => return Ok(None),
    };
    if digits > 2 {
        return Ok(None);
    }
    from_digits(memory, layout, object, digits).map(Some)
}

/// The value of an `int`.
pub(super) enum Number {
    /// Its digits in base 2 to the 30, the least first.
    Digits { digits: Vec<u32>, is_negative: bool },
    /// It has more digits than are read.
    Long { bits: u64, is_negative: bool },
}

/// Reads an `int`.
pub(super) fn int<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
) -> Result<Number, ReadError> {
    let size = memory.u64(at(object, layout.int.size))?;
    let (count, is_negative) = match layout.int.tagged {
        false => ((size as i64).unsigned_abs(), (size as i64) < 0),
        true if size & 3 == 1 => (0, false),
        true => (size >> 3, size & 3 == 2),
    };
    let first = at(object, layout.int.digits);
    let digit = |index: u64| {
        let value = memory.u32(first.wrapping_add(index.wrapping_mul(4)))?;
        Ok(value & 0x3fff_ffff)
    };
    if count > MOST_DIGITS {
        let bits = 32 - digit(count - 1)?.leading_zeros();
        let bits = (count - 1).saturating_mul(30).saturating_add(bits.into());
        return Ok(Number::Long { bits, is_negative });
    }
    let digits = (0..count).map(digit).collect::<Result<Vec<u32>, ReadError>>()?;
    Ok(Number::Digits { digits, is_negative })
}

/// The magnitude of an `int` of two digits or less.
fn from_digits<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
    digits: u64,
) -> Result<u64, ReadError> {
    let digit = |index: usize| memory.u32(at(object, layout.int.digits + 4 * index));
    let mut value = 0;
    for index in (0..digits as usize).rev() {
        value = value << 30 | u64::from(digit(index)? & 0x3fff_ffff);
    }
    Ok(value)
}

/// The bytes at `object`: at least `least`, and more if its page has more.
fn head_of<M: Memory>(memory: &M, object: u64, least: usize) -> Result<Vec<u8>, ReadError> {
    let to_page_end = (PAGE - object % PAGE) as usize;
    let mut head = vec![0; FIRST_READ.min(to_page_end).max(least)];
    memory.read(object, &mut head)?;
    Ok(head)
}

/// The code points of characters of so many bytes each.
fn code_points(characters: &[u8], width: u32) -> impl Iterator<Item = u32> {
    let value =
        |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
    characters.chunks_exact(width.max(1) as usize).map(value)
}

fn decode(characters: &[u8], width: u32) -> String {
    let mut text = String::with_capacity(characters.len() / width.max(1) as usize);
    for value in code_points(characters, width) {
        match value {
            // How Python keeps bytes of names that are no characters (its error handler "surrogateescape").
            0xdc80..=0xdcff => text.push_str(&shown(&[(value & 0xff) as u8])),
            _ => text.push(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_string_is_decoded() {
        assert_eq!(decode(b"caf\xe9", 1), "café");
        assert_eq!(decode(&[0xac, 0x20, 0x00, 0xd8], 2), "€\u{fffd}");
        assert_eq!(decode(&[0x0d, 0xf4, 0x01, 0, 0xff, 0xff, 0xff, 0xff], 4), "\u{1f40d}\u{fffd}");
        assert_eq!(decode(&[0x41, 0x00, 0x42], 2), "A");
        assert_eq!(decode(&[0x41, 0x00, 0xe9, 0xdc], 2), r"A\xe9");
    }
}
