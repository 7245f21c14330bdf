//! The line that says which child processes a command leaves out.
//!
//! The PID that service managers give is that of a master, while the memory is in its workers. A command that
//! looks at one process only must not let its user believe that it has seen the service.

use super::args::flags::SubprocessesArg;
use super::terminal::say;
use crate::process::Process;
use crate::process::descendants::descendants;
use crate::python::Python;
use crate::render::phrases;

/// The most descendants that are examined.
const MOST_EXAMINED: usize = 200;

/// Says which descendants of a process run Python and are not included, unless the user has decided.
pub fn tell_left_out(pid: i32, children: SubprocessesArg) {
    if children.subprocesses || children.no_subprocesses {
        return;
    }
    let mut pythons = descendants(pid);
    pythons.truncate(MOST_EXAMINED);
    pythons.retain(|&pid| runs_python(pid));
    let what = match &*pythons {
        [] => return,
        [one] => format!("Its child process {one} runs Python too and is not included"),
        several => format!(
            "Its {} child processes that run Python ({}) are not included",
            several.len(),
            phrases::pids(several)
        ),
    };
    say(format_args!(
        "leakspy: {what}: add `--subprocesses` (`-s`), or `--no-subprocesses` to omit this line."
    ));
}

/// Whether a process runs a Python that could be included.
pub fn runs_python(pid: i32) -> bool {
    Process::open(pid).is_ok_and(|process| Python::attach(&process).is_ok())
}
