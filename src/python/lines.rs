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

/// `co_linetable` from 3.11 on (PEP 657, `Objects/locations.md`): entries that begin with a byte whose top
/// bit is set; it holds a kind and a length in two-byte instructions.
fn locations(table: &[u8], first: i32, offset: i32) -> Option<i32> {
    let mut end = 0_i32;
    let mut line = first;
    let mut rest = table;
    while let Some((&head, after)) = rest.split_first() {
        let kind = head >> 3 & 15;
        let step = match kind {
            13 | 14 => signed_varint(after),
            10..=12 => i32::from(kind) - 10,
            _ => 0,
        };
        line = line.wrapping_add(step);
        end = end.saturating_add((i32::from(head & 7) + 1) * 2);
        if offset < end {
            return (kind != 15).then_some(line);
        }
        let entry = after.iter().position(|&byte| byte & 0x80 != 0).unwrap_or(after.len());
        rest = after.get(entry..)?;
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

    proptest! {
        #[test]
        fn no_table_is_too_strange(
            table in proptest::collection::vec(any::<u8>(), 0..300),
            first: i32,
            offset: i32,
        ) {
            for format in [LineFormat::Lnotab, LineFormat::Ranges, LineFormat::Locations] {
                line_at(format, &table, first, offset);
            }
        }
    }
}
