//! A frame in readable form.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One line of a stack: a function, its file, and the line it is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// `co_qualname`, or `co_name` before 3.11.
    pub function: Arc<str>,
    /// `co_filename`.
    pub file: Arc<str>,
    /// What `frame.f_lineno` says; `None` for an instruction that belongs to no line.
    pub line: Option<u32>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} ({}:{line})", self.function, self.file),
            None => write!(f, "{} ({})", self.function, self.file),
        }
    }
}
