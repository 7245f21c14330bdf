//! Objects that nothing refers to, recognized among the blocks of memory in use: all of them, and nothing else.

use std::collections::BTreeMap;

use leakspy::heap::{Analysis, Flow, Inconsistencies, NodeId};
use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, cases, with_heap};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("stale", rests_of_objects_are_no_objects);
    trials.extend(cases("held_by_c", what_only_c_holds_is_there));
    trials
}

/// How many objects of each of these types a heap has.
fn counts(heap: &Analysis<'_>, types: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = types.keys().map(|name| (name.clone(), 0)).collect();
    for node in heap.graph.objects() {
        let name = heap.graph.type_info(node).map(|info| info.name.as_str());
        if let Some(count) = name.and_then(|name| counts.get_mut(name)) {
            *count += 1;
        }
    }
    counts
}

/// What is left of an object in memory that is used for something else is no object; one that only native code
/// keeps is.
fn rests_of_objects_are_no_objects(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stale", &[]);
    let truth: BTreeMap<String, u64> = serde_json::from_value(target.ask("kept"))?;
    with_heap(&target, |heap, _, _| {
        assert_eq!(counts(heap, &truth), truth);
        assert_eq!(heap.graph.inconsistencies(), Inconsistencies::default());
    })?;
    target.assert_healthy();
    Ok(())
}

/// Large objects to which only objects of an undescribed type point are all there, held by those, and none that is not.
fn what_only_c_holds_is_there(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "held_by_c", &[]);
    let truth: BTreeMap<String, u64> = serde_json::from_value(target.ask("kept"))?;
    let holders = target.ask("holders").as_u64().expect("a number");
    with_heap(&target, |heap, _, _| {
        let graph = &heap.graph;
        let name = |node: NodeId| graph.type_info(node).map_or("", |info| info.name.as_str());
        let kind = |node: NodeId| format!("{} {}", name(node), graph.size(node));
        let mut found: BTreeMap<String, u64> = truth.keys().map(|kind| (kind.clone(), 0)).collect();
        let mut held = found.clone();
        let mut found_holders = 0;
        for node in graph.objects() {
            found.entry(kind(node)).and_modify(|count| *count += 1);
            if name(node) == "witness.Holder" {
                found_holders += 1;
                for &child in graph.successors(node) {
                    held.entry(kind(child)).and_modify(|count| *count += 1);
                }
            }
        }
        assert_eq!(found, truth);
        assert_eq!(held, truth);
        assert_eq!(found_holders, holders);
        assert_eq!(graph.inconsistencies(), Inconsistencies::default());
    })?;
    target.assert_healthy();
    Ok(())
}
