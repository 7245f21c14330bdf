//! Since when an object has existed, as a hunt sees it, against what the target says of itself: among very many
//! objects that die, whose places others take.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Interpreter, Target, cases};
use leakspy::heap::{Analysis, CaptureOptions};
use leakspy::hunt::compare::heap_columns::HeapColumns;
use leakspy::process::Process;
use leakspy::python::Python;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// What becomes of the collector meanwhile.
const MODES: [&str; 5] = ["usual", "young", "full", "off", "frozen"];
/// So many captures, after as many steps.
const STEPS: u64 = 4;
/// What share of the births may be wrong.
const MOST_WRONG: f64 = 0.001;

pub fn trials() -> Vec<Trial> {
    let trials = |mode: &'static str| {
        cases(&format!("identity_{mode}"), move |it| births_are_those_of_the_target(it, mode))
    };
    MODES.into_iter().flat_map(trials).collect()
}

fn births_are_those_of_the_target(
    interpreter: &'static Interpreter,
    mode: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "identity", &[mode]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let mut snapshots: Vec<HeapColumns> = Vec::new();
    for step in 0..STEPS {
        target.ask(&format!("step {step}"));
        let heap = Analysis::of(&process, &python, &CaptureOptions::default())?;
        let at = Duration::from_secs(step);
        let snapshot = HeapColumns::of(&heap, &python, at, snapshots.last_mut());
        snapshots.push(snapshot);
        if step + 1 == STEPS {
            let births = snapshots.last().map(HeapColumns::births).unwrap_or_default();
            assert_births(&heap, births, &mut target);
        }
    }
    target.assert_healthy();
    Ok(())
}

/// Asserts that nearly all that survives has the birth that the target says.
fn assert_births(heap: &Analysis<'_>, births: &[u8], target: &mut Target) {
    for (what, share) in share_of_wrong_births(heap, births, target) {
        assert!(share < MOST_WRONG, "{what}: {share} are wrong");
    }
}

/// The share of births that are not as the target says: of what survives, of what was there before, and of what soon
/// goes.
pub(super) fn share_of_wrong_births(
    heap: &Analysis<'_>,
    births: &[u8],
    target: &mut Target,
) -> [(&'static str, f64); 3] {
    let with_steps = |answer: &Value| -> Vec<(u64, u64)> {
        let rows = answer.as_array().expect("rows").iter();
        rows.filter_map(|row| Some((row[0].as_u64()?, row[1].as_u64()?))).collect()
    };
    let of_one_step = |answer: &Value, step: u64| -> Vec<(u64, u64)> {
        let addresses = answer.as_array().expect("addresses").iter().filter_map(Value::as_u64);
        addresses.map(|address| (address, step)).collect()
    };
    let survivors = with_steps(&target.ask("truth"));
    let old = of_one_step(&target.ask("old"), 0);
    let temporaries = of_one_step(&target.ask("hand"), STEPS - 1);
    assert!(survivors.len() > 5000 && old.len() > 500 && temporaries.len() > 1000);
    let all = [("survivors", survivors), ("old", old), ("temporaries", temporaries)];
    all.map(|(what, truth)| {
        let mut wrong: BTreeMap<_, usize> = BTreeMap::new();
        for &(address, step) in &truth {
            let Some(node) = heap.graph.node(address) else { continue };
            let birth = heap.graph.object_index(node).and_then(|index| births.get(index)).copied();
            if birth.map(u64::from) != Some(step) {
                let kind = heap.graph.type_info(node).map(|info| info.name.clone());
                *wrong.entry((kind, step, birth)).or_default() += 1;
            }
        }
        let share = wrong.values().sum::<usize>() as f64 / truth.len() as f64;
        eprintln!("{what}: {share} of {} are wrong: {wrong:?}", truth.len());
        (what, share)
    })
}
