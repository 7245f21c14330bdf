//! A hunt that goes by the steps of a test: what grows by one with each step is told as one a step, and what a step
//! leaves behind only once is not told.

use libtest_mimic::{Failed, Trial};

use super::hunt::list;
use crate::support::{Interpreter, Target, assert_documented, cases, interpreters, leakspy};

/// How many steps are done.
const STEPS: u32 = 12;
const WARM_UP: u32 = 11;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("steps", what_grows_with_each_step_is_told_by_the_step);
    let some = interpreters().last().expect("an interpreter");
    let name = format!("steps_failing::{}", some.name);
    trials.push(Trial::test(name, || a_step_that_fails_ends_the_hunt(some)));
    trials
}

fn what_grows_with_each_step_is_told_by_the_step(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let folder = interpreter.scratch();
    let inside = interpreter.inside(folder.path());
    let mut target = Target::start(interpreter, "steps", &[inside.to_str().expect("it is text")]);
    let at = folder.path().display();
    let command = format!("echo step > '{at}/step' && read done < '{at}/done'");
    let [pid, times, warm_up] = [target.pid().to_string(), STEPS.to_string(), WARM_UP.to_string()];
    let output = leakspy([
        "hunt",
        "--json",
        "--pid",
        &pid,
        "--every",
        &command,
        "--times",
        &times,
        "--warm-up",
        &warm_up,
    ]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    assert_eq!(target.ask("truth")["steps"], STEPS + WARM_UP);
    let [finding] = list(&document["findings"]) else {
        return Err(format!("{document:#}").into());
    };
    assert_eq!(document["steps"], STEPS);
    assert_eq!(finding["holder"]["name"], "__main__.KEPT");
    assert_eq!(finding["objects_per_s"], 1.0, "{finding:#}");
    let own = &finding["feeders"][0]["own_frame"];
    assert_eq!(own["function"], "handle", "{finding:#}");
    assert!(document["filling"].as_array().is_some_and(Vec::is_empty), "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn a_step_that_fails_ends_the_hunt(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "chat", &[]);
    let pid = target.pid().to_string();
    let output = leakspy(["hunt", "--pid", &pid, "--every", "exit 7"]);
    let said = String::from_utf8(output.stderr)?;
    assert!(
        !output.status.success() && said.contains("`exit 7`, which does a step, failed"),
        "{said}"
    );
    target.assert_healthy();
    Ok(())
}
