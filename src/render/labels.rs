//! The labels of frames, roots and kinds of allocation.
//!
//! Names come from the target and may contain anything: the separators of the folded form, newlines,
//! characters that XML forbids. They are written as in a Python string literal (`\n`, `\x3b`), with the
//! backslash doubled, so that the original can be recovered, but for that of a byte (`\xe9`) that was no
//! character where the name came from ([`text`](crate::process::text)).

use std::fmt::Write;

use super::Paths;
use crate::profile::Stack;
use crate::python::{Frame, Origin, short_path};

/// The label for stacks without a Python function.
pub const NO_FRAME: &str = "(no Python frame)";

/// The kind of a label, which determines its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process or a thread, or the remark that there is no Python frame.
    Root,
    /// A function of the program itself.
    Program,
    /// A function of an installed package.
    Package,
    /// A function of the standard library.
    Library,
    /// A kind of allocation.
    Allocation,
    /// Live objects, and how they are held.
    Holder,
}

/// One box of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its text: one line, never empty, without `;`.
    pub text: String,
    /// Its kind.
    pub kind: Kind,
}

/// The labels of `stack`, outermost first, at least one. The last one does not end in a number after a blank,
/// which would be read as the stack's count.
pub fn of_stack(stack: &Stack, paths: Paths) -> Vec<Label> {
    let mut labels = Vec::with_capacity(stack.roots.len() + stack.frames.len() + 1);
    labels.extend(stack.roots.iter().map(|root| Label { text: escape(root), kind: Kind::Root }));
    if stack.frames.is_empty() && stack.path.is_empty() {
        labels.push(Label { text: NO_FRAME.into(), kind: Kind::Root });
    }
    labels.extend(stack.frames.iter().rev().map(|frame| Label {
        text: of_frame(frame, paths),
        kind: kind(Origin::of(&frame.file).0),
    }));
    labels.extend(
        stack.path.iter().map(|part| Label { text: of_holder(part, paths), kind: Kind::Holder }),
    );
    labels
        .extend(stack.leaf.iter().map(|leaf| Label { text: escape(leaf), kind: Kind::Allocation }));
    if let Some(last) = labels.last_mut()
        && let Some((start, end)) = last.text.rsplit_once(' ')
        && end.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        last.text = format!(r"{start}\x20{end}");
    }
    labels
}

/// A frame as `function (file.py:12)`.
pub fn of_frame(frame: &Frame, paths: Paths) -> String {
    let function = escape(&frame.function);
    let file = escape(path(&frame.file, paths));
    match frame.line {
        Some(line) => format!("{function} ({file}:{line})"),
        None => format!("{function} ({file})"),
    }
}

/// Objects of a kind, and the function that they are or run: `coroutine fetch (app/client.py:12)`.
pub fn of_kind(kind: &str, function: Option<&Frame>) -> String {
    let kind = printable(kind);
    match function {
        Some(function) => format!("{kind} {}", of_frame(function, Paths::Short)),
        None => kind,
    }
}

/// What holds objects, in words: with the files of the functions named there as `paths` asks for.
pub fn of_holder(words: &str, paths: Paths) -> String {
    match paths {
        Paths::Short => escape(&short_places(words)),
        Paths::Full => escape(words),
    }
}

/// A path of references in words, with the files of the functions on it shortened: `local hub of main
/// (/srv/chat/app.py:9)`.
pub fn short_places(words: &str) -> String {
    let mut rest = words;
    let mut shortened = String::with_capacity(words.len());
    while let Some((before, after)) = rest.split_once(" (") {
        let start = before.len() + 2;
        let end = start + after.find(')').unwrap_or(after.len());
        shortened.push_str(rest.get(..start).unwrap_or_default());
        let place = rest.get(start..end).unwrap_or_default();
        let line = place.rsplit_once(':').map(|(_, line)| line.parse::<u32>());
        shortened.push_str(if matches!(line, Some(Ok(_))) { short_path(place) } else { place });
        rest = rest.get(end..).unwrap_or_default();
    }
    shortened.push_str(rest);
    shortened
}

/// The part of `file` that `paths` asks for.
pub fn path(file: &str, paths: Paths) -> &str {
    match paths {
        Paths::Short => short_path(file),
        Paths::Full => file,
    }
}

fn kind(origin: Origin) -> Kind {
    match origin {
        Origin::Program => Kind::Program,
        Origin::Package => Kind::Package,
        Origin::Library => Kind::Library,
    }
}

/// `text` in one line of characters that every form can contain.
pub fn printable(text: &str) -> String {
    escape_where(text, |_, character| character == '\\')
}

/// Python code in one line, such as a value or a path with keys: [`printable`], but with a backslash as it is,
/// because there it is part of an escape already.
pub fn printable_code(text: &str) -> String {
    escape_where(text, |_, _| false)
}

/// `text` as a label of a folded stack: [`printable`], never empty, and without characters that have a
/// meaning in that form: `;` between labels, blanks at an end, `#` at the start of a line.
pub fn escape(text: &str) -> String {
    if text.is_empty() {
        return "(unnamed)".into();
    }
    let last = text.char_indices().next_back().map(|(at, _)| at);
    escape_where(text, |at, character| match character {
        ';' | '\\' => true,
        '#' => at == 0,
        _ => character.is_whitespace() && (at == 0 || Some(at) == last),
    })
}

/// Writes control characters, line separators and those that `also` selects (by position and
/// character) as in a Python string literal.
fn escape_where(text: &str, also: impl Fn(usize, char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let separates = matches!(character, '\u{2028}' | '\u{2029}');
        // They would make the rest of a line read backwards.
        let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let unknown_to_xml = matches!(character, '\u{fffe}' | '\u{ffff}');
        match character {
            // A byte that is no character was written so where it came from (`process::text`).
            '\\' if text.get(at..).is_some_and(is_byte) => escaped.push('\\'),
            '\\' if also(at, character) => escaped.push_str(r"\\"),
            '\\' => escaped.push('\\'),
            '\n' => escaped.push_str(r"\n"),
            '\r' => escaped.push_str(r"\r"),
            '\t' => escaped.push_str(r"\t"),
            _ if character.is_control()
                || separates
                || turns
                || unknown_to_xml
                || also(at, character) =>
            {
                let code = u32::from(character);
                // Writing to a String does not fail.
                let _ = match code {
                    0..=0xff => write!(escaped, r"\x{code:02x}"),
                    0x100..=0xffff => write!(escaped, r"\u{code:04x}"),
                    _ => write!(escaped, r"\U{code:08x}"),
                };
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Whether a text begins with a byte from 0x80 on, as `\xe9`.
fn is_byte(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'\\', b'x', b'8'..=b'9' | b'a'..=b'f', b'0'..=b'9' | b'a'..=b'f', ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_function_file_and_line() {
        let mut frame = Frame::new("View.get", "/srv/shop/app/views.py", Some(12));
        assert_eq!(of_frame(&frame, Paths::Short), "View.get (app/views.py:12)");
        assert_eq!(of_frame(&frame, Paths::Full), "View.get (/srv/shop/app/views.py:12)");
        frame.line = None;
        assert_eq!(of_frame(&frame, Paths::Short), "View.get (app/views.py)");
    }

    #[test]
    fn the_files_on_a_path_are_shortened() {
        for (words, expected) in [
            ("module app › CACHE", "module app › CACHE"),
            (
                "thread MainThread › run (/v/lib/python3.12/asyncio/runners.py:118) › local coro › main \
                 (/srv/shop/app/chat.py:48)",
                "thread MainThread › run (asyncio/runners.py:118) › local coro › main (app/chat.py:48)",
            ),
            ("app.CACHE['a (/b/c/d)']", "app.CACHE['a (/b/c/d)']"),
            ("cut (/srv/shop/app", "cut (/srv/shop/app"),
            (
                "function get (src/app/views.py:9) (2 more)",
                "function get (app/views.py:9) (2 more)",
            ),
            ("<string> (<string>:1)", "<string> (<string>:1)"),
        ] {
            assert_eq!(short_places(words), expected);
        }
    }

    #[test]
    fn what_separates_is_escaped_and_nothing_else() {
        assert_eq!(escape("<lambda>"), "<lambda>");
        assert_eq!(escape("naïve 名前"), "naïve 名前");
        assert_eq!(escape("a;b\nc\\d"), r"a\x3bb\nc\\d");
        assert_eq!(escape(" # "), r"\x20#\x20");
        assert_eq!(escape("# x"), r"\x23 x");
        assert_eq!(escape("\u{0}\u{85}\u{2028}\u{ffff}"), r"\x00\x85\u2028\uffff");
        assert_eq!(escape(""), "(unnamed)");
        assert_eq!(printable(r"caf\xe9 \x41 \xE9"), r"caf\xe9 \\x41 \\xE9");
        assert_eq!(printable("python -c 'a; b'\n"), r"python -c 'a; b'\n");
        assert_eq!(printable_code("CACHE['a\\tb']\n"), r"CACHE['a\tb']\n");
    }

    #[test]
    fn only_the_last_label_may_not_end_in_a_number() {
        let roots = vec!["thread 12".into()];
        let stack = Stack { roots, leaf: Some("size 1.5".into()), ..Stack::default() };
        let texts: Vec<_> =
            of_stack(&stack, Paths::Short).into_iter().map(|label| label.text).collect();
        assert_eq!(texts, ["thread 12", "(no Python frame)", r"size\x201.5"]);
    }

    #[test]
    fn a_stack_without_frames_still_has_a_label() {
        let labels = of_stack(&Stack::default(), Paths::Short);
        assert_eq!(labels, [Label { text: "(no Python frame)".into(), kind: Kind::Root }]);
    }
}
