//! One line of a Python traceback: the form in which every layer passes a frame on.

use std::sync::Arc;

use serde::Serialize;

/// A function being run, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Frame {
    /// The qualified name (`co_qualname`), the plain name (`co_name`) below 3.11.
    pub function: Arc<str>,
    /// The file, as `co_filename` has it.
    pub file: Arc<str>,
    /// The line of the current instruction, where it has one.
    pub line: Option<u32>,
}
