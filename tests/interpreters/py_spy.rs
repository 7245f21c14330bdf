//! A second witness: the py-spy crate reads the same process in its own way, and agrees.

use std::collections::BTreeMap;

use leakspy::process::Process;
use leakspy::python::{Frame, Python};
use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, cases};

pub fn trials() -> Vec<Trial> {
    cases("py_spy_agrees", agrees)
}

fn agrees(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let ours: BTreeMap<u64, Vec<Frame>> = python
        .dump_threads(&process, true, None)?
        .threads
        .into_iter()
        .map(|thread| (thread.pthread, thread.stack.frames))
        .collect();
    let mut spy = py_spy::PythonSpy::new(target.pid(), &py_spy::Config::default())?;
    let theirs = spy.get_stack_traces()?;
    assert_eq!(theirs.len(), ours.len());
    for thread in theirs {
        let ours = &ours[&thread.thread_id];
        for (ours, theirs) in ours.iter().zip(&thread.frames) {
            let same = *ours.function == *theirs.name
                && *ours.file == *theirs.filename
                && ours.line.map_or(0, |line| line as i32) == theirs.line;
            assert!(same, "{:?}: {ours} is not {theirs:?}", thread.thread_name);
        }
        assert_eq!(ours.len(), thread.frames.len(), "{:?}", thread.thread_name);
    }
    Ok(())
}
