//! The thread that collects garbage, and the one whose collection does not finish.
//!
//! CPython does not record which thread collects, only that one does. It holds the GIL, except while a finalizer
//! that it called lets go of it; and what keeps a collection from finishing is a finalizer. So the thread is one that
//! is in a `__del__`, or the holder of the GIL, or the only one.

use super::Python;
use super::frame::Frame;
use super::thread_dump::DumpedThread;
use super::threads::ThreadState;
use crate::memory::Memory;
use crate::process::Process;

/// The name of a finalizer; with its class in front from 3.11 on.
const FINALIZER: &str = "__del__";

impl Python {
    /// The stack of the thread that is in a finalizer, innermost frame first; `None` if that cannot be told.
    /// Nothing is paused for it.
    pub fn collecting_stack(&self, process: &Process) -> Option<Vec<Frame>> {
        let threads = self.dump_threads(process, false, None).ok()?.threads;
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

impl Python {
    /// Marks the threads that collect garbage, one of an interpreter at most. `states` are those of the threads.
    pub(super) fn mark_collecting<M: Memory>(
        &self,
        memory: &M,
        states: &[ThreadState],
        threads: &mut [DumpedThread],
    ) {
        for interpreter in self.collecting_interpreters(memory).unwrap_or_default() {
            let is_in = |number: &usize| {
                states.get(*number).is_some_and(|state| {
                    interpreter.is_none_or(|address| state.interpreter == address)
                })
            };
            let of_interpreter: Vec<usize> = (0..threads.len()).filter(is_in).collect();
            let only = |test: &dyn Fn(&DumpedThread) -> bool| {
                let mut found =
                    of_interpreter.iter().filter(|&&number| threads.get(number).is_some_and(test));
                found.next().copied().filter(|_| found.next().is_none())
            };
            let finalizing = |thread: &DumpedThread| thread.stack.frames.iter().any(is_finalizer);
            // Another thread may have taken the GIL while a finalizer waits.
            let collecting = match of_interpreter
                .iter()
                .any(|&number| threads.get(number).is_some_and(finalizing))
            {
                true => only(&finalizing),
                false => only(&|thread| thread.holds_gil),
            };
            if let Some(thread) = collecting.and_then(|number| threads.get_mut(number)) {
                thread.collecting = true;
            }
        }
    }
}

fn is_finalizer(frame: &Frame) -> bool {
    frame.function.rsplit('.').next() == Some(FINALIZER)
}
