//! From an instruction to its line: the three formats of line tables in code objects.
//!
//! Each function here returns what `frame.f_lineno` would: the line for the byte offset of an instruction, or
//! `None` where the table has no line. Tables come from the target and may contain anything; every function
//! stops at the table's end.

use super::layout::LineFormat;

/// The line of the instruction at byte `offset` of code that begins at line `first`.
pub fn line_at(format: LineFormat, table: &[u8], first: i32, offset: i32) -> Option<u32> {
    // A frame that has not run its first instruction is at the line of its `def`.
    let line = if offset < 0 {
        Some(first)
    } else {
        match format {
            LineFormat::Lnotab => Some(lnotab(table, first, offset)),
            LineFormat::Ranges => ranges(table, first, offset),
            LineFormat::Locations => locations(table, first, offset),
        }
    };
    line.and_then(|line| u32::try_from(line).ok())
}

/// `co_lnotab` (up to 3.9): pairs of a bytecode increment and a signed line increment.
fn lnotab(table: &[u8], first: i32, offset: i32) -> i32 {
    let mut address = 0_i32;
    let mut line = first;
    for pair in table.chunks_exact(2) {
        address = address.saturating_add(pair[0].into());
        if address > offset {
            break;
        }
        line = line.wrapping_add((pair[1] as i8).into());
    }
    line
}

/// `co_linetable` of 3.10 (PEP 626): pairs of a bytecode length and a signed line increment, where -128 means
/// that these instructions have no line.
fn ranges(table: &[u8], first: i32, offset: i32) -> Option<i32> {
    let mut end = 0_i32;
    let mut line = first;
    for pair in table.chunks_exact(2) {
        end = end.saturating_add(pair[0].into());
        let step = pair[1] as i8;
        if step != i8::MIN {
            line = line.wrapping_add(step.into());
        }
        if offset < end {
            return (step != i8::MIN).then_some(line);
        }
    }
    None
}

/// An entry of `co_linetable` from 3.11 on.
struct Location<'a> {
    /// How the rest of it is written.
    kind: u8,
    /// The first of its lines.
    line: i32,
    /// The bytes behind its head.
    rest: &'a [u8],
}

/// The entry of the instruction at byte `offset`, in `co_linetable` from 3.11 on (PEP 657, `Objects/locations.md`):
/// entries begin with a byte whose top bit is set; it holds a kind and a length in two-byte instructions.
fn location(table: &[u8], first: i32, offset: i32) -> Option<Location<'_>> {
    let mut end = 0_i32;
    let mut line = first;
    let mut left = table;
    while let Some((&head, rest)) = left.split_first() {
        let kind = head >> 3 & 15;
        line = line.wrapping_add(line_step(kind, rest));
        end = end.saturating_add((i32::from(head & 7) + 1) * 2);
        if offset < end {
            return Some(Location { kind, line, rest });
        }
        let entry = rest.iter().position(|&byte| byte & 0x80 != 0).unwrap_or(rest.len());
        left = rest.get(entry..)?;
    }
    None
}

/// The line, unless the instruction has none.
fn locations(table: &[u8], first: i32, offset: i32) -> Option<i32> {
    let found = location(table, first, offset)?;
    (found.kind != 15).then_some(found.line)
}

/// Which part of its lines an instruction stands for, as `code.co_positions` says: the last of its lines, and the
/// columns at which it begins and ends, in bytes of UTF-8 from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Columns {
    /// The last line.
    pub end_line: u32,
    /// Where it begins, in its first line.
    pub start: u32,
    /// Where it ends, in its last line.
    pub end: u32,
}

/// The columns of the instruction at byte `offset` of code that begins at line `first`; only `co_linetable` from 3.11
/// on has them, and not of all instructions.
pub fn columns_at(format: LineFormat, table: &[u8], first: i32, offset: i32) -> Option<Columns> {
    if format != LineFormat::Locations || offset < 0 {
        return None;
    }
    let Location { kind, line, rest } = location(table, first, offset)?;
    columns_of_entry(kind, line, rest)
}

/// The columns of an entry whose first byte says its kind.
fn columns_of_entry(kind: u8, line: i32, entry: &[u8]) -> Option<Columns> {
    let byte = |at: usize| entry.get(at).map(|&byte| u32::from(byte));
    let (end_line, start, end) = match kind {
        0..=9 => {
            let second = byte(0)?;
            let start = u32::from(kind) << 3 | second >> 4;
            (line, start, start + (second & 15))
        }
        10..=12 => (line, byte(0)?, byte(1)?),
        14 => {
            let (_, rest) = varint(entry)?;
            let (lines, rest) = varint(rest)?;
            let (start, rest) = varint(rest)?;
            let (end, _) = varint(rest)?;
            // One more than the column; 0 means that it is not known.
            (line.wrapping_add(lines as i32), start.checked_sub(1)?, end.checked_sub(1)?)
        }
        _ => return None,
    };
    Some(Columns { end_line: end_line.try_into().ok()?, start, end })
}

/// How many lines further an entry is than the one before it.
fn line_step(kind: u8, entry: &[u8]) -> i32 {
    match kind {
        13 | 14 => signed_varint(entry),
        10..=12 => i32::from(kind) - 10,
        _ => 0,
    }
}

/// A number of six bits a byte, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u32;
    for (index, &byte) in bytes.iter().enumerate().take(6) {
        value |= u32::from(byte & 63).wrapping_shl(6 * index as u32);
        if byte & 64 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Six bits a byte, lowest first, bit 6 set where more follow; the lowest bit of all is the sign.
fn signed_varint(bytes: &[u8]) -> i32 {
    let mut value = 0_u32;
    for (index, &byte) in bytes.iter().enumerate().take(6) {
        value |= u32::from(byte & 63).wrapping_shl(6 * index as u32);
        if byte & 64 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1) as i32;
    if value & 1 == 1 { magnitude.wrapping_neg() } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lnotab_steps_backwards_too() {
        let table = [6, 1, 8, 0xff, 4, 5];
        let line = |offset| line_at(LineFormat::Lnotab, &table, 10, offset);
        assert_eq!(line(-1), Some(10));
        assert_eq!(line(0), Some(10));
        assert_eq!(line(6), Some(11));
        assert_eq!(line(14), Some(10));
        assert_eq!(line(100), Some(15));
    }

    #[test]
    fn ranges_can_be_without_a_line() {
        let table = [4, 1, 2, 0x80, 2, 2];
        let line = |offset| line_at(LineFormat::Ranges, &table, 10, offset);
        assert_eq!(line(0), Some(11));
        assert_eq!(line(4), None);
        assert_eq!(line(6), Some(13));
        assert_eq!(line(8), None);
    }

    #[test]
    fn locations_take_signed_steps() {
        // RESUME with a line increment of 0; two instructions on the next line; one without a line; one in
        // the long form that goes back 70 lines.
        let table = [0x80, 0x05, 0xd9, 0x01, 0x02, 0xf8, 0xe8, 0x4d, 0x02];
        let line = |offset| line_at(LineFormat::Locations, &table, 100, offset);
        assert_eq!(line(0), Some(100));
        assert_eq!(line(2), Some(101));
        assert_eq!(line(4), Some(101));
        assert_eq!(line(6), None);
        assert_eq!(line(8), Some(101 - 70));
        assert_eq!(line(10), None);
    }

    #[test]
    fn columns_are_in_three_forms() {
        // Columns 4 to 14 in the short form, two lines further 8 to 200, and the long form over three lines.
        let table = [0x80, 0x4a, 0xe0, 0x08, 0x48, 0xf0, 0x00, 0x02, 0x05, 0x0b];
        let columns = |offset| columns_at(LineFormat::Locations, &table, 10, offset);
        assert_eq!(columns(0), Some(Columns { end_line: 10, start: 4, end: 14 }));
        assert_eq!(columns(2), Some(Columns { end_line: 12, start: 8, end: 72 }));
        assert_eq!(columns(4), Some(Columns { end_line: 14, start: 4, end: 10 }));
        assert_eq!(columns(6), None);
        assert_eq!(columns_at(LineFormat::Ranges, &table, 10, 0), None);
    }

    proptest! {
        #[test]
        fn no_table_is_too_strange(
            table in proptest::collection::vec(any::<u8>(), 0..300),
            first: i32,
            offset: i32,
        ) {
            for format in [LineFormat::Lnotab, LineFormat::Ranges, LineFormat::Locations] {
                line_at(format, &table, first, offset);
                columns_at(format, &table, first, offset);
            }
        }
    }
}
