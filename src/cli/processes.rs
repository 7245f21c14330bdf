//! Opening processes: one, or it and all its descendants.

use super::children::runs_python;
use super::errors::{CommandError, advice};
use super::terminal::say;
use crate::heap::CaptureOptions;
use crate::process::Process;
use crate::process::by_command::{named, without_children};
use crate::process::descendants::descendants;
use crate::python::Python;
use crate::python::debug_offsets::Disagreement;
use crate::render::labels::printable;
use crate::source::LiveProcess;

/// The most processes of a name that are listed.
const MOST_NAMED: usize = 10;

/// The one process whose command line contains this text. A process that runs Python is meant rather than a
/// shell around it, and a master rather than its workers.
///
/// # Errors
/// There is none, or there are several.
pub fn the_only(text: &str) -> Result<i32, CommandError> {
    let mut found = named(text);
    let pythons: Vec<i32> =
        found.iter().map(|one| one.pid).filter(|&pid| runs_python(pid)).collect();
    if !pythons.is_empty() {
        found.retain(|one| pythons.contains(&one.pid));
    }
    let found = without_children(found);
    match &*found {
        [] => Err(CommandError::new(format_args!(
            "no process has `{text}` in its command line. `leakspy ps` lists those that run Python."
        ))),
        [one] => Ok(one.pid),
        several => {
            let shown = several.iter().take(MOST_NAMED);
            let lines = shown.map(|one| format!("\n  {:>7}  {}", one.pid, printable(&one.command)));
            let more = match several.len().saturating_sub(MOST_NAMED) {
                0 => String::new(),
                more => format!("\n  and {more} more"),
            };
            Err(CommandError::new(format_args!(
                "{} processes have `{text}` in their command lines. Say which by its PID:{}{more}",
                several.len(),
                lines.collect::<String>()
            )))
        }
    }
}

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
