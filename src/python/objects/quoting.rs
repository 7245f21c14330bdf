//! Text and bytes as literals of Python, the way `repr` writes them.

use std::fmt::Write;

use crate::python::layout::Printable;

/// Writes text, a code point at a time: lone surrogates are no `char`.
pub(super) fn write_text(code_points: &[u32], printable: Printable, out: &mut String) {
    let has = |quote: char| code_points.contains(&u32::from(quote));
    let quote = quote(has('\''), has('"'));
    out.push(quote);
    for &point in code_points {
        match char::from_u32(point) {
            Some(character) if escape(character, quote, out) => {}
            Some(character) if printable.has(point) => out.push(character),
            _ => write_code(point, out),
        }
    }
    out.push(quote);
}

/// Text that was decoded. The version of Python is not known here: the newest decides what is printable.
pub(super) fn quoted(text: &str) -> String {
    let code_points: Vec<u32> = text.chars().map(u32::from).collect();
    let mut out = String::new();
    write_text(&code_points, Printable::V3_15, &mut out);
    out
}

/// Writes bytes, as `bytes` prints them.
pub(super) fn write_bytes(bytes: &[u8], out: &mut String) {
    let quote = quote(bytes.contains(&b'\''), bytes.contains(&b'"'));
    out.extend(['b', quote]);
    for &byte in bytes {
        match char::from(byte) {
            character if escape(character, quote, out) => {}
            character @ ' '..='~' => out.push(character),
            _ => write_code(byte.into(), out),
        }
    }
    out.push(quote);
}

/// The quote around a literal that has these quotes inside.
fn quote(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

/// Writes a character that has an escape of its own; false if it has none.
fn escape(character: char, quote: char, out: &mut String) -> bool {
    let escaped = match character {
        '\t' => 't',
        '\n' => 'n',
        '\r' => 'r',
        '\\' => '\\',
        character if character == quote => quote,
        _ => return false,
    };
    out.extend(['\\', escaped]);
    true
}

fn write_code(point: u32, out: &mut String) {
    // Writing to a String does not fail.
    let _ = match point {
        0..=0xff => write!(out, r"\x{point:02x}"),
        0x100..=0xffff => write!(out, r"\u{point:04x}"),
        _ => write!(out, r"\U{point:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_in_python() {
        for (text, expected) in [
            ("", "''"),
            ("naïve 名前", "'naïve 名前'"),
            ("it's", "\"it's\""),
            ("\"it's\"", r#"'"it\'s"'"#),
            ("a\tb\r\n\\", r"'a\tb\r\n\\'"),
            ("\u{1}\u{7f}\u{ad}\u{2028}\u{10ffff}", r"'\x01\x7f\xad\u2028\U0010ffff'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_surrogate_alone_is_escaped() {
        let mut out = String::new();
        write_text(&[0x61, 0xdce9, 0x1f40d], Printable::V3_8, &mut out);
        assert_eq!(out, "'a\\udce9🐍'");
    }

    #[test]
    fn bytes_are_quoted_as_in_python() {
        let mut out = String::new();
        write_bytes(b"it's\t\x7f\xe9", &mut out);
        assert_eq!(out, "b\"it's\\t\\x7f\\xe9\"");
    }
}
