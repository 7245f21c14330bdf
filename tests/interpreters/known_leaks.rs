//! Fingerprints of findings, and lists of known leaks: a leak is recognized in another process, under another
//! interpreter and after an edit of the program, and a new one is told from it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::sync::Mutex;
use std::thread;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::hunt::{hunt, is_it, list, text, verdict};
use crate::support::{Interpreter, Target, interpreters};

/// What the fingerprints of each leak have been, and under which interpreter.
static SEEN: Mutex<BTreeMap<String, (String, String)>> = Mutex::new(BTreeMap::new());

/// Leaks whose holders have other names under other interpreters: modules of the standard library import
/// `logging` in another order, and `atexit` keeps its functions in a list from 3.14 on.
const NAMED_OTHERWISE: [&str; 2] = ["leaks loggers", "leaks_of_the_library atexit"];

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    // The edited program lies in a folder that must be in the interpreter's root.
    let some = interpreters().iter().rfind(|it| it.root.is_none()).expect("an interpreter");
    let tests: [(&str, Test); 3] = [
        ("fingerprint_after_an_edit", an_edit_does_not_matter),
        ("baseline", a_baseline_is_written_and_compared),
        ("ignore_wrong", a_list_that_is_none_is_refused),
    ];
    let trial = |(name, test): (&str, Test)| {
        Trial::test(format!("{name}::{}", some.name), move || test(some))
    };
    tests.into_iter().map(trial).collect()
}

/// Asserts that a leak has the fingerprint that it had in other processes, under other interpreters.
pub(super) fn assert_stable(interpreter: &Interpreter, leak: &str, finding: &Value) {
    let fingerprint = text(&finding["fingerprint"]).to_owned();
    assert!(fingerprint.len() == 17, "{finding:#}");
    if NAMED_OTHERWISE.contains(&leak) {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let known =
        seen.entry(leak.to_owned()).or_insert((fingerprint.clone(), interpreter.name.clone()));
    let (first, other) = &*known;
    assert_eq!(&fingerprint, first, "{leak}: not as under {other}: {finding:#}");
}

/// The leaks of a process, by the name of the way in which they leak.
fn fingerprints(mut target: Target) -> Result<BTreeMap<String, String>, Failed> {
    let document = verdict(target.pid(), "8")?;
    let truths = target.ask("truth");
    let of = |truth: &Value| {
        let finding = list(&document["findings"]).iter().find(|it| is_it(it, truth))?;
        Some((text(&truth["name"]).to_owned(), text(&finding["fingerprint"]).to_owned()))
    };
    let found: BTreeMap<String, String> = list(&truths).iter().filter_map(of).collect();
    assert_eq!(found.len(), list(&truths).len(), "{truths:#} {document:#}");
    Ok(found)
}

/// Lines above, another folder, another process.
fn an_edit_does_not_matter(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const WAYS: &str = "dict,attribute,spread,chain,tasks";
    let folder = tempfile::tempdir()?;
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    for module in ["leaking.py", "witness.py"] {
        fs::copy(format!("{fixtures}/{module}"), folder.path().join(module))?;
    }
    let program = fs::read_to_string(format!("{fixtures}/leaks.py"))?;
    let added =
        "\n\nADDED = {}\n\n\ndef added(number):\n    ADDED[number] = number\n\n\nclass Session:";
    let edited = program.replacen("\nclass Session:", added, 1);
    assert_ne!(edited, program);
    fs::write(folder.path().join("leaks.py"), edited)?;
    let path = folder.path().join("leaks");
    let path = path.to_str().expect("UTF-8");
    // A target ends with the thread that started it.
    let of = |fixture: &str| fingerprints(Target::start(interpreter, fixture, &[WAYS]));
    thread::scope(|scope| {
        let edited = scope.spawn(|| of(path));
        let before = of("leaks")?;
        let after = edited.join().expect("a hunt does not panic")?;
        assert_eq!(before, after);
        Ok(())
    })
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Known leaks do not fail a build, new ones do.
fn a_baseline_is_written_and_compared(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("known.txt");
    let path = path.to_str().expect("UTF-8");
    let options = ["-d", "8", "--fail-on-leak", "--baseline", path];
    let mut target = Target::start(interpreter, "leaks", &["dict"]);
    let written = hunt(target.pid(), &options);
    assert_eq!(status(&written), Some(0), "{written:?}");
    let known = fs::read_to_string(path)?;
    let said = String::from_utf8(written.stdout)?;
    let fingerprints: Vec<&str> = known
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|it| it.split(' ').next())
        .collect();
    assert_eq!(fingerprints.len(), 1, "{known}");
    assert!(said.contains(&format!("   id        {}", fingerprints[0])), "{said}, {known}");
    assert!(known.contains("__main__.CACHE"), "{known}");
    // The same program with another leak.
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut target = Target::start(interpreter, "leaks", &["dict,attribute"]);
            let output =
                hunt(target.pid(), &["-d", "8", "--fail-on-leak", "--json", "--ignore", path]);
            target.assert_healthy();
            output
        });
        let again = hunt(target.pid(), &options);
        assert_eq!(status(&again), Some(0), "{again:?}");
        let said = String::from_utf8(again.stdout)?;
        let line = format!("Known, and not counted:\n\n-  {}  ", fingerprints[0]);
        assert!(said.contains("No new leak found.") && said.contains(&line), "{said}");
        let other = other.join().expect("a hunt does not panic");
        assert_eq!(status(&other), Some(3), "{other:?}");
        let document: Value = serde_json::from_slice(&other.stdout)?;
        for finding in list(&document["findings"]) {
            let is_old = text(&finding["holder"]["name"]) == "__main__.CACHE";
            assert_eq!(finding["known"], is_old, "{document:#}");
        }
        assert_eq!(list(&document["findings"]).len(), 2, "{document:#}");
        Ok::<(), Failed>(())
    })?;
    assert_eq!(fs::read_to_string(path)?, known, "a baseline is not rewritten");
    target.assert_healthy();
    Ok(())
}

/// Said before the hunt, and not after half a minute.
fn a_list_that_is_none_is_refused(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("wrong"), "5f1c09ab\nmodule app\n")?;
    let target = Target::start(interpreter, "leaks", &["dict"]);
    for (option, file, words) in [
        ("--ignore", path("wrong"), "Line 2 of"),
        ("--ignore", path("absent"), "No such file"),
        ("--baseline", path("absent/file"), "There is no folder"),
    ] {
        let output = hunt(target.pid(), &["-d", "600", option, &file]);
        assert_eq!(status(&output), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains(words), "{said}");
    }
    Ok(())
}
