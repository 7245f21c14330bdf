//! Objects that nothing refers to, recognized among the blocks of memory in use: all of them, and nothing else.

use std::collections::BTreeMap;

use leakspy::heap::{Analysis, Inconsistencies};
use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, cases, with_heap};

pub fn trials() -> Vec<Trial> {
    cases("stale", rests_of_objects_are_no_objects)
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
