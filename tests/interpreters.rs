//! The ground of all other tests: each promised version is there, and the fixtures tell the truth.

mod support;

use libtest_mimic::{Arguments, Failed};
use support::{Interpreter, Target, cases, required_versions};

fn main() {
    let mut trials = required_versions();
    trials.extend(cases("stacks", stacks_stand_still));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The witness answers for the process we started, and says the same twice: what it says can be
/// compared with what is read from outside at another moment.
fn stacks_stand_still(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let described = target.ask("describe");
    assert_eq!(described["pid"], target.pid());
    assert_eq!(described["version"], serde_json::json!(interpreter.version));

    let mut once = target.ask("stacks");
    let mut again = target.ask("stacks");
    for answer in [&mut once, &mut again] {
        let threads = answer.as_array_mut().expect("stacks are a list");
        threads.retain(|thread| thread["witness"] == false);
        assert!(threads.len() > 20, "{} threads", threads.len());
    }
    assert_eq!(once, again);
    target.assert_healthy();
    target.tell("exit");
    assert!(target.wait().success());
    Ok(())
}
