//! The frames of running threads, which are not objects themselves (from 3.11 on).

use super::edges::{Edges, Sink};
use super::frames::frame_references;
use super::reader::Reader;
use super::view::View;
use crate::memory::{Memory, ReadError};
use crate::python::layout::Frames;

impl<M: Memory> Reader<'_, M> {
    /// Finds what a frame of a thread's stack refers to, whether it is running or waiting for a call. Up to
    /// 3.13 a running frame does not store its number of values, so only its locals are found. The references
    /// replace the contents of `edges`.
    ///
    /// # Errors
    /// Not all of the frame can be read.
    pub fn describe_frame(&self, frame: u64, edges: &mut Edges) -> Result<(), ReadError> {
        edges.clear();
        self.visit_frame(frame, edges)
    }

    pub(super) fn visit_frame<S: Sink>(&self, frame: u64, sink: &mut S) -> Result<(), ReadError> {
        let Frames::Interpreter(layout) = &self.layout().frames else { return Ok(()) };
        let view = View::new(self.memory, frame, layout.size)?;
        frame_references(self.memory, &self.types.context, layout, &view, sink, true)
    }
}
