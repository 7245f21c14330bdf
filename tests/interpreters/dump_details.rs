//! What `leakspy dump` says of threads besides their stacks, against the target's own account: what they wait for,
//! their interpreter, whether they collect garbage, and their local variables.

use std::collections::BTreeMap;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::{
    Interpreter, Target, assert_documented, cases, interpreters, leakspy, leakspy_command,
    wait_until,
};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("waits", the_reason_to_wait_is_told);
    trials.extend(cases("gil", who_waits_for_the_gil_says_so));
    trials.extend(cases("locals", variables_are_those_of_the_frames));
    trials.extend(cases("interpreters", the_interpreter_of_a_thread_is_told));
    trials.extend(cases("collecting", only_who_collects_garbage_says_so));
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("text::{}", some.name), || the_text_says_it_too(some)));
    trials
}

fn dump(target: &Target, options: &[&str]) -> Value {
    let pid = target.pid().to_string();
    let output = leakspy(["dump", "--json", "--pid", &pid].iter().chain(options));
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_documented("`leakspy dump --json`", &document);
    document
}

fn threads(dump: &Value) -> &Vec<Value> {
    dump["threads"].as_array().expect("threads are a list")
}

fn named<'a>(dump: &'a Value, name: &str) -> &'a Value {
    let mut found = threads(dump).iter().filter(|thread| thread["name"] == name);
    found.next().unwrap_or_else(|| panic!("no thread {name} in {dump}"))
}

/// The fixture, once all its threads wait.
fn start(interpreter: &Interpreter) -> Target {
    let target = Target::start(interpreter, "threads", &[]);
    let waits = ["lock", "sleep", "pipe", "recv", "poll", "child", "variables"];
    wait_until("all threads wait", || {
        let dump = dump(&target, &["--nonblocking"]);
        threads(&dump).len() == waits.len() + 1
            && waits.iter().all(|name| named(&dump, name)["waits_for"] != Value::Null)
    });
    target
}

fn the_reason_to_wait_is_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = start(interpreter);
    // A pause interrupts system calls: it is told all the same after it.
    for options in [&[][..], &[], &["--nonblocking"]] {
        let dump = dump(&target, options);
        for (name, kind, file) in [
            ("lock", "lock", ""),
            ("sleep", "sleep", ""),
            ("pipe", "io", "pipe:["),
            ("recv", "io", "socket:["),
            ("poll", "io", ""),
            ("child", "child", ""),
        ] {
            let wait = &named(&dump, name)["waits_for"];
            assert_eq!(wait["kind"], kind, "{name}: {wait}");
            let found = wait["file"].as_str().unwrap_or_default();
            assert!(found.starts_with(file) && found.is_empty() == file.is_empty(), "{wait}");
            assert_eq!(wait["descriptor"].is_i64(), !file.is_empty(), "{wait}");
        }
        assert!(threads(&dump).iter().all(|thread| thread["interpreter"] == 0), "{dump}");
        assert!(threads(&dump).iter().all(|thread| thread["collecting"] == false), "{dump}");
    }
    target.assert_healthy();
    Ok(())
}

fn who_waits_for_the_gil_says_so(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "threads", &["spin"]);
    wait_until("a thread waits for the GIL", || {
        let dump = dump(&target, &[]);
        let main = named(&dump, "MainThread");
        assert_eq!(main["waits_for"], Value::Null, "it runs");
        named(&dump, "gil")["waits_for"]["kind"] == "gil"
    });
    Ok(())
}

/// By the name of a variable: its type, and its `repr` unless that is up to the program.
type Variables = BTreeMap<String, (String, Option<String>)>;

fn variables_are_those_of_the_frames(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = start(interpreter);
    let truth: BTreeMap<String, Vec<Option<Variables>>> =
        serde_json::from_value(target.ask("variables"))?;
    let (types, values) = (dump(&target, &["--locals"]), dump(&target, &["--locals", "--values"]));
    assert!(!types.to_string().contains("\"value\""), "values only where they are asked for");
    assert!(!dump(&target, &[]).to_string().contains("\"locals\""));
    let mut compared = 0;
    for thread in threads(&values) {
        let Some(expected) = truth.get(&thread["os_thread_id"].to_string()) else { continue };
        let stack = thread["stack"].as_array().expect("a list");
        assert_eq!(stack.len(), expected.len(), "{thread}");
        for (frame, expected) in stack.iter().zip(expected) {
            let Some(expected) = expected else { continue };
            let locals = frame["locals"].as_array().expect("they were asked for");
            let found: BTreeMap<&str, &Value> =
                locals.iter().filter_map(|it| Some((it["name"].as_str()?, it))).collect();
            let names: Vec<&str> = expected.keys().map(String::as_str).collect();
            assert_eq!(found.keys().copied().collect::<Vec<_>>(), names, "{frame}");
            for (name, (kind, value)) in expected {
                assert_eq!(found[name.as_str()]["type"], json!(kind), "{name} of {frame}");
                if let Some(value) = value {
                    assert_eq!(found[name.as_str()]["value"], json!(value), "{name} of {frame}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 15, "only {compared} values were compared");
    target.assert_healthy();
    Ok(())
}

fn the_interpreter_of_a_thread_is_told(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = start(interpreter);
    let made = target.ask("sub_interpreter");
    wait_until("the other interpreter runs", || {
        let dump = dump(&target, &["--nonblocking"]);
        let numbers = threads(&dump).iter().map(|thread| &thread["interpreter"]);
        numbers.filter(|number| **number == made["interpreter"]).count() == 1
    });
    let dump = dump(&target, &[]);
    let main = threads(&dump).iter().filter(|thread| thread["interpreter"] == 0).count();
    assert_eq!(main + 1, threads(&dump).len(), "{dump}");
    Ok(())
}

fn only_who_collects_garbage_says_so(interpreter: &'static Interpreter) -> Result<(), Failed> {
    for (way, is_collecting) in [("waits", true), ("returns", false)] {
        let target = Target::start(interpreter, "finalizers", &[way]);
        let collecting = |dump: &Value| -> Vec<Value> {
            let collecting = |thread: &&Value| thread["collecting"] == true;
            threads(dump).iter().filter(collecting).cloned().collect()
        };
        if is_collecting {
            wait_until("a thread collects garbage", || !collecting(&dump(&target, &[])).is_empty());
        }
        let found = collecting(&dump(&target, &[]));
        assert_eq!(found.len(), usize::from(is_collecting), "{found:?}");
        assert!(found.iter().all(|thread| thread.to_string().contains("__del__")), "{found:?}");
    }
    Ok(())
}

fn the_text_says_it_too(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = start(interpreter);
    let pid = target.pid().to_string();
    let output = leakspy(["dump", "--pid", &pid, "--locals", "--values"]);
    let text = String::from_utf8(output.stdout)?;
    for piece in [
        ", waits for a lock): \"lock\"",
        ", sleeps): \"sleep\"",
        ", waits in recvfrom for socket:[",
        ", waits for a child process): \"child\"",
        "\n        text: str = 'x'\n",
        "\n        plain: __main__.Plain\n",
    ] {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file.leakspy").to_string_lossy().into_owned();
    let kept = leakspy(["snapshot", &pid, "-o", &file]);
    assert!(kept.status.success(), "{kept:?}");
    let from_file = String::from_utf8(leakspy(["dump", &file]).stdout)?;
    assert!(from_file.contains(", waits for a lock): \"lock\""), "{from_file}");
    let refused = leakspy_command().args(["dump", "--locals", &file]).output()?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("local variables"), "{words}");
    Ok(())
}
