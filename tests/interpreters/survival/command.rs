//! `record -- COMMAND`: leakspy starts the command, and recording does not change it.

use std::ffi::OsString;
use std::fs;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Interpreter, Recorded, Recording, cases};

/// Waits for a line, then allocates for half a second of its own time.
const WORK: &str = "\
import time
input()
until = time.process_time() + 0.5
while time.process_time() < until:
    str(time.process_time()) + '!'
";
/// Prints that it has started, and allocates until it is interrupted.
const WORK_ON: &str = "\
print('working', flush=True)
while True:
    str([1.5]) + '!'
";

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("command", output_and_exit_status_are_its_own);
    trials.extend(cases("command_interrupted", ctrl_c_reaches_both));
    trials.extend(cases("command_terminated", a_sigterm_is_passed_on));
    trials.push(Trial::test("command::that is no Python", no_python));
    trials.push(Trial::test("command::that is not there", not_there));
    trials
}

/// A recording of a command, and its output file.
struct Command {
    recording: Recording,
    scratch: TempDir,
}

impl Command {
    fn start(command: impl IntoIterator<Item = OsString>) -> Command {
        let scratch = tempfile::tempdir().expect("the temporary folder is writable");
        let options = ["--format", "json", "--output"].map(OsString::from);
        let output = scratch.path().join("profile.json").into_os_string();
        let arguments = options.into_iter().chain([output, "--".into()]).chain(command);
        Command { recording: Recording::start(arguments), scratch }
    }

    /// A Python that runs `script`.
    fn python(interpreter: &Interpreter, script: &str) -> Command {
        let words = ["-c", script].map(OsString::from);
        Command::start(interpreter.argv().into_iter().chain(words))
    }

    /// The end of the recording, and its profile if there is one.
    fn end(self) -> Result<(Recorded, Option<Value>), Failed> {
        let recorded = self.recording.end();
        let profile = match fs::read(self.scratch.path().join("profile.json")) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes)?),
            Err(_) => None,
        };
        Ok((recorded, profile))
    }
}

fn assert_sampled(profile: Option<&Value>, recorded: &Recorded) {
    let samples = profile.and_then(|profile| profile["samples"].as_u64());
    assert!(samples > Some(0), "{samples:?} samples, {recorded:?}");
}

fn output_and_exit_status_are_its_own(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let endings = [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
        ("import os; os.kill(os.getpid(), 15)", 128 + 15),
    ];
    for (ending, status) in endings {
        let script = format!("print('before')\n{WORK}print('after', flush=True)\n{ending}\n");
        let mut command = Command::python(interpreter, &script);
        command.recording.wait_until_begun();
        command.recording.tell("work");
        let (recorded, profile) = command.end()?;
        assert_eq!(recorded.status.code(), Some(status), "{ending}: {recorded:?}");
        assert_eq!(recorded.stdout, "before\nafter\n", "{ending}");
        assert_sampled(profile.as_ref(), &recorded);

        // Ended before there is much to record: the status counts, whatever was recorded.
        let (recorded, _) = Command::python(interpreter, ending).end()?;
        assert_eq!(recorded.status.code(), Some(status), "{ending} at once: {recorded:?}");
    }
    Ok(())
}

/// Both get the signal: the command dies of it, and its profile is written.
fn ctrl_c_reaches_both(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let catching = format!("try:\n  exec({WORK_ON:?})\nexcept KeyboardInterrupt:\n  exit(7)");
    for (script, status) in [(WORK_ON, 128 + 2), (&catching, 7)] {
        let mut command = Command::python(interpreter, script);
        command.recording.wait_until_begun();
        command.recording.wait_for_output("working");
        command.recording.signal_group(Signal::SIGINT);
        let (recorded, profile) = command.end()?;
        assert_eq!(recorded.status.code(), Some(status), "{recorded:?}");
        assert!(profile.is_some(), "{recorded:?}");
    }
    Ok(())
}

fn a_sigterm_is_passed_on(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut command = Command::python(interpreter, WORK_ON);
    command.recording.wait_until_begun();
    command.recording.signal(Signal::SIGTERM);
    let (recorded, profile) = command.end()?;
    assert_eq!(recorded.status.code(), Some(128 + 15), "{recorded:?}");
    assert!(profile.is_some(), "{recorded:?}");
    Ok(())
}

fn no_python() -> Result<(), Failed> {
    let words = ["sh", "-c", "echo here; exit 3"].map(OsString::from);
    let (recorded, profile) = Command::start(words).end()?;
    assert_eq!(recorded.status.code(), Some(3), "{recorded:?}");
    assert_eq!(recorded.stdout, "here\n");
    assert_eq!(profile, None);
    assert!(
        recorded.said.contains("ended before it became a Python that could be recorded"),
        "{recorded:?}"
    );
    Ok(())
}

fn not_there() -> Result<(), Failed> {
    let (recorded, profile) = Command::start(["/nowhere/at/all".into()]).end()?;
    assert_eq!(recorded.status.code(), Some(1), "{recorded:?}");
    assert_eq!(profile, None);
    assert!(recorded.said.contains("cannot start /nowhere/at/all"), "{recorded:?}");
    Ok(())
}
