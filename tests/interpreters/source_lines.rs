//! Lines of source code beside frames: the text that runs, or none; and whatever is in a file, one harmless line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::{Interpreter, interpreters, leakspy};

/// It waits in a function whose line is hostile, with an object that only its frame holds; told to, it waits in a
/// forked child.
const PROGRAM: &str = "\
# coding: latin-1
import os
import sys

class Held:
    pass

def wait():
    held = Held()
    LINE

def fork():
    child = os.fork()
    if child == 0:
        wait()
        os._exit(0)
    os.waitpid(child, 0)

print('READY', flush=True)
if sys.stdin.readline() == 'fork\\n':
    fork()
";
/// One line: who has read the PID finds the frame in it, whatever the child has come to.
const WAIT: &str = "print(os.getpid(), flush=True); sys.stdin.readline()";

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 3] = [
        ("source_hostile", a_hostile_line_is_one_harmless_line),
        ("source_changed", what_no_longer_runs_is_not_shown),
        ("source_forked", a_fork_is_as_old_as_its_program),
    ];
    // One without a root of its own.
    let some = interpreters().iter().rfind(|it| it.outside(Path::new("/x")) == Path::new("/x"));
    let trial = |(name, test): (&str, Test)| {
        let run = move || test(some.ok_or("no interpreter")?);
        Trial::test(name, run)
    };
    tests.into_iter().map(trial).collect()
}

/// A running program; it ends with its input.
struct Program {
    child: Child,
    answers: Box<dyn BufRead>,
}

impl Program {
    fn start(interpreter: &Interpreter, file: &Path) -> Result<Program, Failed> {
        let mut command = interpreter.command();
        command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let answers = Box::new(BufReader::new(child.stdout.take().ok_or("no pipe")?));
        let mut program = Program { child, answers };
        assert_eq!(program.line()?, "READY");
        Ok(program)
    }

    fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn fork(&mut self) -> Result<i32, Failed> {
        self.child.stdin.as_mut().ok_or("no pipe")?.write_all(b"fork\n")?;
        Ok(self.line()?.parse()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may have ended by itself.
        let _ = self.child.wait();
    }
}

fn said(pid: i32, arguments: &[&str]) -> Result<String, Failed> {
    let pid = pid.to_string();
    let (command, options) = arguments.split_first().ok_or("no command")?;
    let output = leakspy([command, &"--pid", &&*pid].into_iter().chain(options));
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The frame of `wait` in the dump.
fn waiting(pid: i32) -> Result<Value, Failed> {
    let dump: Value = serde_json::from_str(&said(pid, &["dump", "--json"])?)?;
    let stack = dump["threads"][0]["stack"].as_array().ok_or("no stack")?;
    let found = stack.iter().find(|frame| frame["function"] == "wait");
    Ok(found.ok_or_else(|| format!("{dump:#}"))?.clone())
}

fn a_hostile_line_is_one_harmless_line(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.py");
    let mut line = format!("{WAIT} # \u{1b}]0;owned\u{7}\u{202e}\t").into_bytes();
    // As UTF-8 it is not valid, and it is very long.
    line.extend(b"\xff\xfe ".repeat(300_000));
    let (before, after) = PROGRAM.split_once("LINE").ok_or("no line")?;
    fs::write(&file, [before.as_bytes(), &line, after.as_bytes()].concat())?;
    let mut program = Program::start(interpreter, &file)?;
    let pid = program.fork()?;
    let frame = waiting(pid)?;
    let source = frame["source"].as_str().ok_or("no source")?;
    assert!(source.starts_with(WAIT) && source.chars().count() <= 400, "{source}");
    for arguments in [&["dump"][..], &["why", "__main__.Held"], &["dump", "--color", "always"]] {
        let text = said(pid, arguments)?;
        assert!(text.contains(WAIT), "{arguments:?} {text}");
        assert!(!text.contains(['\u{7}', '\u{202e}', '\t', '\r']), "{arguments:?} {text}");
        assert!(!text.contains("\u{1b}]"), "{arguments:?} {text}");
        assert!(text.lines().all(|line| line.chars().count() < 250), "{arguments:?} {text}");
    }
    for arguments in [&["dump", "--no-source"][..], &["why", "--no-source", "__main__.Held"]] {
        assert!(!said(pid, arguments)?.contains(WAIT), "{arguments:?}");
    }
    Ok(())
}

fn what_no_longer_runs_is_not_shown(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.py");
    fs::write(&file, PROGRAM.replace("LINE", WAIT))?;
    let mut program = Program::start(interpreter, &file)?;
    let pid = program.fork()?;
    assert_eq!(waiting(pid)?["source"], WAIT);
    assert!(said(pid, &["dump"])?.contains(&format!("app.py:10)\n        {WAIT}\n")));

    fs::write(&file, PROGRAM.replace("LINE", "print('something else')"))?;
    let frame = waiting(pid)?;
    assert_eq!(frame.get("source"), Some(&Value::Null), "{frame}");
    let text = said(pid, &["dump"])?;
    assert!(text.contains("app.py:10)  (file changed since)\n"), "{text}");
    assert!(!text.contains("something else") && !text.contains(WAIT), "{text}");
    let text = said(pid, &["why", "__main__.Held"])?;
    assert!(text.contains("app.py:10)  (file changed since)"), "{text}");

    fs::remove_file(&file)?;
    assert_eq!(waiting(pid)?.get("source"), None);
    assert!(said(pid, &["dump"])?.contains("app.py:10)\n"));
    Ok(())
}

/// A worker that is forked after a change runs what its master read before.
fn a_fork_is_as_old_as_its_program(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.py");
    fs::write(&file, PROGRAM.replace("LINE", WAIT))?;
    let mut program = Program::start(interpreter, &file)?;
    // Later than the start by more than the kernel's clock ticks.
    std::thread::sleep(std::time::Duration::from_millis(100));
    fs::write(&file, PROGRAM.replace("LINE", "print('something else')"))?;
    let pid = program.fork()?;
    assert_eq!(waiting(pid)?.get("source"), Some(&json!(null)));
    Ok(())
}
