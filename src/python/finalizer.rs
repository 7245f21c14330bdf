//! The thread whose garbage collection does not finish.
//!
//! CPython does not record which thread collects. But what keeps a collection from finishing is a finalizer, so
//! the thread is one that is in a `__del__`, or the only one.

use super::Python;
use super::frame::Frame;
use crate::process::Process;

/// The name of a finalizer; with its class in front from 3.11 on.
const FINALIZER: &str = "__del__";

impl Python {
    /// The stack of the thread that is in a finalizer, innermost frame first; `None` if that cannot be told.
    /// Nothing is paused for it.
    pub fn collecting_stack(&self, process: &Process) -> Option<Vec<Frame>> {
        let threads = self.dump_threads(process, false).ok()?.threads;
        let mut stacks: Vec<Vec<Frame>> =
            threads.into_iter().map(|thread| thread.stack.frames).collect();
        stacks.retain(|stack| !stack.is_empty());
        let finalizer = stacks.iter().position(|stack| stack.iter().any(is_finalizer));
        match (finalizer, stacks.len()) {
            (Some(index), _) => Some(stacks.swap_remove(index)),
            (None, 1) => stacks.pop(),
            (None, _) => None,
        }
    }
}

fn is_finalizer(frame: &Frame) -> bool {
    frame.function.rsplit('.').next() == Some(FINALIZER)
}
