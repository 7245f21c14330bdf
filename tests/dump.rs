//! `leakspy dump` against what the target says of itself: every thread, every frame, on every
//! interpreter; and what a person is told where there is nothing to dump.

mod support;

use std::collections::BTreeMap;
use std::process::Output;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use support::{Interpreter, Target, cases, leakspy};

fn main() {
    let mut trials = cases("dump_stacks", equals_current_frames);
    trials.extend(cases("dump_nonblocking", needs_no_pause_to_see_what_stands_still));
    trials.push(Trial::test("dump_errors::no such process", no_such_process));
    trials.push(Trial::test("dump_errors::not a Python", not_a_python));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn equals_current_frames(interpreter: &'static Interpreter) -> Result<(), Failed> {
    compare(interpreter, &[])
}

fn needs_no_pause_to_see_what_stands_still(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    compare(interpreter, &["--nonblocking"])
}

/// Every thread of `stacks.py` is in the dump with the name, the number and each frame that the
/// target itself gives it; nothing else is, and the target is none the worse.
fn compare(interpreter: &'static Interpreter, options: &[&str]) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let dump = dump(target.pid(), options);
    let mut truth = by_native_id(&target.ask("stacks"), "native_id");
    let mut found = by_native_id(&dump["threads"], "os_thread_id");

    assert_eq!(dump["schema"], 1);
    assert_eq!(dump["pid"], target.pid());
    let version = interpreter.version.map(|number| number.to_string()).join(".");
    assert_eq!(dump["python"], json!(version));
    assert!(dump["pause_s"].as_f64().is_some_and(|pause| (0.0..0.1).contains(&pause)));

    assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    let witness = truth
        .iter()
        .find_map(|(id, thread)| (thread["witness"] == true).then_some(*id))
        .expect("one thread is the witness");
    let (own, _) = (found.remove(&witness), truth.remove(&witness));
    assert_eq!(own.expect("it is there")["name"], "witness");

    for (id, expected) in truth {
        let thread = &found[&id];
        assert_eq!(thread["name"], expected["name"], "{id}");
        assert_eq!(thread["complete"], true, "{}", expected["name"]);
        assert_eq!(thread["holds_gil"], false, "{}", expected["name"]);
        assert_eq!(thread["running"], false, "{}", expected["name"]);
        same_frames(&thread["stack"], &expected["stack"], &expected["name"]);
    }
    target.assert_healthy();
    Ok(())
}

/// Names the first frame that differs: stacks of 500 frames are no good in a message.
fn same_frames(found: &Value, expected: &Value, thread: &Value) {
    let (found, expected) = (frames(found), frames(expected));
    for (depth, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "frame {depth} of {thread}");
    }
    assert_eq!(found.len(), expected.len(), "frames of {thread}");
}

fn frames(stack: &Value) -> &Vec<Value> {
    stack.as_array().expect("a stack is a list")
}

fn by_native_id(threads: &Value, key: &str) -> BTreeMap<i64, Value> {
    let threads = threads.as_array().expect("threads are a list");
    let mut by_id = BTreeMap::new();
    for thread in threads {
        let id = thread[key].as_i64().expect("each thread's number is known");
        assert!(by_id.insert(id, thread.clone()).is_none(), "thread {id} is there twice");
    }
    by_id
}

fn dump(pid: i32, options: &[&str]) -> Value {
    let pid = pid.to_string();
    let output = leakspy(["dump", "--json", "--pid", &pid].iter().chain(options));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn no_such_process() -> Result<(), Failed> {
    // The kernel never gives out a PID above 2^22.
    let output = leakspy(["dump", "--pid", "4194305"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no process 4194305"), "{}", stderr(&output));
    Ok(())
}

fn not_a_python() -> Result<(), Failed> {
    let mut child =
        std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn()?;
    let output = leakspy(["dump", "--pid", &child.id().to_string()]);
    child.kill()?;
    child.wait()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is not a Python"), "{}", stderr(&output));
    Ok(())
}
