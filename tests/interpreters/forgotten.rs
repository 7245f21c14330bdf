//! Objects of which a reference was forgotten are told themselves, and not what they hold.

use libtest_mimic::{Failed, Trial};

use super::hunt::{list, verdict};
use crate::support::{Interpreter, Target, interpreters};

const TYPES: [&str; 5] = ["dict", "list", "tuple", "set", "bytes"];

/// Each type on two interpreters or more.
pub fn trials() -> Vec<Trial> {
    let each = interpreters().iter().zip(TYPES.into_iter().cycle());
    let trial = |(interpreter, kind): (&'static Interpreter, &'static str)| {
        let name = format!("forgotten_{kind}::{}", interpreter.name);
        Trial::test(name, move || what_lacks_a_reference_is_told(interpreter, kind))
    };
    each.map(trial).collect()
}

fn what_lacks_a_reference_is_told(
    interpreter: &'static Interpreter,
    kind: &str,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "forgotten", &[kind]);
    let document = verdict(target.pid(), "10")?;
    let [finding] = list(&document["findings"]) else {
        return Err(format!("{document:#}").into());
    };
    assert_eq!(finding["kind"], "refcount", "{finding:#}");
    assert_eq!(finding["type"], target.ask("truth"), "{finding:#}");
    // About two hundred a second are made, at most.
    let rate = finding["objects_per_s"].as_f64();
    assert!(Some(20.0) < rate && rate < Some(210.0), "{finding:#}");
    target.assert_healthy();
    Ok(())
}
