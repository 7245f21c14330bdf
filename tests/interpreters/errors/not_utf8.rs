//! Names that are not UTF-8 are no obstacle: every command works, and shows each odd byte escaped.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::{DUMP, WAYS, Way, ask, each};
use crate::support::{Interpreter, Target, interpreters, leakspy};

/// What `fixtures/not_utf8.py` calls everything.
const SHOWN: &str = r"caf\xe9";

pub fn trials() -> Vec<Trial> {
    let mut trials = each(&WAYS, "not_utf8", every_command_works);
    trials.push(Trial::test("not_utf8::shown", what_is_shown_is_escaped));
    trials
}

fn start(interpreter: &Interpreter) -> (Target, tempfile::TempDir) {
    let folder = interpreter.scratch();
    let inside = interpreter.inside(folder.path());
    let inside = inside.to_str().expect("UTF-8");
    (Target::start(interpreter, "not_utf8", &[inside]), folder)
}

fn every_command_works(way: Way) -> Result<(), Failed> {
    let (mut target, _folder) = start(interpreters().first().ok_or("no interpreter")?);
    let output = ask(way, target.pid()).output()?;
    assert!(output.status.success(), "{output:?}");
    target.assert_healthy();
    Ok(())
}

fn what_is_shown_is_escaped() -> Result<(), Failed> {
    // A chroot has no `/proc`, in which the fixture names its threads.
    let newest = interpreters().iter().rev().find(|it| it.root.is_none());
    let (target, folder) = start(newest.ok_or("no interpreter")?);
    let text = String::from_utf8(ask(DUMP, target.pid()).output()?.stdout)?;
    assert!(text.contains(&format!("/{SHOWN}/{SHOWN}.py ")), "{text}");
    assert!(text.contains(&format!(" ({SHOWN}/{SHOWN}.py:")), "{text}");
    assert!(!text.contains('\u{fffd}'), "{text}");
    let pid = target.pid().to_string();
    let dump: Value = serde_json::from_slice(&leakspy(["dump", "--json", "--pid", &pid]).stdout)?;
    assert!(
        dump["command"].as_str().is_some_and(|it| it.ends_with(&format!(" {SHOWN}"))),
        "{dump}"
    );
    // Other trials run the same program, in folders of theirs.
    let name = format!("{}/{SHOWN}/{SHOWN}.py", folder.path().display());
    let found = leakspy(["dump", "--name", &name]);
    assert!(found.status.success(), "{found:?}");
    Ok(())
}
