//! One process, or it and all its descendants: for commands that look at each in the same way.

use crate::cli::errors::CommandError;
use crate::cli::errors::advice;
use crate::cli::say;
use crate::process::Process;
use crate::process::descendants::descendants;
use crate::python::Python;

/// Opens a process and finds the Python in it.
pub fn attach(pid: i32) -> Result<(Process, Python), CommandError> {
    let process = Process::open(pid)?;
    let python = Python::attach(&process)?;
    for difference in &python.disagreements {
        say(format_args!(
            "leakspy: process {pid} says that {} is at {}, and not at {} as expected.",
            difference.field, difference.found, difference.expected
        ));
    }
    Ok((process, python))
}

/// Looks at a process and, where `subprocesses` asks for them, at its descendants as far as they are
/// Pythons: the first of them, and the others. What is wrong with the others is said, and they are
/// left out.
pub fn each<T>(
    pid: i32,
    subprocesses: bool,
    mut look: impl FnMut(i32) -> Result<T, CommandError>,
) -> Result<(T, Vec<T>), CommandError> {
    let first = look(pid);
    let mut others = Vec::new();
    for pid in if subprocesses { descendants(pid) } else { Vec::new() } {
        match look(pid) {
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
