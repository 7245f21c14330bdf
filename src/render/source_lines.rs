//! The line of source code of a frame, below the frame or beside it.

use std::io;

use super::fitting::{shorten, width};
use super::labels::printable;
use super::sheet::{SOURCE, Sheet};
use crate::python::Frame;
use crate::python::frame::SourceLine;

/// How much further to the right a line stands than its frame.
const INDENT: usize = 4;
/// The columns of a line where nothing limits it.
const WIDEST: usize = 100;
/// The fewest columns in which a line is shown.
const FEWEST: usize = 16;

/// What is said of a frame whose file is not the one that runs.
pub fn remark(frame: &Frame) -> &'static str {
    match frame.source {
        Some(SourceLine::Changed) => "  (file changed since)",
        Some(SourceLine::Text(_)) | None => "",
    }
}

/// Writes the line of a frame that begins in this column, if it is known.
pub fn write_below(frame: &Frame, column: usize, out: &mut impl Sheet) -> io::Result<()> {
    let indent = column + INDENT;
    let room = out.width().map_or(WIDEST, |width| width.saturating_sub(indent));
    match fitted(frame, room) {
        Some(line) => {
            let line = out.styled(SOURCE, &line);
            writeln!(out, "{:indent$}{line}", "")
        }
        None => Ok(()),
    }
}

/// A frame in words, with its line beside it where both have room.
pub fn beside(words: String, frame: &Frame, room: Option<usize>) -> String {
    let room = room.map_or(WIDEST, |room| room.saturating_sub(width(&words) + 2));
    let line = fitted(frame, room).map(|line| format!("  {line}"));
    words + line.as_deref().unwrap_or(remark(frame))
}

/// The line of a frame in this many columns.
fn fitted(frame: &Frame, room: usize) -> Option<String> {
    match &frame.source {
        Some(SourceLine::Text(text)) if room >= FEWEST => {
            Some(shorten(&printable(text), room.min(WIDEST)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sheet::Paper;

    fn at(line: &str) -> Frame {
        let mut frame = Frame::new("f", "/a.py", Some(1));
        frame.source = Some(SourceLine::Text(line.into()));
        frame
    }

    fn below(line: &str, width: usize) -> Vec<String> {
        let mut out = Paper::new(width);
        write_below(&at(line), 6, &mut out).unwrap();
        out.lines()
    }

    #[test]
    fn a_line_stands_below_its_frame_and_fits() {
        assert_eq!(below("CACHE[key] = Session(key)", 80), ["          CACHE[key] = Session(key)"]);
        assert_eq!(below("CACHE[key] = Session(key)", 32), ["          CACHE[key] …"]);
        assert!(below("x", 20).is_empty());
        assert_eq!(below(&"x".repeat(400), 60).concat().chars().count(), 60);
    }

    #[test]
    fn nothing_in_a_line_reaches_the_terminal_as_it_is() {
        let hostile = "\u{1b}]0;owned\u{7}\u{202e}x\u{0}\u{2028}";
        let shown = below(hostile, 120).concat();
        assert_eq!(shown.trim(), r"\x1b]0;owned\x07\u202ex\x00\u2028");
    }

    #[test]
    fn beside_it_is_only_where_there_is_room() {
        let frame = at("while True: pass");
        assert_eq!(beside("f (a.py:1)".into(), &frame, Some(28)), "f (a.py:1)  while True: pass");
        assert_eq!(beside("f (a.py:1)".into(), &frame, Some(27)), "f (a.py:1)");
        assert_eq!(beside("f (a.py:1)".into(), &frame, None), "f (a.py:1)  while True: pass");
        let changed = Frame { source: Some(SourceLine::Changed), ..frame };
        assert_eq!(beside("f".into(), &changed, None), "f  (file changed since)");
    }
}
