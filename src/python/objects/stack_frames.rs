//! The frames of running threads, which are not objects themselves (from 3.11 on).

use super::decoder::Decoder;
use super::edges::{Edges, Role, Search, Sink};
use super::frames::frame_references;
use super::links::Link;
use super::view::View;
use crate::memory::{Memory, ReadError};
use crate::python::layout::Frames;

impl Decoder {
    /// Finds what a frame of a thread's stack refers to, whether it runs or waits for what it called.
    /// Where such a frame does not tell how many values it has, as up to 3.13, there are only its
    /// locals. The references take the place of what was in `edges`.
    pub fn describe_frame<M: Memory>(
        &self,
        memory: &M,
        frame: u64,
        edges: &mut Edges,
    ) -> Result<(), ReadError> {
        edges.clear();
        self.visit_frame(memory, frame, edges)
    }

    /// How a frame of a thread's stack refers to an object; `None` where it does not.
    pub fn frame_link<M: Memory>(&self, memory: &M, frame: u64, child: u64) -> Option<Link> {
        let mut search = Search::new(child);
        // What was found before something unreadable counts.
        let _ = self.visit_frame(memory, frame, &mut search);
        Link::of(memory, self.layout(), search.found?)
    }

    /// Adds everything that a frame of a thread's stack refers to, with its role, to `found`.
    pub fn frame_roles<M: Memory>(&self, memory: &M, frame: u64, found: &mut Vec<(u64, Role)>) {
        // What was found before something unreadable counts.
        let _ = self.visit_frame(memory, frame, found);
    }

    fn visit_frame<M: Memory, S: Sink>(
        &self,
        memory: &M,
        frame: u64,
        sink: &mut S,
    ) -> Result<(), ReadError> {
        let Frames::Interpreter(layout) = &self.layout().frames else { return Ok(()) };
        let view = View::new(memory, frame, layout.size)?;
        frame_references(memory, &self.context, layout, &view, sink, true)
    }
}
