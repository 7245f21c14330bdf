//! The `python` layer on real interpreters, at work: the allocators that it finds, and snapshots of threads
//! that never stand still.

use leakspy::heap::{Analysis, CaptureOptions};
use leakspy::process::{Pause, Process};
use leakspy::python::thread_dump::DumpedThread;
use leakspy::python::{CodeCache, Frame, Python, RawStack, allocators};
use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, cases, wait_until};

const SNAPSHOTS: usize = 300;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("layout", says_what_the_interpreter_says);
    trials.extend(cases("ending", is_read_to_the_end));
    trials.extend(cases("allocators", are_those_of_pymalloc));
    trials.extend(cases("snapshots_of_work", are_possible_stacks));
    trials.extend(cases("snapshots_without_pause", are_whole_or_say_that_they_are_not));
    trials.extend(cases("snapshots_of_change", outlive_threads_and_children));
    trials.extend(cases("end_in_a_pause", is_taken_note_of));
    trials.extend(cases("stack_of_500", costs_few_reads));
    trials
}

fn attach(target: &Target) -> (Process, Python) {
    let process = Process::open(target.pid()).expect("the target is there");
    let python = Python::attach(&process).unwrap_or_else(|error| panic!("{error}"));
    (process, python)
}

/// Where the interpreter publishes offsets, leakspy's tables have the same ones.
fn says_what_the_interpreter_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "stacks", &[]);
    let (_, python) = attach(&target);
    let version = python.version;
    assert_eq!([version.major, version.minor, version.micro].map(u64::from), interpreter.version);
    assert_eq!(python.disagreements, []);
    Ok(())
}

/// Without a pause, the stack of a thread that runs may be torn; one that says it is complete reaches down to the
/// module.
fn are_whole_or_say_that_they_are_not(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "recursing", &[]);
    let (process, python) = attach(&target);
    let mut complete = 0;
    for _ in 0..SNAPSHOTS {
        let dump = python.dump_threads(&process, false, None)?;
        let Some(main) = dump.threads.first().filter(|main| main.stack.complete) else { continue };
        let names: Vec<&str> = main.stack.frames.iter().map(|frame| &*frame.function).collect();
        assert!(names.ends_with(&["main", "<module>"]), "{names:?}");
        complete += 1;
    }
    assert!(complete > SNAPSHOTS / 4, "{complete}");
    assert!(target.health().is_good(), "{:?}", target.health());
    Ok(())
}

/// An interpreter that hangs while it is taken down, or whose `sys` a program has changed, is read like any
/// other: the stack is there, and the version is exact.
fn is_read_to_the_end(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let ends = ["held_by_main", "held_by_sys", "held_by_codecs", "held_by_context"];
    let changes = [
        "main_is_an_object",
        "main_is_none",
        "main_is_a_subclass",
        "main_is_gone",
        "modules_are_a_copy",
        "modules_are_empty",
        "modules_are_gone",
        "version_is_other",
        "version_is_gone",
        "sys_is_empty",
    ];
    for way in ends.into_iter().chain(changes) {
        let target = Target::start(interpreter, "ending", &[way]);
        let process = Process::open(target.pid())?;
        let python = Python::attach(&process).map_err(|error| format!("{way}: {error}"))?;
        let version = [python.version.major, python.version.minor, python.version.micro];
        assert_eq!(version.map(u64::from), interpreter.version, "{way}");
        let dump = python.dump_threads(&process, true, None)?;
        let names = |thread: &DumpedThread| -> Vec<String> {
            thread.stack.frames.iter().map(|frame| frame.function.to_string()).collect()
        };
        let stacks: Vec<_> = dump.threads.iter().map(names).collect();
        let [stack] = &*stacks else { return Err(format!("{way}: {stacks:?}").into()) };
        let outer = if ends.contains(&way) { "__del__" } else { "<module>" };
        let is_whole = stack.first().is_some_and(|name| name == "stay")
            && stack.last().is_some_and(|name| name.ends_with(outer));
        assert!(is_whole, "{way}: {stack:?}");
        // Its heap is there, too.
        let heap = Analysis::of(&process, &python, &CaptureOptions::default())?;
        assert!(heap.graph.objects().len() > 5000, "{way}");
        assert!(target.health().is_good(), "{way}: {:?}", target.health());
    }
    Ok(())
}

fn are_those_of_pymalloc(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "stacks", &[]);
    let (process, python) = attach(&target);
    let found = python.allocators(&process)?;
    assert!(found.is_pymalloc, "{found:x?}");
    let name = python.image.function_at(found.object.malloc);
    if !interpreter.stripped {
        assert_eq!(name, Some("_PyObject_Malloc"));
        let free = python.image.function_at(found.object.free.wrapping_add(1));
        assert_eq!(free, Some("_PyObject_Free"));
    }
    if interpreter.version[1] <= 11 {
        let tables = allocators::search(&process, &python.image)?.expect("the tables are found");
        if let Some(symbol) = python.image.symbol("_PyObject") {
            let names = ["_PyMem_Raw", "_PyMem"].map(|name| python.image.symbol(name));
            let [raw, mem] = names.map(|symbol| symbol.expect("not stripped").address);
            assert_eq!(tables, [raw, mem, symbol.address]);
        }
    }
    Ok(())
}

/// The stacks of threads at work are possible ones: each frame is called by the next, in the line that
/// contains the call.
fn are_possible_stacks(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let counters = tempfile::NamedTempFile::new_in(interpreter.outside("/tmp".as_ref()))?;
    let name = counters.path().file_name().expect("a file").to_string_lossy().into_owned();
    let mut target = Target::start(interpreter, "busy", &[&format!("/tmp/{name}")]);
    let (process, python) = attach(&target);
    let mut working = 0;
    let mut longest = std::time::Duration::ZERO;
    for _ in 0..SNAPSHOTS {
        let dump = python.dump_threads(&process, true, None)?;
        let workers = dump
            .threads
            .iter()
            .filter(|thread| thread.name.as_deref().is_some_and(|name| name.starts_with("worker")));
        assert_eq!(workers.clone().count(), 4);
        workers.for_each(is_possible);
        working += dump.threads.iter().filter(|thread| thread.holds_gil).count();
        assert!(dump.threads.iter().filter(|thread| thread.holds_gil).count() <= 1);
        longest = longest.max(dump.pause);
    }
    // Four threads contend for the GIL, so one of them holds it almost always.
    assert!(working > SNAPSHOTS * 9 / 10, "the GIL was held in {working} of {SNAPSHOTS}");
    target.assert_healthy();
    Ok(())
}

fn is_possible(thread: &DumpedThread) {
    assert!(thread.stack.complete, "{thread:?}");
    let mut frames: Vec<&Frame> = thread.stack.frames.iter().collect();
    frames.retain(|frame| frame.file.ends_with("busy.py"));
    let own = |frame: &&Frame| frame.function.rsplit('.').next().unwrap_or_default().to_owned();
    let outermost = thread.stack.frames.last().expect("a thread has frames");
    assert!(outermost.function.ends_with("_bootstrap"), "{thread:?}");
    assert_eq!(frames.last().map(own).as_deref(), Some("work"), "{thread:?}");
    for pair in frames.windows(2) {
        let callers: &[&str] = match &*own(&pair[0]) {
            "descend" => &["work", "turn_left", "turn_right"],
            "turn_left" | "turn_right" => &["descend"],
            "handle" => &["turn_left"],
            "parse" | "render" => &["handle", "<listcomp>"],
            "<listcomp>" => &["handle"],
            "<genexpr>" => &["render"],
            other => panic!("{other} is not in busy.py"),
        };
        assert!(callers.contains(&&*own(&pair[1])), "{thread:?}");
    }
    let descents = frames.iter().filter(|frame| own(frame) == "descend").count();
    let reached = frames.iter().any(|frame| own(frame) == "handle");
    assert!(if reached { descents == 25 } else { descents <= 25 }, "{descents}: {thread:?}");
}

/// Threads start and end, children are forked: every dump is valid or an error, and none hangs.
fn outlive_threads_and_children(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let (process, python) = attach(&target);
    target.ask("threads on");
    target.ask("children on");
    let mut whole = 0;
    for _ in 0..SNAPSHOTS {
        let dump = python.dump_threads(&process, true, None)?;
        let complete = dump.threads.iter().all(|thread| thread.stack.complete);
        whole += usize::from(complete);
    }
    target.ask("children off");
    target.ask("threads off");
    // Code objects live on, so frames copied in a pause can be resolved after it.
    assert_eq!(whole, SNAPSHOTS);
    target.assert_healthy();
    Ok(())
}

/// A thread that ends while it is held does not keep its process from continuing.
fn is_taken_note_of(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let process = Process::open(target.pid())?;
    let thread = target.health().threads.last().expect("it has several threads").tid;
    assert_ne!(thread, target.pid());
    let pause = Pause::new(&process, &[thread])?;
    // A program that replaces itself first ends its other threads, and waits for them.
    target.tell("exec");
    wait_until("the thread has ended", || {
        target.health().threads.iter().any(|it| it.tid == thread && it.state == 'Z')
    });
    pause.resume();
    assert_eq!(target.line(), "READY");
    target.assert_healthy();
    Ok(())
}

/// Counts the reads of a memory.
struct Counted<'a>(&'a Process, std::cell::Cell<usize>);

impl leakspy::memory::Memory for Counted<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), leakspy::memory::ReadError> {
        self.1.set(self.1.get() + 1);
        self.0.read(address, buffer)
    }
}

/// From 3.11 on a stack is copied chunk by chunk, not frame by frame.
fn costs_few_reads(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let (process, python) = attach(&target);
    let memory = Counted(&process, std::cell::Cell::new(0));
    let mut deepest = (0, 0);
    for thread in python.thread_states(&process)? {
        memory.1.set(0);
        let mut raw = RawStack::default();
        python.copy_stack(&memory, thread.address, &mut raw)?;
        let stack = CodeCache::new().resolve_stack(&process, &python, &raw);
        assert!(stack.complete);
        deepest = deepest.max((stack.frames.len(), memory.1.get()));
    }
    let (frames, reads) = deepest;
    assert!(frames > 500, "{frames}");
    let most = if interpreter.version[1] >= 11 { 12 } else { frames + 2 };
    assert!(reads <= most, "{reads} reads for {frames} frames");
    Ok(())
}
