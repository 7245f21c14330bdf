//! `leakspy dump` against the target's own account: every thread, every frame, on every interpreter; its text
//! against its JSON; and the dump of a whole family.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use leakspy::render::Paths;
use leakspy::render::labels::{path, printable};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::{
    Interpreter, Target, assert_documented, assert_has_source, cases, interpreters, leakspy,
};

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("dump_stacks", equals_current_frames);
    trials.extend(cases("dump_nonblocking", needs_no_pause_to_see_what_stands_still));
    let tests: [(&str, Test); 3] = [
        ("text", text_says_what_json_says),
        ("subprocesses", a_family_is_dumped_together),
        ("subprocesses_of_another_program", the_first_python_stands_for_its_parent),
    ];
    for (name, test) in tests {
        let interpreter = interpreters().last();
        let trial = Trial::test(name, move || test(interpreter.ok_or("no interpreter")?));
        trials.push(trial.with_ignored_flag(interpreter.is_none()));
    }
    trials
}

/// A test with one interpreter.
type Test = fn(&'static Interpreter) -> Result<(), Failed>;

fn equals_current_frames(interpreter: &'static Interpreter) -> Result<(), Failed> {
    compare(interpreter, &[])
}

fn needs_no_pause_to_see_what_stands_still(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    compare(interpreter, &["--nonblocking"])
}

/// Every thread of `stacks.py` is in the dump with the name, the number and each frame that the target itself
/// reports; nothing else is, and the target is unharmed.
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
    let pause = dump["pause_s"].as_f64().ok_or("no pause")?;
    assert!(if options.contains(&"--nonblocking") { pause == 0.0 } else { pause > 0.0 }, "{pause}");

    assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    let witness = truth
        .iter()
        .find_map(|(id, thread)| (thread["witness"] == true).then_some(*id))
        .expect("one thread is the witness");
    let columns = target.ask("columns");
    let idents: BTreeMap<i64, String> =
        truth.iter().map(|(id, thread)| (*id, thread["thread_id"].to_string())).collect();
    let (own, _) = (found.remove(&witness), truth.remove(&witness));
    assert_eq!(own.expect("it is there")["name"], "witness");

    for (id, expected) in truth {
        let thread = &found[&id];
        assert_eq!(thread["name"], expected["name"], "{id}");
        assert_eq!(thread["complete"], true, "{}", expected["name"]);
        assert_eq!(thread["holds_gil"], false, "{}", expected["name"]);
        assert_eq!(thread["running"], false, "{}", expected["name"]);
        same_frames(&thread["stack"], &expected["stack"], &expected["name"]);
        same_columns(&thread["stack"], &columns[&idents[&id]], &expected["name"]);
        // All of them wait for a pipe, a socket or a lock.
        let kind = thread["waits_for"]["kind"].as_str().unwrap_or_default();
        assert!(["io", "lock"].contains(&kind), "{}", thread["waits_for"]);
    }
    target.assert_healthy();
    Ok(())
}

/// Names the first frame that differs: whole stacks of 500 frames would make an unreadable message.
fn same_frames(found: &Value, expected: &Value, thread: &Value) {
    let (found, expected) = (frames(found), frames(expected));
    for (depth, (found, expected)) in found.iter().zip(expected).enumerate() {
        let mut found = found.clone();
        match expected["file"].as_str().is_some_and(|file| file.contains("fixtures/")) {
            true => assert_has_source(&found),
            false => assert_eq!(found.get("source"), None, "frame {depth} of {thread}"),
        }
        found.as_object_mut().expect("an object").remove("source");
        found.as_object_mut().expect("an object").remove("columns");
        assert_eq!(&found, expected, "frame {depth} of {thread}");
    }
    assert_eq!(found.len(), expected.len(), "frames of {thread}");
}

fn same_columns(found: &Value, expected: &Value, thread: &Value) {
    let found: Vec<Value> =
        frames(found).iter().map(|frame| frame.get("columns").cloned().into()).collect();
    for (depth, (found, expected)) in found.iter().zip(frames(expected)).enumerate() {
        assert_eq!(found, expected, "the columns of frame {depth} of {thread}");
    }
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
    let document = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_documented("`leakspy dump --json`", &document);
    document
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text_of(pid: i32, options: &[&str]) -> Result<String, Failed> {
    let pid = pid.to_string();
    let output = leakspy(["dump", "--pid", &pid].iter().chain(options));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    Ok(String::from_utf8(output.stdout)?)
}

/// The text that corresponds to a process of the JSON.
fn as_text(process: &Value, executable: &str, paths: Paths) -> Result<String, Failed> {
    let string = |value: &Value| value.as_str().map(printable).ok_or("no string");
    let mut text = String::new();
    writeln!(text, "Process {}: {}", process["pid"], string(&process["command"])?)?;
    writeln!(text, "Python v{} ({executable})", string(&process["python"])?)?;
    for thread in frames(&process["threads"]) {
        let wait = &thread["waits_for"];
        let wait = match (wait["kind"].as_str(), wait["file"].as_str()) {
            (Some("lock"), None) => ", waits for a lock".to_owned(),
            (Some("io"), Some(file)) => format!(", waits in {} for {file}", string(&wait["call"])?),
            (Some("io"), None) => format!(", waits in {}", string(&wait["call"])?),
            _ => String::new(),
        };
        write!(text, "\nThread {} (idle{wait})", thread["os_thread_id"])?;
        match &thread["name"] {
            Value::Null => writeln!(text)?,
            name => writeln!(text, ": \"{}\"", string(name)?)?,
        }
        for frame in frames(&thread["stack"]) {
            let file = printable(path(frame["file"].as_str().ok_or("no file")?, paths));
            writeln!(text, "    {} ({file}:{})", string(&frame["function"])?, frame["line"])?;
            if let Some(source) = frame["source"].as_str() {
                writeln!(text, "        {}", printable(source))?;
            }
        }
    }
    Ok(text)
}

/// All threads of `stacks.py` stand still, so both dumps show the same stacks.
fn text_says_what_json_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    let pid = target.pid();
    target.wait_until_still();
    let dump = dump(pid, &[]);
    let executable = fs::read_link(format!("/proc/{pid}/exe"))?.display().to_string();
    for (options, paths) in [
        (&[][..], Paths::Short),
        (&["--full-paths"], Paths::Full),
        (&["--full-filenames", "--nonblocking"], Paths::Full),
    ] {
        let (found, expected) = (text_of(pid, options)?, as_text(&dump, &executable, paths)?);
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "line {} with {options:?}", number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count());
    }
    target.assert_healthy();
    Ok(())
}

/// Children and their children, forked and started, come after the process itself.
fn a_family_is_dumped_together(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let pid = target.pid();
    assert_eq!(dump(pid, &["--subprocesses"])["subprocesses"], json!([]));
    let children: Vec<Value> =
        ["fork", "spawn", "spawn"].iter().map(|how| target.ask(how)["child"].clone()).collect();
    let family = dump(pid, &["--subprocesses"]);
    assert_eq!(family["pid"], pid);
    let members = frames(&family["subprocesses"]);
    let pids: BTreeSet<i64> = members.iter().filter_map(|it| it["pid"].as_i64()).collect();
    assert_eq!(pids, children.iter().filter_map(Value::as_i64).collect());
    assert_eq!(members.len(), children.len());
    for member in members {
        assert_eq!(member["python"], family["python"]);
        let threads = frames(&member["threads"]);
        let computes = |thread: &Value| {
            frames(&thread["stack"]).iter().any(|frame| frame["function"] == "compute_for_ever")
        };
        assert!(threads.iter().any(computes), "{member}");
    }
    assert!(dump(pid, &[]).get("subprocesses").is_none());

    let text = text_of(pid, &["-s"])?;
    let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("Process ")).collect();
    let title = |it: &Value| {
        format!("Process {}: {}", it["pid"], it["command"].as_str().unwrap_or_default())
    };
    let expected: Vec<String> = [&family].into_iter().chain(members).map(title).collect();
    assert_eq!(titles, expected);
    assert_eq!(text.matches("\n\nProcess ").count(), children.len(), "a blank line between them");
    target.assert_healthy();
    Ok(())
}

fn the_first_python_stands_for_its_parent(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let argv = interpreter.argv();
    // The shell has another command to run, so it does not exec the interpreter.
    let mut shell = Command::new("sh")
        .args(["-c", "\"$0\" \"$@\"; true"])
        .args(argv)
        .arg(interpreter.fixture("stacks.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(shell.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    assert_eq!(line, "READY\n");
    let pid = shell.id() as i32;
    let dump = dump(pid, &["--subprocesses"]);
    assert_ne!(dump["pid"], pid);
    assert!(dump["command"].as_str().is_some_and(|it| it.ends_with("stacks.py")), "{dump}");
    assert_eq!(dump["subprocesses"], json!([]));
    // The fixture ends at the end of its input, and the shell with it.
    drop(shell.stdin.take());
    assert!(shell.wait()?.success());
    Ok(())
}
