//! Captures of a heap, and what is found in them, against what the target says of itself.

mod support;

use std::collections::BTreeSet;

use leakspy::heap::{Capture, CaptureOptions};
use leakspy::memory::Memory;
use leakspy::python::Python;
use leakspy::python::gc::{Generation, HEAD_SIZE};
use leakspy::target::Process;
use libtest_mimic::{Arguments, Failed};
use support::{Interpreter, Target, cases};

/// Captures of a heap that changes, for each interpreter.
const CAPTURES: usize = 100;

fn main() {
    let mut trials = cases("heap_tracked", tracked_objects_are_those_of_the_collector);
    trials.extend(cases("heap_busy", every_capture_is_consistent));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The collector's lists in a capture have the objects that `gc.get_objects()` gives, each once, and
/// each is in a block that pymalloc says is in use, or outside of its arenas.
fn tracked_objects_are_those_of_the_collector(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "heap_of", &["20000"]);
    let answer = target.ask("tracked");
    let answer = answer.as_str().expect("one string");
    let truth: BTreeSet<u64> = answer.split(',').map(|id| id.parse().unwrap()).collect();
    assert!(truth.len() > 5000);

    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let (frozen, tracked) = tracked(&python, &capture)?;
    let found: BTreeSet<u64> = tracked.iter().copied().collect();
    assert_eq!(found.len(), tracked.len(), "each is found once");
    let name = |object: &u64| type_name(&python, &capture, *object);
    let missing: Vec<_> = truth.difference(&found).map(name).collect();
    let extra: BTreeSet<_> = found.difference(&truth).map(name).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
    // The target waits for its next question, in a read from stdin into a buffer of its own.
    let reading = BTreeSet::from(["managedbuffer", "memoryview"].map(String::from));
    assert_eq!(extra, reading);
    assert_eq!(found.len(), truth.len() + reading.len());
    assert_eq!(frozen, target.ask("frozen"));

    assert_eq!(homeless(&python, &capture, &tracked)?, 0);
    let blocks = count_blocks(&python, &capture)?;
    // Its own count has the blocks of malloc too, and the answer to the question itself.
    let its_own = target.ask("blocks").as_u64().expect("a number");
    assert!((its_own * 9 / 10..=its_own).contains(&blocks), "{blocks} of {its_own}");
    target.assert_healthy();
    Ok(())
}

/// While the heap changes as fast as it can, the lists in each capture close, all their objects have
/// types, all are in blocks in use, and the pools agree with themselves but for the one that the
/// target may be just changing.
fn every_capture_is_consistent(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "heap_of", &["2000", "busy"]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    for number in 0..CAPTURES {
        let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
        let (_, tracked) = tracked(&python, &capture)?;
        let mut distinct = tracked.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), tracked.len(), "capture {number}");
        let untyped =
            tracked.iter().filter(|&&object| !has_type(&python, &capture, object)).count();
        assert_eq!(untyped, 0, "capture {number}");
        let homeless = homeless(&python, &capture, &tracked)?;
        assert!(homeless <= 1, "capture {number}: {homeless} objects in blocks not in use");
        let mut disagreeing = 0;
        for arena in python.arenas(&capture)? {
            disagreeing += python.for_each_block(&capture, &arena, |_| {});
        }
        assert!(disagreeing <= 1, "capture {number}: {disagreeing} pools");
    }
    target.assert_healthy();
    Ok(())
}

/// The number of objects of the permanent generation, and the objects of all others.
fn tracked(python: &Python, capture: &Capture) -> Result<(u64, Vec<u64>), Failed> {
    let mut tracked = Vec::new();
    let mut frozen = 0;
    for list in python.gc_lists(capture)? {
        if list.generation == Generation::Permanent {
            frozen += list.for_each(capture, |_| {})?;
        } else {
            list.for_each(capture, |object| tracked.push(object))?;
        }
    }
    Ok((frozen, tracked))
}

/// The number of objects that lie in an arena, but not at the start of a block in use.
fn homeless(python: &Python, capture: &Capture, objects: &[u64]) -> Result<usize, Failed> {
    let mut blocks = Vec::new();
    let arenas = python.arenas(capture)?;
    for arena in &arenas {
        python.for_each_block(capture, arena, |block| blocks.push(block.address));
    }
    let in_arena = |object| arenas.iter().any(|arena| (arena.start..arena.end).contains(&object));
    // Some types have two more words before the collector's.
    let at_home = |object: u64| {
        [HEAD_SIZE, 2 * HEAD_SIZE]
            .iter()
            .any(|before| blocks.binary_search(&(object - before)).is_ok())
    };
    Ok(objects.iter().filter(|&&object| in_arena(object) && !at_home(object)).count())
}

fn count_blocks(python: &Python, capture: &Capture) -> Result<u64, Failed> {
    let mut count = 0;
    for arena in python.arenas(capture)? {
        python.for_each_block(capture, &arena, |_| count += 1);
    }
    Ok(count)
}

fn type_name(python: &Python, capture: &Capture, object: u64) -> String {
    let name = || {
        let kind = capture.u64(object + python.layout.object.kind as u64).ok()?;
        let name = capture.u64(kind + python.layout.types.name as u64).ok()?;
        Some(String::from_utf8_lossy(&capture.c_string(name, 100).ok()?).into_owned())
    };
    name().unwrap_or_else(|| format!("something at {object:#x}"))
}

/// Whether the type of this object is a type: its own type's type is `type`, or the type of that.
fn has_type(python: &Python, capture: &Capture, object: u64) -> bool {
    let type_of = |object: u64| capture.u64(object + python.layout.object.kind as u64);
    let mut kind = object;
    for _ in 0..4 {
        match type_of(kind) {
            Ok(next) => kind = next,
            Err(_) => return false,
        }
        if kind == python.types.kind {
            return true;
        }
    }
    false
}
