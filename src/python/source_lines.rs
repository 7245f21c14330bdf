//! The lines of source code at which frames are, from the files of the process.
//!
//! A line is only told if it is the one that runs: the path of its file must be whole, and the file as old as the program.
//! The standard library's lines are left out: they say nothing about the program.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::frame::{Frame, SourceLine};
use super::origin::Origin;
use crate::process::files::{FoundFile, ProcessFiles};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 8 << 20;
/// The most bytes that all files can have together.
const MOST: u64 = 64 << 20;
/// How much of a line is kept, in characters.
const LONGEST: usize = 400;

/// Looks up lines.
#[derive(Debug)]
pub struct SourceLines {
    files: ProcessFiles,
    /// The files read, by their paths; `None` if one cannot be read.
    known: HashMap<Arc<str>, Option<FoundFile>>,
    /// How many bytes may still be read.
    left: u64,
}

impl SourceLines {
    /// Lines from these files.
    pub fn new(files: ProcessFiles) -> SourceLines {
        SourceLines { files, known: HashMap::new(), left: MOST }
    }

    /// Looks up the line that a frame is at.
    pub fn look_up(&mut self, frame: &mut Frame) {
        frame.source = self.line(&frame.file, frame.line);
    }

    fn line(&mut self, path: &Arc<str>, line: Option<u32>) -> Option<SourceLine> {
        let line = line?.checked_sub(1)?;
        if !path.starts_with('/') || Origin::of(path).0 == Origin::Library {
            return None;
        }
        if !self.known.contains_key(path) {
            let found = self.files.read(Path::new(&**path), LARGEST.min(self.left)).ok();
            let bytes = found.as_ref().map_or(0, |found| found.bytes.len());
            self.left = self.left.saturating_sub(bytes as u64);
            self.known.insert(Arc::clone(path), found);
        }
        let file = self.known.get(path)?.as_ref()?;
        match file.has_changed {
            true => Some(SourceLine::Changed),
            false => text(&file.bytes, line).map(SourceLine::Text),
        }
    }
}

/// The text of a line, counted from 0 as Python counts them, without the blanks around it; `None` if there is no text.
fn text(bytes: &[u8], line: u32) -> Option<Arc<str>> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for _ in 0..line {
        rest = rest.get(end(rest).1..)?;
    }
    let line = String::from_utf8_lossy(rest.get(..end(rest).0)?);
    let text: String = line.trim().chars().take(LONGEST).collect();
    (!text.is_empty()).then(|| text.into())
}

/// Where the first line ends, and where the next one begins.
fn end(text: &[u8]) -> (usize, usize) {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len());
    let length = match text.get(end..) {
        Some([b'\r', b'\n', ..]) => 2,
        _ => 1,
    };
    (end, end + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        (0..4).map(|line| text(bytes, line).map(|text| text.to_string())).collect()
    }

    #[test]
    fn lines_are_counted_as_python_does() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(lines(b"a\n b \n\nd"), [some("a"), some("b"), None, some("d")]);
        assert_eq!(lines(b"a\r\nb\rc\n\r"), [some("a"), some("b"), some("c"), None]);
        assert_eq!(
            lines(b"\xef\xbb\xbfa\x0cb\xe2\x80\xa8c"),
            [some("a\u{c}b\u{2028}c"), None, None, None]
        );
        assert_eq!(lines(b"\xff"), [some("\u{fffd}"), None, None, None]);
        assert_eq!(lines(b""), [None, None, None, None]);
    }

    #[test]
    fn a_huge_line_is_cut() {
        let huge = "é".repeat(100_000);
        assert_eq!(text(huge.as_bytes(), 0).map(|text| text.chars().count()), Some(LONGEST));
    }
}
