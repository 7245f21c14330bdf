//! What the user is told of a garbage collection that a capture meets.

use super::terminal::say;
use crate::heap::Delay;
use crate::process::Process;
use crate::python::{Frame, Python};
use crate::render::Paths;
use crate::render::labels::of_frame;

/// The most frames of a finalizer's stack that are shown.
const FRAMES: usize = 6;

/// Says what a capture waits for, or that it did not wait any longer, and for which finalizer.
pub fn tell(pid: i32, delay: Delay) {
    let elapsed = match delay {
        Delay::Waiting => {
            say(format_args!(
                "leakspy: Waiting for the garbage collector of process {pid}, which is in the middle of a \
                 collection."
            ));
            return;
        }
        Delay::Unfinished(elapsed) => elapsed,
    };
    say(format_args!(
        "leakspy: The garbage collector of process {pid} has not finished for {:.1} s, so leakspy did not wait \
         any longer: objects that it is about to free may be missing.",
        elapsed.as_secs_f64()
    ));
    match finalizer(pid) {
        Some(stack) => {
            say("  Until this finalizer returns, no reference cycle is freed and memory grows:");
            for frame in stack.iter().take(FRAMES) {
                say(format_args!("    {}", of_frame(frame, Paths::Short)));
            }
        }
        None => say(format_args!(
            "  If a finalizer keeps it waiting, no reference cycle is freed: `leakspy dump --pid {pid}` shows \
             where."
        )),
    }
}

/// The stack of the finalizer, as far as it can be told.
fn finalizer(pid: i32) -> Option<Vec<Frame>> {
    let process = Process::open(pid).ok()?;
    let python = Python::attach(&process).ok()?;
    python.collecting_stack(&process)
}
