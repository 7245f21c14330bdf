//! Captures of a heap, and what is found in them, against what the target says of itself.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use leakspy::heap::{
    Amount, Capture, CaptureOptions, Discovery, Dominators, Flow, Graph, Inconsistencies, Retained,
    RootKind,
};
use leakspy::memory::Memory;
use leakspy::python::Python;
use leakspy::python::gc::{Generation, HEAD_SIZE};
use leakspy::target::Process;
use libtest_mimic::{Arguments, Failed};
use support::{Interpreter, Target, cases};

/// Captures of a heap that changes, for each interpreter.
const CAPTURES: usize = 100;
/// Threads that work on a capture.
const THREADS: usize = 2;

fn main() {
    let mut trials = cases("heap_tracked", tracked_objects_are_those_of_the_collector);
    trials.extend(cases("heap_graph", the_graph_is_that_of_the_target));
    trials.extend(cases("heap_retained", retained_sizes_are_what_would_go));
    trials.extend(cases("heap_busy", every_capture_is_consistent));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The tracked objects as the target itself gives them, each with its type.
fn ask_tracked(target: &mut Target) -> BTreeMap<u64, u64> {
    let answer = target.ask("tracked");
    let rows = answer.as_str().expect("one string").split(',');
    let row = |row: &str| {
        let (object, kind) = row.split_once(':')?;
        Some((object.parse().ok()?, kind.parse().ok()?))
    };
    rows.map(|text| row(text).expect("a row")).collect()
}

/// The collector's lists in a capture have the objects that `gc.get_objects()` gives, each once, and
/// each is in a block that pymalloc says is in use, or outside of its arenas.
fn tracked_objects_are_those_of_the_collector(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "heap_of", &["20000"]);
    let truth: BTreeSet<u64> = ask_tracked(&mut target).into_keys().collect();
    assert!(truth.len() > 5000);

    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let (frozen, tracked) = tracked(&python, &capture)?;
    let found: BTreeSet<u64> = tracked.iter().copied().collect();
    assert_eq!(found.len(), tracked.len(), "each is found once");
    let name = |object: &u64| type_name(&python, &capture, *object);
    let missing: Vec<_> = truth.difference(&found).map(name).collect();
    let extra: Vec<_> = found.difference(&truth).map(name).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
    assert!(extra.iter().all(is_of_the_answer), "extra {extra:?}");
    assert_eq!(frozen, target.ask("frozen"));

    assert_eq!(homeless(&python, &capture, &tracked)?, 0);
    let blocks = count_blocks(&python, &capture)?;
    // Its own count has the blocks of malloc too, and the answer to the question itself.
    let its_own = target.ask("blocks").as_u64().expect("a number");
    assert!((its_own * 9 / 10..=its_own).contains(&blocks), "{blocks} of {its_own}");
    target.assert_healthy();
    Ok(())
}

/// Whether a type's objects are there only because the target waits for its next question: it reads from
/// stdin into a buffer of its own.
fn is_of_the_answer(name: &String) -> bool {
    ["managedbuffer", "memoryview"].contains(&&**name)
}

/// Each tracked object is in the graph with its type, classes have as many objects as were made of them,
/// everything is reached, and sizes add up. Garbage is what was left behind.
fn the_graph_is_that_of_the_target(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const CYCLES: u32 = 1000;
    let mut target = Target::start(interpreter, "heap_of", &["20000"]);
    target.ask(&format!("litter {CYCLES}"));
    let made: HashMap<String, u64> = serde_json::from_value(target.ask("made"))?;
    // The target keeps its last answer until the next: this one is no container.
    target.ask("blocks");
    let truth = ask_tracked(&mut target);

    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let discovery = Discovery::of(&capture, &python, THREADS, true)?;
    let (graph, search) = Graph::of(&capture, discovery, THREADS);
    assert_eq!(graph.inconsistencies(), Inconsistencies::default());
    for (&object, &kind) in &truth {
        let node = graph.node(&capture, object).expect("it is found");
        assert_eq!(graph.address(&capture, node), Some(object));
        assert_eq!(graph.kind(node).map(|found| found.address), Some(kind));
    }
    let [lists @ .., _permanent] = graph.tracked();
    let tracked: Vec<u32> = lists.iter().flatten().copied().collect();
    let name = |node: u32| graph.kind(node).map(|kind| kind.name.clone()).unwrap_or_default();
    let extra = tracked.iter().filter(|&&node| is_of_the_answer(&name(node))).count();
    assert_eq!(tracked.len() - extra, truth.len());

    let mut counts: HashMap<String, u64> = HashMap::new();
    for node in graph.objects() {
        *counts.entry(name(node)).or_default() += 1;
    }
    for (class, count) in made {
        assert_eq!(counts.get(&format!("__main__.{class}")), Some(&count), "{class}");
    }

    let dominators = Dominators::of(search);
    let retained = Retained::of(&graph, &dominators);
    assert!(graph.objects().all(|node| dominators.reaches(node)));
    let size = |node| Amount { bytes: graph.size(node), objects: 1 };
    let all = sum(graph.objects().map(size));
    assert_eq!(retained.amount(&graph, 0), all);
    let below_root = (0..graph.end()).filter(|&node| dominators.immediate(node) == Some(0));
    assert_eq!(sum(below_root.map(|node| retained.amount(&graph, node))), all);
    let root = |kind: RootKind| {
        let root = graph.roots().iter().position(|root| root.kind == kind).expect("it is there");
        retained.amount(&graph, 1 + root as u32)
    };
    assert_eq!(root(RootKind::Garbage).objects, 2 * CYCLES);
    assert!(root(RootKind::Native).bytes < all.bytes / 5, "{:?}", root(RootKind::Native));
    Ok(())
}

/// What an object retains is what cannot be reached any more when it is taken out of the graph.
fn retained_sizes_are_what_would_go(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const SAMPLES: usize = 50;
    let target = Target::start(interpreter, "heap_of", &["5000"]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let discovery = Discovery::of(&capture, &python, THREADS, true)?;
    let (graph, search) = Graph::of(&capture, discovery, THREADS);
    let dominators = Dominators::of(search);
    let retained = Retained::of(&graph, &dominators);
    let all = retained.amount(&graph, 0);
    // The largest, and some of all sizes.
    let mut nodes: Vec<u32> = (1..graph.first_leaf()).collect();
    nodes.sort_by_key(|&node| std::cmp::Reverse(retained.amount(&graph, node).bytes));
    let step = nodes.len().div_ceil(SAMPLES);
    for &node in nodes.iter().take(SAMPLES).chain(nodes.iter().step_by(step)) {
        let rest = reached_without(&graph, node);
        let own = retained.amount(&graph, node);
        let expected =
            Amount { bytes: all.bytes - rest.bytes, objects: all.objects - rest.objects };
        assert_eq!(own, expected, "node {node}");
    }
    Ok(())
}

/// The objects that can be reached from the root of all without passing a node.
fn reached_without(graph: &Graph, absent: u32) -> Amount {
    let mut reached = vec![false; graph.end() as usize];
    let mut rest = vec![0];
    let mut amount = Amount::default();
    reached[absent as usize] = true;
    reached[0] = true;
    while let Some(node) = rest.pop() {
        if graph.objects().contains(&node) {
            amount = sum([amount, Amount { bytes: graph.size(node), objects: 1 }]);
        }
        if node >= graph.first_leaf() {
            continue;
        }
        for &next in graph.successors(node) {
            if !std::mem::replace(&mut reached[next as usize], true) {
                rest.push(next);
            }
        }
    }
    amount
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    amounts.into_iter().fold(Amount::default(), |sum, amount| Amount {
        bytes: sum.bytes + amount.bytes,
        objects: sum.objects + amount.objects,
    })
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
