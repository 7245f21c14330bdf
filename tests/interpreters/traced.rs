//! tracemalloc's data, read from outside, against what tracemalloc reports inside the target.

use std::collections::BTreeMap;

use leakspy::heap::{Capture, CaptureOptions};
use leakspy::memory::Memory;
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::{Edges, Reader, TypeTable};
use leakspy::python::tracemalloc::{Traceback, Traces, Tracing};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, cases, leakspy};

/// The number of captures of a changing heap, for each interpreter.
const CAPTURES: usize = 12;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("traced_25", |interpreter| are_those_of_tracemalloc(interpreter, 25));
    trials.extend(cases("traced_1", |interpreter| are_those_of_tracemalloc(interpreter, 1)));
    trials.extend(cases("traced_switched", follow_the_switch));
    trials.extend(cases("traced_record", are_written_exactly));
    trials.extend(cases("traced_busy", hold_while_they_change));
    trials.extend(cases("traced_search", are_found_without_symbols));
    trials
}

/// A target with tracemalloc on, and access to it.
fn start(interpreter: &Interpreter, frames: u32, arguments: &[&str]) -> (Target, Process, Python) {
    let option = format!("tracemalloc={frames}");
    let target = Target::start_with(interpreter, "traced", arguments, &["-X", &option]);
    let process = Process::open(target.pid()).expect("the target is there");
    let python = Python::attach(&process).unwrap_or_else(|error| panic!("{error}"));
    (target, process, python)
}

fn capture<'a>(process: &'a Process, python: &Python) -> Capture<'a> {
    Capture::take(process, python, &CaptureOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// File and line of each frame, innermost first; the line is 0 where there is none.
type Stack = Vec<(String, u32)>;

/// Equal blocks: their domain and size, the stack that allocated them, and its full number of frames.
type Group = (u32, u64, Stack, Option<u32>);

/// The blocks that the target reports, except those allocated by its answers.
fn ask_traces(target: &mut Target) -> Result<BTreeMap<Group, u64>, Failed> {
    #[derive(serde::Deserialize)]
    struct Answer {
        frames: Stack,
        traces: Vec<String>,
    }
    let Answer { frames, traces } = serde_json::from_value(target.ask("traces"))?;
    let group = |row: &String| {
        let [domain, size, count, all, numbers @ ..] = &*row.split(' ').collect::<Vec<_>>() else {
            return Err(Failed::from(format!("{row:?} is no row")));
        };
        let stack = numbers.iter().map(|number| Ok(frames[number.parse::<usize>()?].clone()));
        let stack = stack.collect::<Result<Stack, Failed>>()?;
        Ok(((domain.parse()?, size.parse()?, stack, all.parse().ok()), count.parse()?))
    };
    traces.iter().map(group).collect()
}

/// The same, read from outside.
fn groups(traces: &Traces) -> BTreeMap<Group, u64> {
    let mut groups = BTreeMap::new();
    for trace in traces.iter() {
        let traceback = traces.traceback(trace.traceback);
        let frames = stack(traceback);
        if !is_own(&frames[0].0) {
            let all = traceback.missing.map(|missing| frames.len() as u32 + missing);
            *groups.entry((trace.domain, trace.size, frames, all)).or_default() += 1;
        }
    }
    groups
}

fn stack(traceback: Traceback) -> Stack {
    let frame = |frame: leakspy::python::tracemalloc::TraceFrame| {
        (frame.file.to_string(), frame.line.unwrap_or_default())
    };
    traceback.frames().map(frame).collect()
}

/// Whether a file allocates for answers, as defined in `traced.py`.
fn is_own(file: &str) -> bool {
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    ["traced.py", "witness.py", "tracemalloc.py", "codecs.py", "<frozen codecs>"].contains(&name)
        || parts.next() == Some("json")
}

#[track_caller]
fn assert_same(found: &BTreeMap<Group, u64>, truth: &BTreeMap<Group, u64>) {
    let of = |map: &BTreeMap<Group, u64>, group| map.get(group).copied().unwrap_or_default();
    let different: Vec<String> = truth
        .keys()
        .chain(found.keys().filter(|group| !truth.contains_key(*group)))
        .filter(|group| of(found, group) != of(truth, group))
        .map(|group| format!("{} and not {}: {group:?}", of(found, group), of(truth, group)))
        .collect();
    let some = &different[..different.len().min(5)];
    assert!(different.is_empty(), "{} of {}: {some:#?}", different.len(), truth.len());
}

/// All blocks, of all domains and interpreters, have the sizes and stacks that tracemalloc reports; and each
/// object has its stack.
fn are_those_of_tracemalloc(interpreter: &'static Interpreter, frames: u32) -> Result<(), Failed> {
    let (mut target, process, python) = start(interpreter, frames, &[]);
    assert_eq!(python.tracing(&process)?, Some(Tracing { most_frames: frames }));
    let objects: Vec<(u64, Option<Stack>)> = serde_json::from_value(target.ask("objects"))?;
    // The first answer imports and caches modules that the second finds there.
    target.ask("traces");
    let before = ask_traces(&mut target)?;
    target.wait_until_still();
    let capture = capture(&process, &python);
    let traces = python.traces(&capture)?.expect("it is on");
    // A process that stands still need not be copied.
    let live = python.traces(&process)?.expect("it is on");
    assert_same(&groups(&live), &groups(&traces));
    let after = ask_traces(&mut target)?;
    // The effect of an answer on a block (3.13.5 frees a string now and then) shows in the next answer.
    let same = |group: &Group| before.get(group) == after.get(group);
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(|group| !same(group)).collect();
    assert!(changed.len() <= 3, "{changed:#?}");
    let settled = |all: &BTreeMap<Group, u64>| {
        let settled = all.iter().filter(|(group, _)| same(group));
        settled.map(|(group, count)| (group.clone(), *count)).collect()
    };
    assert_same(&settled(&groups(&traces)), &settled(&after));

    let types = TypeTable::new(&capture, &python, capture.extent());
    let reader = Reader::new(&capture, &types);
    let mut told = 0;
    for (object, expected) in &objects {
        let shape = reader.describe(*object, &mut Edges::new())?;
        let found = traces.traceback_of(object - shape.header).map(stack);
        // 3.11 itself does not find the block of instances whose attributes are not in a dict.
        if interpreter.version[1] != 11 || expected.is_some() {
            assert_eq!(&found, expected, "the object at {object:#x}");
        }
        told += usize::from(expected.is_some());
    }
    assert!(told > 150, "{told} of {}", objects.len());

    let has = target.ask("elsewhere");
    let blocks = |domain| traces.iter().filter(|trace| trace.domain == domain).count();
    if has["domains"] == true {
        assert_eq!((blocks(389_047), blocks(7)), (100, 101));
    }
    if has["interpreters"] == true {
        let others = traces.iter().filter(|trace| trace.size == 133);
        let script = |stack: Stack| ["<string>", "<script>"].contains(&&*stack[0].0);
        let others = others.filter(|trace| script(stack(traces.traceback(trace.traceback))));
        assert_eq!(others.count(), 321);
    }
    target.assert_healthy();
    Ok(())
}

/// Whether it is on, and with how many frames, matches the target's report; and leakspy says what to do if it
/// is off.
fn follow_the_switch(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "traced", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    for (switched, limit) in [(None, None), (Some("on"), Some(3)), (Some("off"), None)] {
        if let Some(switched) = switched {
            target.ask(&format!("switch {switched}"));
        }
        let state = target.ask("state");
        assert_eq!(state["tracing"], limit.is_some());
        let tracing = limit.map(|most_frames| Tracing { most_frames });
        assert_eq!(python.tracing(&process)?, tracing);
        let capture = capture(&process, &python);
        let traces = python.traces(&capture)?;
        assert_eq!(traces.as_ref().map(|traces| traces.tracing), tracing);
        let output = record(&target, &["-f", "folded"]);
        assert_eq!(output.status.code(), Some(if limit.is_some() { 0 } else { 1 }), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(said.contains("-X tracemalloc=25"), limit.is_none(), "{said}");
        assert_eq!(output.stdout.is_empty(), limit.is_none());
    }
    target.assert_healthy();
    Ok(())
}

fn record(target: &Target, options: &[&str]) -> std::process::Output {
    let pid = target.pid().to_string();
    let line = ["record", "--view", "traced", "--pid", &pid, "-o", "-"];
    leakspy(line.iter().chain(options))
}

/// The output has the bytes and blocks of each stack as the target reports them, and calls nothing an
/// estimate.
fn are_written_exactly(interpreter: &'static Interpreter) -> Result<(), Failed> {
    #[derive(serde::Deserialize)]
    struct Written {
        bytes: u64,
        objects: u64,
        stack: Vec<Frame>,
        allocation: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Frame {
        function: String,
        file: String,
        line: Option<u32>,
    }
    let (mut target, ..) = start(interpreter, 4, &[]);
    let is_kept = |stack: &Stack| stack.first().is_some_and(|(file, _)| is_of_heap(file));
    let mut truth: BTreeMap<(Stack, u32), (u64, u64)> = BTreeMap::new();
    for ((domain, size, stack, _), count) in ask_traces(&mut target)? {
        if is_kept(&stack) {
            let all = truth.entry((stack, domain)).or_default();
            *all = (all.0 + size * count, all.1 + count);
        }
    }
    let output = record(&target, &["--format", "json", "--by", "objects"]);
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Paused for ") && !said.contains("estimate"), "{said}");
    let mut document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document["view"], "traced");
    for key in ["error", "allocations_per_s", "bytes_per_s"] {
        assert_eq!(document[key], Value::Null, "{key}");
    }
    let mut found: BTreeMap<(Stack, u32), (u64, u64)> = BTreeMap::new();
    for written in serde_json::from_value::<Vec<Written>>(document["stacks"].take())? {
        let line = |frame: &Frame| {
            assert_eq!(frame.file.rsplit('/').next(), Some(&*frame.function));
            (frame.file.clone(), frame.line.unwrap_or_default())
        };
        let stack: Stack = written.stack.iter().map(line).collect();
        let domain = written.allocation.as_deref().map_or("0", |leaf| {
            leaf.strip_prefix("tracemalloc domain ").expect("the only kind there is")
        });
        if is_kept(&stack) {
            // Stacks that differ only in frames that were not kept have different roots.
            let all = found.entry((stack, domain.parse()?)).or_default();
            *all = (all.0 + written.bytes, all.1 + written.objects);
        }
    }
    assert_eq!(found, truth);
    for format in ["flamegraph", "folded", "speedscope"] {
        let output = record(&target, &["--format", format, "--subprocesses"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        let process = format!("process {}: ", target.pid());
        assert!(text.contains(&process) && text.contains("traced_heap.py"), "{format}");
    }
    target.assert_healthy();
    Ok(())
}

/// Whether a file allocated blocks that live for ever.
fn is_of_heap(file: &str) -> bool {
    file.ends_with("traced_heap.py") || file == "<generated>" || file.starts_with("/srv/")
}

/// While threads allocate and free, the blocks of threads that stand still are exact. A capture that fell
/// into a change is noticed, and is the exception.
fn hold_while_they_change(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, process, python) = start(interpreter, 5, &["busy"]);
    let kept = |groups: BTreeMap<Group, u64>| -> BTreeMap<Group, u64> {
        groups.into_iter().filter(|(group, _)| is_of_heap(&group.2[0].0)).collect()
    };
    let truth = kept(ask_traces(&mut target)?);
    assert!(truth.len() > 100);
    let mut torn = 0;
    for _ in 0..CAPTURES {
        let capture = capture(&process, &python);
        match python.traces(&capture) {
            Ok(traces) => assert_same(&kept(groups(&traces.expect("it is on"))), &truth),
            Err(error) => {
                assert!(error.is_passing(), "{error}");

                torn += 1;
            }
        }
    }
    assert!(torn < CAPTURES / 2, "{torn} of {CAPTURES}");
    target.assert_healthy();
    Ok(())
}

/// The search finds the tables that the symbols name.
fn are_found_without_symbols(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (target, process, python) = start(interpreter, 25, &[]);
    let Some(symbol) = python.image.symbol("tracemalloc_traces") else { return Ok(()) };
    target.wait_until_still();
    let tracing = Tracing { most_frames: 25 };
    let found = python.search_traces(&process, tracing)?.expect("they are found");
    assert_eq!(found.traces, process.u64(symbol.address)?);
    let domains = python.image.symbol("tracemalloc_domains").map(|it| process.u64(it.address));
    assert_eq!(found.domains, domains.transpose()?);
    Ok(())
}
