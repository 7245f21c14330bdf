//! Snapshot files made to be slow: valid in every number, but of a shape that no program has. Each question is
//! answered in bounded time.

use std::path::Path;
use std::time::Duration;

use leakspy::snapshot::container::{Encoding, Writer};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;
use tempfile::TempDir;

#[path = "../interpreters/snapshot/crafted.rs"]
#[allow(dead_code, reason = "changes of real files are tried elsewhere")]
mod crafted;
use crafted::ask;

/// The longest that the processor may be busy with one of them, without optimization.
const LONGEST: Duration = Duration::from_secs(60);
/// Above all roots of a heap.
const TOP: u32 = 0;

/// A heap: containers, all of 64 bytes, each with the nodes that it refers to.
struct Heap {
    /// Each root's kind, and its successors.
    roots: Vec<(serde_json::Value, Vec<u32>)>,
    containers: Vec<Vec<u32>>,
    /// The immediate dominator of each node after the first.
    dominators: Vec<u32>,
    /// Whether each container has a type of its own.
    has_many_types: bool,
}

impl Heap {
    /// Containers below one root: the node of the first of them is 2.
    fn below_one_root(first: Vec<u32>, containers: Vec<Vec<u32>>, dominators: Vec<u32>) -> Heap {
        let roots = vec![(json!("Static"), first)];
        let dominators = [TOP].into_iter().chain(dominators).collect();
        Heap { roots, containers, dominators, has_many_types: false }
    }

    fn write(&self, path: &Path) {
        let mut out = Writer::create(path).expect("a folder");
        let document = |value: serde_json::Value| value.to_string().into_bytes();
        let facts = json!({
            "leakspy": "0", "host": "h", "pid": 1, "started": 1, "command": "c", "executable": "e",
            "python": "3.12.1", "time": {"secs": 1, "nanos": 0}, "clock": null,
            "pause": {"secs": 0, "nanos": 1}, "paused": {"secs": 0, "nanos": 1}, "copied": 1, "left_out": 0,
            "rss": 1, "open_lists": 0, "dangling": 0, "unreadable": 0, "disclosure": "names",
        });
        let count = self.containers.len() as u64;
        let types = if self.has_many_types { count } else { 1 };
        let info = |number: u64| {
            json!({
                "address": 4096 + 64 * number, "name": format!("T{number}"), "module": "m", "is_gc": true,
                "made_in_python": true, "header": 16, "basic_size": 64, "item_size": 0, "finalizer": "plain",
                "is_leaf": false, "body": "plain",
            })
        };
        let roots = self.roots.iter().map(|(kind, _)| json!({"kind": kind, "objects": []}));
        for (name, value) in [
            ("facts", facts),
            ("types", (0..types).map(info).collect()),
            ("roots", roots.collect()),
            ("roles", json!([])),
            ("collectors", json!([])),
            ("key.text", json!(null)),
            ("value.text", json!(null)),
            ("name.text", json!(null)),
        ] {
            let bytes = if value.is_null() { Vec::new() } else { document(value) };
            out.bytes(name, &bytes).expect("room");
        }
        let mut numbers = |name: &'static str, numbers: &mut dyn Iterator<Item = u64>| {
            out.numbers(name, Encoding::Differences, numbers).expect("room");
        };
        numbers("run.address", &mut [1 << 20].into_iter());
        numbers("run.pages", &mut [count.div_ceil(64)].into_iter());
        numbers("container.word", &mut (0..count).map(|number| 8 * number));
        numbers("object.type", &mut (0..count).map(|number| 1 + number % types));
        numbers("object.size", &mut (0..count).map(|_| 64));
        let above: Vec<u64> = (1..=self.roots.len() as u64).collect();
        let successors = self.roots.iter().map(|(_, to)| to.len() as u64);
        numbers("root.count", &mut [above.len() as u64].into_iter().chain(successors));
        let targets = self.roots.iter().flat_map(|(_, to)| to).map(|&to| to.into());
        numbers("root.target", &mut above.into_iter().chain(targets));
        numbers("edge.count", &mut self.containers.iter().map(|to| to.len() as u64));
        numbers("edge.role", &mut self.containers.iter().flatten().map(|_| 0));
        let mut last = 0_u64;
        let target = |&to: &u32| {
            let difference = u64::from(to).wrapping_sub(last) as i64;
            last = to.into();
            ((difference << 1) ^ (difference >> 63)) as u64
        };
        numbers("edge.target", &mut self.containers.iter().flatten().map(target));
        numbers("dominator", &mut self.dominators.iter().map(|&above| 1 + u64::from(above)));
        numbers("frame.count", &mut self.roots.iter().map(|_| 0));
        for name in [
            "leaf.word",
            "external.node",
            "external.bytes",
            "fixed.node",
            "gc.young",
            "gc.middle",
            "gc.old",
            "gc.frozen",
            "edge.key",
            "frame.target",
            "frame.role",
            "key.node",
            "key.form",
            "key.length",
            "value.node",
            "value.length",
            "function.node",
            "function.closure",
            "function.defaults",
            "function.name",
            "name.length",
            "counted.node",
            "counted.count",
        ] {
            numbers(name, &mut std::iter::empty());
        }
        out.finish().expect("room");
    }

    /// Asks the heap everything, within the time.
    fn ask(&self) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("heap.leakspy");
        self.write(&path);
        let busy = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
        let begun = busy().expect("a clock");
        ask(&path, None).expect("it is valid");
        let took = busy().expect("a clock") - begun;
        assert!(took < LONGEST, "{took:?}");
    }
}

/// A chain: each refers to the next, and dominates it.
fn chain(length: u32) -> Heap {
    let next = |node| if node == length + 1 { vec![] } else { vec![node + 1] };
    Heap::below_one_root(vec![2], (2..length + 2).map(next).collect(), (1..=length).collect())
}

#[test]
fn a_chain_in_which_each_object_has_a_type_of_its_own() {
    Heap { has_many_types: true, ..chain(100_000) }.ask();
}

#[test]
fn a_holder_of_many_cycles() {
    let count = 200_000;
    let all = vec![(3..3 + count).collect()];
    let cycles = (3..3 + count).map(|node| vec![node]);
    let dominators = [1].into_iter().chain((0..count).map(|_| 2)).collect();
    Heap::below_one_root(vec![2], all.into_iter().chain(cycles).collect(), dominators).ask();
}

#[test]
fn a_chain_of_cycles() {
    let mut heap = chain(200_000);
    for (number, to) in heap.containers.iter_mut().enumerate() {
        let node = number as u32 + 2;
        to.push(if number % 2 == 0 { node } else { node - 1 });
    }
    heap.ask();
}

#[test]
fn a_recursion_of_a_hundred_thousand_frames() {
    let count = 100_000;
    let first = count + 2;
    let thread = (json!({"Thread": {"state": 1, "pthread": 2}}), (2..first).collect());
    let frames = (0..count).map(|number| {
        (json!({"Frame": {"thread": 0, "frame": 100 + number}}), vec![first + number])
    });
    let roots: Vec<_> = [thread].into_iter().chain(frames).collect();
    let dominators = [TOP].into_iter().chain((0..count).map(|_| 1)).chain(2..first).collect();
    let containers = (0..count).map(|_| Vec::new()).collect();
    Heap { roots, containers, dominators, has_many_types: false }.ask();
}

/// Dominators that form a tree, but not that of the graph: a chain against its direction.
#[test]
fn dominators_against_the_direction_of_the_references() {
    let mut heap = chain(200_000);
    heap.dominators = [TOP].into_iter().chain(3..=200_001).chain([1]).collect();
    heap.ask();
}
