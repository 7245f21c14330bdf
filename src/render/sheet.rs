//! What text is written on: a terminal with a width and colours, or a file with neither.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::fitting::wrap_line;

/// A heading of a table or paragraph.
pub const HEADING: Style = Style::new().bold();
/// What leaks, and the line of code that does it.
pub const CULPRIT: Style = AnsiColor::Red.on_default().bold();
/// What holds it.
pub const HOLDER: Style = AnsiColor::Cyan.on_default();
/// What grew.
pub const GREW: Style = AnsiColor::Yellow.on_default();
/// A line of source code.
pub const SOURCE: Style = Style::new().dimmed();

/// Where text for a person is written.
pub trait Sheet: Write {
    /// The columns that a line can have; `None` if lines can be of any length.
    fn width(&self) -> Option<usize> {
        None
    }

    /// Whether colours are shown.
    fn has_colours(&self) -> bool {
        false
    }

    /// A text in this style, or as it is.
    fn styled(&self, style: Style, text: &str) -> String {
        match self.has_colours() {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

impl Sheet for Vec<u8> {}

/// Text of a certain width, without colours, in memory.
#[derive(Debug)]
pub struct Paper {
    bytes: Vec<u8>,
    width: usize,
}

impl Paper {
    /// An empty one.
    pub fn new(width: usize) -> Paper {
        Paper { bytes: Vec::new(), width }
    }

    /// What was written, in lines of its width.
    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.lines().flat_map(|line| wrap_line(line, self.width)).collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sheet for Paper {
    fn width(&self) -> Option<usize> {
        Some(self.width)
    }
}
