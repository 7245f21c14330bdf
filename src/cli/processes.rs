//! Opening processes: one, or it and all its descendants.

use super::errors::{CommandError, advice};
use super::terminal::say;
use crate::heap::CaptureOptions;
use crate::process::Process;
use crate::process::descendants::descendants;
use crate::python::Python;
use crate::python::debug_offsets::Disagreement;
use crate::source::LiveProcess;

/// Opens a process to be observed for a while, and finds the Python in it.
pub fn attach(pid: i32) -> Result<(Process, Python), CommandError> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    say_disagreements(pid, &python.disagreements);
    Ok((process, python))
}

/// Opens a process as a source of heaps.
pub fn open(pid: i32, options: CaptureOptions) -> Result<LiveProcess, CommandError> {
    let source = LiveProcess::open(pid, options)?;
    say_disagreements(pid, source.disagreements());
    Ok(source)
}

fn say_disagreements(pid: i32, disagreements: &[Disagreement]) {
    for difference in disagreements {
        say(format_args!(
            "leakspy: process {pid} says that {} is at {}, and not at {} as expected.",
            difference.field, difference.found, difference.expected
        ));
    }
}

/// Applies a function to a process and, if `subprocesses` is set, to its descendants that are Pythons:
/// returns the result of the first, and those of the others. Errors of the others are reported, and they are
/// left out.
pub fn each<T>(
    pid: i32,
    subprocesses: bool,
    mut ask: impl FnMut(i32) -> Result<T, CommandError>,
) -> Result<(T, Vec<T>), CommandError> {
    let first = ask(pid);
    let mut others = Vec::new();
    for pid in if subprocesses { descendants(pid) } else { Vec::new() } {
        match ask(pid) {
            Ok(found) => others.push(found),
            Err(error) if error.is_not_python() => {}
            Err(error) => say(format_args!("leakspy: {}", advice::explain(&error, Some(pid)))),
        }
    }
    match first {
        Err(error) if error.is_not_python() && !others.is_empty() => Ok((others.remove(0), others)),
        first => Ok((first?, others)),
    }
}
