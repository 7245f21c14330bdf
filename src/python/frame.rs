//! A frame in readable form.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::origin::short_path;

/// One line of a stack: a function, its file, and the line it is at.
///
/// Two frames are equal whether or not the text of their line is known.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// `co_qualname`, or `co_name` before 3.11.
    pub function: Arc<str>,
    /// `co_filename`.
    pub file: Arc<str>,
    /// What `frame.f_lineno` says; `None` for an instruction that belongs to no line.
    pub line: Option<u32>,
    /// What the file has there, if that was looked up ([`SourceLines`](super::source_lines::SourceLines)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceLine>,
}

/// What a file has at a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Arc<str>>", into = "Option<Arc<str>>")]
pub enum SourceLine {
    /// This text, without the blanks around it.
    Text(Arc<str>),
    /// The file changed after the process had begun to run: what it has now is not what runs.
    Changed,
}

impl From<Option<Arc<str>>> for SourceLine {
    fn from(text: Option<Arc<str>>) -> SourceLine {
        text.map_or(SourceLine::Changed, SourceLine::Text)
    }
}

impl From<SourceLine> for Option<Arc<str>> {
    fn from(line: SourceLine) -> Option<Arc<str>> {
        match line {
            SourceLine::Text(text) => Some(text),
            SourceLine::Changed => None,
        }
    }
}

impl Frame {
    /// A frame without the text of its line.
    pub fn new(
        function: impl Into<Arc<str>>,
        file: impl Into<Arc<str>>,
        line: Option<u32>,
    ) -> Frame {
        Frame { function: function.into(), file: file.into(), line, source: None }
    }

    /// The same with what identifies its file to a reader.
    pub fn in_short(&self) -> Frame {
        Frame { file: short_path(&self.file).into(), ..self.clone() }
    }

    fn place(&self) -> (&str, &str, Option<u32>) {
        (&self.function, &self.file, self.line)
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        self.place() == other.place()
    }
}

impl Hash for Frame {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} ({}:{line})", self.function, self.file),
            None => write!(f, "{} ({})", self.function, self.file),
        }
    }
}
