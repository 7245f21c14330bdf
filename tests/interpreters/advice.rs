//! What a hunt says of a leak is true and helps: each row of the table of library knowledge fits the mistake
//! that it is about and no other, holders and functions are called what the program calls them, and where nobody
//! was seen the hunt says why.

use std::io::Read;
use std::process::{Command, Stdio};

use leakspy::memory::Cached;
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::{Reader, TypeTable};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::hunt::{is_it, list, text, verdict};
use crate::support::{Interpreter, Target, cases, interpreters};

/// Mistakes that run side by side, and whether every version is asked: where a state is read from a struct.
const TOGETHER: [(&str, bool); 4] = [
    (
        "tasks_done,tasks_waiting,futures_done,futures_undone,timers,sockets_closed,sockets_open",
        true,
    ),
    ("weak_keys,held_keys,named_cache,handlers", true),
    (
        "warnings,out,figures,prometheus,opentelemetry,contexts,context_variables,filters,identity_map",
        false,
    ),
    (
        "connections,databases,transports,streams,tls,async_queue,threads_ended,done_callbacks",
        false,
    ),
];
/// Words of the hint for each.
const HINTS: [(&str, &[&str]); 28] = [
    (
        "tasks_done",
        &[
            "tasks are kept although they have finished",
            "add_done_callback(__main__.BACKGROUND.discard)",
        ],
    ),
    (
        "tasks_waiting",
        &[
            "wait in Queue.get (asyncio/queues.py:",
            "called by listen (fixtures/leaks_with_advice.py:",
        ],
    ),
    ("futures_done", &["futures are kept although they are done"]),
    ("futures_undone", &["futures have no result yet", "set a result"]),
    ("timers", &["timers are set faster than their time comes"]),
    ("sockets_closed", &["sockets are kept although they are closed"]),
    ("sockets_open", &["sockets are opened and not closed"]),
    ("threads_ended", &["threads are kept although they do not run"]),
    ("done_callbacks", &["callbacks are added again and again to a future"]),
    ("weak_keys", &["values of a WeakKeyDictionary refer to their keys"]),
    ("held_keys", &["something else keeps the keys"]),
    ("named_cache", &["a dict; nothing limits it"]),
    ("handlers", &["handlers are added to a logger again and again"]),
    ("warnings", &["warnings remembers every text"]),
    ("out", &["IPython keeps the result of every cell"]),
    ("figures", &["pyplot keeps every figure"]),
    ("prometheus", &["; label user_id has ", "give labels few values"]),
    ("opentelemetry", &["; label url has ", "give attributes few values"]),
    ("context_variables", &["make each once, at module level"]),
    ("contexts", &["contexts, with the values of their variables, are kept"]),
    ("filters", &["filters are added again and again"]),
    ("connections", &["connections are kept although they are not open"]),
    ("databases", &["database connections are opened and kept"]),
    ("tls", &["TLS contexts are made again and again"]),
    ("identity_map", &["a session of SQLAlchemy keeps every object"]),
    ("transports", &["connections are opened and not closed"]),
    ("streams", &["streams are kept although they are closed"]),
    ("async_queue", &["a queue is filled faster than it is emptied"]),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("states", states_are_those_of_the_interpreter);
    trials.extend(cases("advice_chat", holders_are_called_what_the_program_calls_them));
    trials.extend(cases("without_main", a_program_without_its_main_module_is_read));
    let some = interpreters().last().expect("an interpreter");
    for (ways, is_for_all) in TOGETHER {
        let name = format!("advice_{}", ways.split(',').next().unwrap_or_default());
        if is_for_all {
            trials.extend(cases(&name, move |it| each_is_known(it, ways)));
        } else {
            let name = format!("{name}::{}", some.name);
            trials.push(Trial::test(name, move || each_is_known(some, ways)));
        }
    }
    let name = format!("advice_unseen::{}", some.name);
    trials.push(Trial::test(name, || it_says_why_nobody_was_seen(some)));
    trials
}

fn each_is_known(interpreter: &'static Interpreter, ways: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks_with_advice", &[ways]);
    let document = verdict(target.pid(), "10")?;
    let truths = target.ask("truth");
    for truth in list(&truths) {
        let Some(finding) = list(&document["findings"]).iter().find(|it| is_it(it, truth)) else {
            return Err(format!("{truth} is not in {document:#}").into());
        };
        let (_, words) =
            HINTS.iter().find(|(name, _)| *name == text(&truth["name"])).expect("it has a hint");
        for word in *words {
            assert!(text(&finding["hint"]).contains(word), "{word}: {finding:#}");
        }
        let is_right = |frame: &Value| frame["line"] == truth["line"];
        let mut stacks = list(&finding["feeders"]).iter().map(|feeder| list(&feeder["stack"]));
        let is_seen = stacks.any(|stack| stack.iter().any(is_right));
        assert_eq!(is_seen, finding["unseen"].is_null(), "{truth}: {finding:#}");
    }
    target.assert_healthy();
    Ok(())
}

/// The states of futures, tasks and sockets, and what a weak reference refers to.
fn states_are_those_of_the_interpreter(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "states", &[]);
    let truth = target.ask("truth");
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let types = TypeTable::new(&memory, &python, 1 << 30);
    let reader = Reader::new(&memory, &types);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    for row in list(&truth["states"]) {
        let state = reader.state(number(&row[0]), text(&row[1]));
        assert_eq!(state.as_deref(), row[2].as_str(), "{row}");
    }
    for row in list(&truth["referents"]) {
        assert_eq!(reader.referent(number(&row[0])), row[1].as_u64(), "{row}");
    }
    for row in list(&truth["functions"]) {
        let frame = reader.definition(number(&row[0])).ok_or_else(|| format!("no {row}"))?;
        assert_eq!((&*frame.function, frame.line.map(u64::from)), (text(&row[1]), row[2].as_u64()));
    }
    for row in list(&truth["suspended"]) {
        let frame = reader.suspension(number(&row[0])).ok_or_else(|| format!("no {row}"))?;
        assert_eq!((&*frame.function, frame.line.map(u64::from)), (text(&row[1]), row[2].as_u64()));
        assert_eq!(reader.awaited(number(&row[0])), row[3].as_u64(), "{row}");
    }
    assert!(list(&truth["states"]).len() > 10 && list(&truth["suspended"]).len() == 2);
    Ok(())
}

fn holders_are_called_what_the_program_calls_them(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "chat", &[]);
    let document = verdict(target.pid(), "6")?;
    let lines = target.ask("truth");
    let finding = &document["findings"][0];
    assert_eq!(
        text(&finding["holder"]["name"]),
        format!("local hub.on_close of main (fixtures/chat.py:{})", lines["waits"]),
        "{document:#}"
    );
    let path = text(&finding["holder"]["path"]);
    assert!(
        path.ends_with(&format!("chat.py:{}) › local hub › .on_close", lines["waits"])),
        "{path}"
    );
    assert_eq!(finding["function"]["function"], "Hub.connect.<locals>.closed", "{finding:#}");
    assert_eq!(finding["function"]["line"], lines["defines"], "{finding:#}");
    assert_eq!(finding["feeders"][0]["own_frame"]["line"], lines["feeds"], "{finding:#}");
    assert!(text(&finding["hint"]).contains("callbacks are registered again"), "{finding:#}");
    assert_eq!(finding["unseen"], Value::Null);
    target.assert_healthy();
    Ok(())
}

/// A program that runs others may take its own module out of `sys.modules`.
fn a_program_without_its_main_module_is_read(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    for change in ["sys.modules.pop('__main__')", "sys.modules.__setitem__('__main__', None)"] {
        let script =
            format!("import sys\nkeep = {change}\nprint('READY', flush=True)\nsys.stdin.read()\n");
        let argv = interpreter.argv();
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut ready)?;
        let process = Process::open(child.id() as i32)?;
        let attached = Python::attach(&process);
        drop(child.stdin.take());
        child.wait()?;
        assert!(attached.is_ok(), "{change}: {attached:?}");
    }
    Ok(())
}

/// Lists that native code keeps: no word counts them.
fn it_says_why_nobody_was_seen(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "unseen", &[]);
    let document = verdict(target.pid(), "6")?;
    let finding = &document["findings"][0];
    assert_eq!(finding["kind"], "refcount", "{document:#}");
    assert_eq!(list(&finding["feeders"]), [] as [Value; 0], "{document:#}");
    assert_eq!(finding["unseen"]["reason"], "no_counter", "{finding:#}");
    target.assert_healthy();
    Ok(())
}
