//! `leakspy hunt` on snapshot files: it finds in the captures of a hunt what the hunt found in them, but for who adds
//! to it, and says what it does not know.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use leakspy::heap::{Analysis, CaptureOptions, RootNames};
use leakspy::hunt::compare::heap_columns::HeapColumns;
use leakspy::hunt::compare::interpreter::{Interpreter as Kept, KeptInterpreter};
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::Disclosure;
use leakspy::snapshot::{self, Snapshot};
use libtest_mimic::Failed;
use serde_json::Value;

use super::commands::{Folder, text};
use super::{ALLOWED, facts};
use crate::identity::share_of_wrong_births;
use crate::support::{Interpreter, Target, assert_documented, leakspy};

/// A hunt of a target with these leaks that keeps its captures, and the files in the order in which they were written.
fn kept(
    interpreter: &Interpreter,
    ways: &str,
    folder: &Folder,
) -> Result<(Value, Vec<PathBuf>), Failed> {
    let mut target = Target::start(interpreter, "leaks", &[ways]);
    let pid = target.pid().to_string();
    let kept = folder.path("kept");
    let output = leakspy(["hunt", "--pid", &pid, "-d", "8", "--json", "--snapshot", text(&kept)]);
    assert!(output.status.success(), "{output:?}");
    target.assert_healthy();
    let mut files: Vec<PathBuf> = fs::read_dir(&kept)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    assert_eq!(files.len(), 4, "{files:?}");
    Ok((serde_json::from_slice(&output.stdout)?, files))
}

fn hunted(files: &[PathBuf], options: &[&str]) -> std::process::Output {
    leakspy(["hunt"].iter().chain(options).copied().chain(files.iter().map(|file| text(file))))
}

/// What is found: kind, type and place.
fn found(document: &Value) -> BTreeSet<[String; 3]> {
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = document["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let key = |it: &Value| [words(&it["kind"]), words(&it["type"]), words(&it["holder"]["path"])];
    findings.iter().map(key).collect()
}

pub fn files_have_what_the_hunt_found(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = Folder::new();
    let (live, mut files) = kept(interpreter, "dict,attribute,spread,chain,list,threads", &folder)?;
    // In whatever order they are given.
    files.reverse();
    let output = hunted(&files, &["--json", "--fail-on-leak"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    assert_eq!(found(&document), found(&live), "{document:#} {live:#}");
    assert!(!found(&live).is_empty());
    for key in ["pid", "objects", "bytes", "captures", "python"] {
        assert_eq!(document[key], live[key], "{key}");
    }
    for finding in document["findings"].as_array().expect("findings") {
        assert_eq!(finding["unseen"]["reason"], "files", "{finding:#}");
        // The place is the same, whoever adds to it.
        let fingerprint = finding["fingerprint"].as_str().expect("a text");
        let is_it =
            |it: &&Value| it["fingerprint"].as_str().is_some_and(|it| it.starts_with(fingerprint));
        let all = live["findings"].as_array().expect("findings");
        assert!(all.iter().any(|it| is_it(&it)), "{finding:#} {live:#}");
    }
    assert!(document["missing"].as_array().is_some_and(|it| it.contains(&"feeders".into())));
    Ok(())
}

/// What comes and goes is no leak in files either.
pub fn files_without_leaks_have_none(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = Folder::new();
    let (live, files) = kept(interpreter, "bounded,sessions,churn", &folder)?;
    assert_eq!(found(&live), BTreeSet::new());
    let output = hunted(&files, &["--fail-on-leak"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    for words in ["No leak found", "Compared as files, which do not have: who adds to a leak"] {
        assert!(said.contains(words), "{said}");
    }
    Ok(())
}

/// Too few, twice the same, of other processes, no snapshot.
pub fn what_allows_no_verdict_is_refused(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = Folder::new();
    let target = Target::start(interpreter, "difference", &[]);
    let other = Target::start(interpreter, "difference", &[]);
    let [one, two, three] = ["1", "2", "3"].map(|name| folder.snapshot(&target, name, &[]));
    let foreign = folder.snapshot(&other, "4", &[]);
    let none = folder.path("none");
    fs::write(&none, "text")?;
    for (files, words) in [
        (vec![&one, &two], format!("of process {} there are 2", target.pid())),
        (vec![&one, &two, &one], "of the same moment".to_owned()),
        (vec![&one, &two, &three, &foreign], format!("of process {} there is 1", other.pid())),
        (vec![&one, &two, &none], "cannot read".to_owned()),
    ] {
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        let output = hunted(&files, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains(&words), "{words}: {said}");
    }
    let output = hunted(&[one, two, three], &["--duration", "5"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    Ok(())
}

/// The collector's lists are in files, values are not. So an untracked dict, a number or a string at a reused address
/// passes for what lay there before, and counts as older than it is; what was there before never counts as new.
pub fn births_are_told_from_files(interpreter: &'static Interpreter) -> Result<(), Failed> {
    const STEPS: u64 = 4;
    /// In this fixture, whose survivors are mostly such objects, 3 to 16 % of them were wrong on ten interpreters.
    const MOST_WRONG: [(&str, f64); 3] =
        [("survivors", 0.25), ("old", 0.001), ("temporaries", 0.001)];
    let folder = Folder::new();
    let mut target = Target::start(interpreter, "identity", &["usual"]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let mut columns: Vec<HeapColumns> = Vec::new();
    for step in 0..STEPS {
        target.ask(&format!("step {step}"));
        let heap = Analysis::of(&process, &python, &CaptureOptions::default())?;
        let path = folder.path(&step.to_string());
        let reader = heap.reader().expect("a capture");
        let written = snapshot::Heap {
            analysis: &heap,
            names: &RootNames::of(&heap, &python),
            collectors: &python.collectors(reader)?,
            facts: &facts(Disclosure::Keys),
            composition: None,
            threads: None,
            waste: None,
        };
        snapshot::write(&path, written, &mut |_| ())?;
        let Snapshot { analysis, names, collectors, .. } = Snapshot::open(&path, ALLOWED)?;
        let (names, collectors) = (&names, &*collectors);
        let kept = Kept::Kept(KeptInterpreter { names, collectors, version: python.version });
        let at = Duration::from_secs(step);
        let of = HeapColumns::of(&analysis, kept, at, columns.last_mut());
        columns.push(of);
        if step + 1 == STEPS {
            let births = columns.last().map(HeapColumns::births).unwrap_or_default();
            let wrong = share_of_wrong_births(&analysis, births, &mut target);
            for ((what, share), (same, most)) in wrong.into_iter().zip(MOST_WRONG) {
                assert_eq!(what, same);
                assert!(share < most, "{what}: {share} are wrong");
            }
        }
    }
    target.assert_healthy();
    Ok(())
}
