//! Captures of a heap and their contents, against the target's own account.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter::successors;

use leakspy::heap::figures::groups;
use leakspy::heap::{
    Amount, Analysis, Capture, CaptureOptions, Count, Discovery, Dominators, Flow, Graph, Grouping,
    Inconsistencies, NodeId, Retained, RootKind, TypeCounts,
};
use leakspy::memory::Memory;
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::gc::{Generation, HEAD_SIZE};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Interpreter, Target, cases, cases_with_numpy, interpreters};

/// The number of captures of a changing heap, over all interpreters, and the interval at which all objects of
/// one are checked.
const CAPTURES: usize = 1000;
const WHOLE: usize = 20;
/// Threads that work on a capture.
const THREADS: usize = 2;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("heap_tracked", tracked_objects_are_those_of_the_collector);
    trials.extend(cases("heap_graph", the_graph_is_that_of_the_target));
    trials.extend(cases("heap_retained", |one| retained_sizes_are_what_would_go(one, 5000)));
    if let Some(newest) = interpreters().last() {
        trials.push(Trial::test(format!("heap_retained_50000::{}", newest.name), || {
            retained_sizes_are_what_would_go(newest, 50_000)
        }));
    }
    trials.extend(cases_with_numpy("heap_numpy", data_is_counted_and_not_copied));
    trials.extend(cases("heap_still", what_stands_still_looks_the_same));
    trials.extend(cases("heap_busy", every_capture_is_consistent));
    trials
}

/// The tracked objects that the target itself reports, each with its type.
fn ask_tracked(target: &mut Target) -> BTreeMap<u64, u64> {
    let answer = target.ask("tracked");
    let rows = answer.as_str().expect("one string").split(',');
    let row = |row: &str| {
        let (object, kind) = row.split_once(':')?;
        Some((object.parse().ok()?, kind.parse().ok()?))
    };
    rows.map(|text| row(text).expect("a row")).collect()
}

/// The collector's lists in a capture have the objects that `gc.get_objects()` returns, each once, and each
/// is in a block that pymalloc has in use, or outside its arenas.
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
    // Its own count includes malloc's blocks, and the answer to the question itself.
    let its_own = target.ask("blocks").as_u64().expect("a number");
    assert!((its_own * 9 / 10..=its_own).contains(&blocks), "{blocks} of {its_own}");
    target.assert_healthy();
    Ok(())
}

/// Whether a type's objects exist only because the target waits for its next question: it reads stdin into a
/// buffer of its own.
fn is_of_the_answer(name: &String) -> bool {
    ["managedbuffer", "memoryview"].contains(&&**name)
}

/// Each tracked object is in the graph with its type, classes have as many instances as were created,
/// everything is reachable, and sizes add up. The garbage is what the fixture left behind.
fn the_graph_is_that_of_the_target(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const CYCLES: u32 = 1000;
    let mut target = Target::start(interpreter, "heap_of", &["20000"]);
    target.ask(&format!("litter {CYCLES}"));
    let made: HashMap<String, u64> = serde_json::from_value(target.ask("made"))?;
    // The target keeps its last answer until the next one: this one is not a container.
    target.ask("blocks");
    let truth = ask_tracked(&mut target);

    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let discovery = Discovery::of(&capture, &python, THREADS, true)?;
    let (graph, search) = Graph::of(&capture, discovery, THREADS);
    assert_eq!(graph.inconsistencies(), Inconsistencies::default());
    for (&object, &kind) in &truth {
        let node = graph.node(object).expect("it is found");
        assert_eq!(graph.address(node), Some(object));
        assert_eq!(graph.type_info(node).map(|found| found.address), Some(kind));
    }
    let [lists @ .., _permanent] = graph.tracked();
    let tracked: Vec<NodeId> = lists.iter().flatten().copied().collect();
    let name =
        |node: NodeId| graph.type_info(node).map(|kind| kind.name.clone()).unwrap_or_default();
    let extra = tracked.iter().filter(|&&node| is_of_the_answer(&name(node))).count();
    assert_eq!(tracked.len() - extra, truth.len());

    let mut counts: HashMap<String, u64> = HashMap::new();
    for node in graph.objects() {
        *counts.entry(name(node)).or_default() += 1;
    }
    let tally = TypeCounts::of(&capture, &python, THREADS, true)?;
    assert_eq!(tally.inconsistencies, Inconsistencies::default());
    let mut sums: HashMap<u64, Count> = HashMap::new();
    for node in graph.objects() {
        let sum = sums.entry(graph.type_info(node).expect("it has a type").address).or_default();
        sum.objects += 1;
        sum.shallow += graph.shallow(node) + graph.header(node);
        sum.external += graph.external(node);
    }
    for (kind, count) in tally.by_type() {
        let expected = sums.remove(&kind.address).unwrap_or_default();
        assert_eq!(count, expected, "{}", kind.name);
    }
    assert!(sums.is_empty(), "{sums:?}");
    for (class, count) in made {
        assert_eq!(counts.get(&format!("__main__.{class}")), Some(&count), "{class}");
    }

    let dominators = Dominators::of(search);
    let retained = Retained::of(&graph, &dominators);
    assert!(graph.objects().all(|node| dominators.reaches(node)));
    let size = |node| Amount { bytes: graph.size(node), objects: 1 };
    let all = sum(graph.objects().map(size));
    assert_eq!(retained.amount(&graph, NodeId::ROOT), all);
    let nodes = NodeId::ROOT.up_to(graph.end());
    let below_root = nodes.filter(|&node| dominators.immediate(node) == Some(NodeId::ROOT));
    assert_eq!(sum(below_root.map(|node| retained.amount(&graph, node))), all);
    let root = |kind: RootKind| {
        let node = graph.root_nodes().find(|(_, root)| root.kind == kind).expect("it is there").0;
        retained.amount(&graph, node)
    };
    assert_eq!(root(RootKind::Garbage).objects, 2 * CYCLES);
    assert!(root(RootKind::Native).bytes < all.bytes / 5, "{:?}", root(RootKind::Native));
    Ok(())
}

/// Two looks at a stopped process find the same objects with the same references, however many threads trace
/// them, and also those that only an object of an unknown type refers to.
fn what_stands_still_looks_the_same(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "still", &[]);
    let unpicklers = target.ask("unpicklers").as_u64().expect("a number");
    let pid = Pid::from_raw(target.pid());
    kill(pid, Signal::SIGSTOP)?;
    let look = |threads| -> Result<_, Failed> {
        let process = Process::open(target.pid())?;
        let python = Python::attach(&process)?;
        let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
        let discovery = Discovery::of(&capture, &python, threads, true)?;
        let (graph, _) = Graph::of(&capture, discovery, threads);
        let address = |&node: &NodeId| graph.address(node);
        let row = |node: NodeId| {
            let kind = graph.type_info(node).map(|kind| (kind.name.clone(), kind.address));
            let held: Vec<_> = match node < graph.first_leaf() {
                true => graph.successors(node).iter().map(address).collect(),
                false => Vec::new(),
            };
            (graph.address(node), kind, graph.size(node), graph.external(node), held)
        };
        let rows: Vec<_> = graph.objects().map(row).collect();
        Ok((rows, graph.inconsistencies()))
    };
    let (first, inconsistencies) = look(1)?;
    assert_eq!(inconsistencies, Inconsistencies::default());
    for threads in [1, 2, 8, 8, 8] {
        let (rows, others) = look(threads)?;
        assert_eq!(others, inconsistencies);
        assert_eq!(rows.len(), first.len(), "{threads} threads");
        let differing = rows.iter().zip(&first).find(|(one, other)| one != other);
        assert_eq!(differing, None, "{threads} threads");
    }
    let is_stack = |kind: &(String, u64)| kind.0 == "_pickle.Pdata";
    let stacks = first.iter().filter(|row| row.1.as_ref().is_some_and(is_stack)).count();
    assert_eq!(stacks as u64, unpicklers);
    kill(pid, Signal::SIGCONT)?;
    target.assert_healthy();
    Ok(())
}

/// An object's retained size is that of everything that becomes unreachable when it is removed from the
/// graph.
fn retained_sizes_are_what_would_go(
    interpreter: &'static Interpreter,
    objects: u32,
) -> Result<(), Failed> {
    const SAMPLES: usize = 50;
    let target = Target::start(interpreter, "heap_of", &[&objects.to_string()]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let heap = Analysis::of(&process, &python, &CaptureOptions::default())?;
    let Analysis { graph, retained, .. } = &heap;
    let all = retained.amount(graph, NodeId::ROOT);
    assert!(all.objects > objects);
    // The largest objects, and some of all sizes.
    let mut nodes: Vec<NodeId> = NodeId(1).up_to(graph.first_leaf()).collect();
    nodes.sort_by_key(|&node| std::cmp::Reverse(retained.amount(graph, node).bytes));
    let step = nodes.len().div_ceil(SAMPLES);
    for &node in nodes.iter().take(SAMPLES).chain(nodes.iter().step_by(step)) {
        let rest = reached_without(graph, node);
        let own = retained.amount(graph, node);
        let expected =
            Amount { bytes: all.bytes - rest.bytes, objects: all.objects - rest.objects };
        assert_eq!(own, expected, "{node:?}");
    }
    retained_by_type_is_not_counted_twice(&heap);
    Ok(())
}

/// A type's retained size counts its objects that no other object of the type dominates.
fn retained_by_type_is_not_counted_twice(heap: &Analysis) {
    let Analysis { graph, dominators, .. } = heap;
    let mut expected: HashMap<&str, u64> = HashMap::new();
    for node in graph.objects() {
        let name = |node| graph.type_info(node).map_or("", |kind| kind.name.as_str());
        let mut above = successors(dominators.immediate(node), |&node| dominators.immediate(node));
        let sum = expected.entry(name(node)).or_default();
        if above.all(|above| name(above) != name(node)) {
            *sum += heap.amount(node).bytes;
        }
    }
    let table = groups(heap, Grouping::Type);
    assert_eq!(table.len(), expected.len());
    for group in table {
        assert_eq!(group.retained, expected.get(&*group.name).copied(), "{}", group.name);
    }
}

/// The objects reachable from the root without passing `absent`.
fn reached_without(graph: &Graph, absent: NodeId) -> Amount {
    let mut reached = vec![false; graph.end().index()];
    let mut rest = vec![NodeId::ROOT];
    let mut amount = Amount::default();
    reached[absent.index()] = true;
    reached[0] = true;
    while let Some(node) = rest.pop() {
        if node >= graph.first_object() {
            amount = sum([amount, Amount { bytes: graph.size(node), objects: 1 }]);
        }
        if node >= graph.first_leaf() {
            continue;
        }
        for &next in graph.successors(node) {
            if !std::mem::replace(&mut reached[next.index()], true) {
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

/// While the heap changes as fast as it can, the lists in each capture are closed, all their objects have
/// types, all are in blocks in use, and the pools are consistent except for the one that the target may be
/// changing at that moment.
fn every_capture_is_consistent(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "heap_of", &["2000", "busy"]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let (mut whole, mut perfect) = (0, 0);
    for number in 0..CAPTURES.div_ceil(interpreters().len()) {
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
        if number % WHOLE == 0 {
            whole += 1;
            perfect += u32::from(is_whole_graph_perfect(&python, &capture)?);
        }
    }
    assert!(2 * perfect > whole, "{perfect} of {whole} graphs are perfect");
    target.assert_healthy();
    Ok(())
}

/// All objects can be read except for one being created at that moment, all are reachable, and sizes add up.
/// Returns whether all references lead to objects as well: an object being created can have many that do not.
fn is_whole_graph_perfect(python: &Python, capture: &Capture) -> Result<bool, Failed> {
    let discovery = Discovery::of(capture, python, THREADS, true)?;
    let (graph, search) = Graph::of(capture, discovery, THREADS);
    let found = graph.inconsistencies();
    assert!(found.open_lists == 0 && found.unreadable <= 1, "{found:?}");
    let dominators = Dominators::of(search);
    let retained = Retained::of(&graph, &dominators);
    assert!(graph.objects().all(|node| dominators.reaches(node)));
    let all = sum(graph.objects().map(|node| Amount { bytes: graph.size(node), objects: 1 }));
    assert_eq!(retained.amount(&graph, NodeId::ROOT), all);
    Ok(found == Inconsistencies::default())
}

/// numpy's data counts in full, but hardly any of it is copied.
fn data_is_counted_and_not_copied(interpreter: &Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "numpy_heap", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let without = Capture::take(&process, &python, &CaptureOptions::default())?.facts;
    let owned = target.ask("grow").as_u64().expect("a number");
    assert!(owned >= 1_000_000_000);
    let capture = Capture::take(&process, &python, &CaptureOptions::default())?;
    let facts = capture.facts;
    assert!(facts.copied < without.copied * 12 / 10, "{facts:?} and {without:?}");
    assert!(facts.left_out > owned * 99 / 100, "{facts:?}");
    let tally = TypeCounts::of(&capture, &python, THREADS, true)?;
    let arrays = tally.by_type().find(|(kind, _)| kind.name == "numpy.ndarray");
    let found = arrays.map_or(0, |(_, count)| count.external);
    assert!(found.abs_diff(owned) < owned / 100, "{found} of {owned}");
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

/// The number of objects in an arena that are not at the start of a block in use.
fn homeless(python: &Python, capture: &Capture, objects: &[u64]) -> Result<usize, Failed> {
    let mut blocks = Vec::new();
    let arenas = python.arenas(capture)?;
    for arena in &arenas {
        python.for_each_block(capture, arena, |block| blocks.push(block.address));
    }
    let in_arena = |object| arenas.iter().any(|arena| (arena.start..arena.end).contains(&object));
    // Some types have two more words before the collector's header.
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

/// Whether the type of this object is a type: its type's type is `type`, or has `type` as its type.
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
