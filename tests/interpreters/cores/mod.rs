//! Core files: every analysis says of a core what it says of the stopped process that the core is of.

mod absent;
mod deaths;
mod hostile;

use std::path::Path;

use leakspy::heap::{CaptureFacts, CaptureOptions};
use leakspy::process::blocked::WaitKind;
use leakspy::process::core::binaries::Places;
use leakspy::python::objects::Disclosure;
use leakspy::python::thread_dump::ThreadDump;
use leakspy::source::{CoreFile, LiveProcess, Source};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::snapshot::{answers, compare};
use crate::support::cores::{gcore, kernel_core, no_kernel_cores, stop};
use crate::support::{Interpreter, Target, cases, interpreters};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("cores", a_core_says_what_the_stopped_process_says);
    trials.extend(cases("cores_deaths", deaths::why_and_where_is_said));
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("cores_damaged::{}", some.name), move || {
        hostile::a_damaged_core_is_refused_or_answered(some)
    }));
    trials.push(Trial::test("cores_other_files", hostile::what_is_no_core_is_refused));
    trials.push(Trial::test(format!("cores_packed::{}", some.name), move || {
        hostile::a_compressed_core_is_read(some)
    }));
    trials
}

/// Everything that is said of one source.
type Said = (Vec<(String, String)>, ThreadDump);

fn said(source: &dyn Source) -> Result<Said, Failed> {
    let mut heap = source.heap()?;
    // What the one source cannot know is left out of the comparison.
    heap.analysis.facts = CaptureFacts::default();
    let collectors = heap.collectors()?;
    let mut threads = source.threads(None)?;
    threads.pause = std::time::Duration::ZERO;
    // A process that is stopped does not say what it waited for; the core that it leaves does.
    for wait in threads.threads.iter_mut().filter_map(|thread| thread.wait.take()) {
        assert_eq!((wait.kind, wait.descriptor, wait.file), (WaitKind::Io, Some(0), None));
    }
    Ok((answers(&heap.analysis, heap.names(), &collectors, Disclosure::Values), threads))
}

fn open(path: &Path, interpreter: &Interpreter) -> Result<CoreFile, Failed> {
    let places = Places { sysroot: interpreter.root.clone(), only_sysroot: false };
    Ok(CoreFile::open(path, places, None)?)
}

fn same(live: &Said, core: &CoreFile) -> Result<(), Failed> {
    let kept = said(core)?;
    compare(live.0.clone(), kept.0)?;
    assert_eq!(live.1, kept.1);
    Ok(())
}

fn a_core_says_what_the_stopped_process_says(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    // It has one thread: gcore lets a process go on for a moment, and one that waits for a time would wake up.
    let target = Target::start_at(interpreter, "show", &[], folder.path());
    stop(&target);
    let live = LiveProcess::open(target.pid(), CaptureOptions::default())?;
    let live = said(&live)?;
    if let Some(path) = gcore(&target, &folder)? {
        let core = open(&path, interpreter)?;
        same(&live, &core)?;
        assert!(core.death().is_none(), "{:?}", core.death());
    }
    drop(target);
    if no_kernel_cores().is_none() {
        // Of several threads, those that the signal does not end first would go on for a moment, too.
        let mut target = Target::start_at(interpreter, "show", &[], folder.path());
        stop(&target);
        let live = LiveProcess::open(target.pid(), CaptureOptions::default())?;
        let identity = live.identity().clone();
        let mut live = said(&live)?;
        live.1.threads.iter_mut().for_each(|thread| thread.running = true);
        let path = kernel_core(&mut target, Signal::SIGABRT, &folder);
        let core = open(&path, interpreter)?;
        same(&live, &core)?;
        assert_eq!(core.death().map(|death| death.signal), Some("SIGABRT"));
        let of_core = core.identity();
        assert_eq!((of_core.pid, &of_core.command), (identity.pid, &identity.command));
        assert_eq!(of_core.version, identity.version);
        // Without its file, the collector of an early 3.13 is not found: its lists are elsewhere than later.
        if interpreter.version[1] != 13 || interpreter.version[2] >= 5 {
            absent::most_types_have_names(&path, &core)?;
        }
    }
    Ok(())
}
