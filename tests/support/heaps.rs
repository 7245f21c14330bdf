//! The heap of a running fixture.

use leakspy::heap::{Analysis, CaptureOptions, RootNames};
use leakspy::process::Process;
use leakspy::python::Python;
use libtest_mimic::Failed;

use super::target::Target;

/// Captures the heap of a target.
pub fn with_heap<T>(
    target: &Target,
    then: impl FnOnce(&Analysis<'_>, &RootNames, &Python) -> T,
) -> Result<T, Failed> {
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let heap = Analysis::of(&process, &python, &CaptureOptions::default())?;
    Ok(then(&heap, &RootNames::of(&heap, &python), &python))
}
