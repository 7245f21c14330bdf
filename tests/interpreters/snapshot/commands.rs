//! The commands that take snapshot files, as a user runs them: the target is the witness of what they say, and
//! a file says what the command says of the process that stands still.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Interpreter, Target, assert_documented, leakspy};

/// Snapshots of targets in a folder.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(TempDir::new().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a snapshot of a target.
    pub fn snapshot(&self, target: &Target, name: &str, options: &[&str]) -> PathBuf {
        let path = self.path(name);
        let pid = target.pid().to_string();
        let command = ["snapshot", "--pid", &pid, "--output", text(&path)];
        say(command.iter().chain(options).copied());
        path
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The output of a command that succeeds.
pub fn say<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let output = leakspy(&words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The same as JSON.
pub fn json<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    serde_json::from_str(&say(words)).expect("JSON")
}

/// What a command says on standard error.
fn remarks(words: &[&str]) -> String {
    String::from_utf8(leakspy(words).stderr).expect("UTF-8")
}

/// What was born, what died, what grew and what holds it.
pub fn two_files_are_compared_object_by_object(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "difference", &[]);
    let folder = Folder::new();
    let before = folder.snapshot(&target, "before", &[]);
    let told = target.ask("change");
    let after = folder.snapshot(&target, "after", &[]);
    let (before, after) = (text(&before), text(&after));

    let found = json(["diff", "--json", before, after]);
    assert_documented("`leakspy diff --json` of snapshot files", &found);
    assert_eq!(found["same_process"], true);
    let of_type = |name: &str| {
        let types = found["types"].as_array().expect("an array");
        types.iter().find(|row| row["type"] == name).unwrap_or_else(|| panic!("{name} in {found}"))
    };
    let fates = |name| {
        let row = of_type(name);
        ["count_before", "count_after", "born_count", "died_count"]
            .map(|key| row[key].as_u64().expect("a number"))
    };
    assert_eq!(fates("__main__.Session"), [100, 600, 500, 0]);
    assert_eq!(fates("__main__.Job"), [300, 0, 0, 300]);
    let [was, is, born, died] = fates("list");
    assert_eq!(is + died, was + born);
    let grown = ["grown_count", "grown_bytes"].map(|key| of_type("list")[key].as_u64());
    assert!(grown[0] >= Some(1) && grown[1] >= Some(3000), "{grown:?}");
    let first = &found["holders"][0];
    assert_eq!((&first["address"], first["type"].as_str()), (&told["list"], Some("list")));
    assert_eq!(first["root"], "module __main__");
    assert_eq!(first["path"], serde_json::json!(["KEPT"]));
    assert_eq!(first["held"][0]["type"], "__main__.Session");
    assert_eq!(first["held"][0]["count"], 500);
    assert!(first["grown_bytes"].as_u64().is_some_and(|bytes| bytes >= 3000), "{first}");

    let table = say(["diff", before, after]);
    for words in ["500 __main__.Session", "module __main__ › KEPT", "+"] {
        assert!(table.contains(words), "{table}");
    }
    assert!(remarks(&["diff", before, after]).is_empty());
    let same = json(["diff", "--json", before, before]);
    assert_eq!((&same["born_count"], &same["died_count"]), (&0.into(), &0.into()));
    assert!(remarks(&["diff", after, before]).contains("goes backwards in time"));
    let other = Target::start(interpreter, "difference", &[]);
    let other = folder.snapshot(&other, "other", &[]);
    assert!(remarks(&["diff", before, text(&other)]).contains("two processes"));
    Ok(())
}

/// Each command says of the file what it says of the process, which stands still.
pub fn a_file_says_what_the_process_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "difference", &[]);
    let folder = Folder::new();
    target.wait_until_still();
    let path = folder.snapshot(&target, "heap", &[]);
    let (pid, file) = (target.pid().to_string(), text(&path));

    // The figures differ in the pause only. A file has no source code.
    let without_pause = |mut document: Value| {
        let keys = document.as_object_mut().expect("an object");
        keys.retain(|key, _| !["pause_s", "copied_bytes"].contains(&key.as_str()));
        document
    };
    let live = without_pause(json(["dump", "--json", "--no-source", "--pid", &pid]));
    assert_eq!(without_pause(json(["dump", "--json", file])), live);
    assert_eq!(say(["dump", file]), say(["dump", "--no-source", "--pid", &pid]));

    let (kept, live) = (json(["mem", "--json", file]), json(["mem", "--json", "--pid", &pid]));
    assert_documented("`leakspy mem --json`", &kept);
    for part in ["rss_bytes", "python_bytes", "pymalloc_bytes", "files_bytes"] {
        let sum = |document: &Value| match &document[part] {
            Value::Object(parts) => parts.values().filter_map(Value::as_u64).sum::<u64>(),
            number => number.as_u64().expect("a number"),
        };
        let (kept, live) = (sum(&kept), sum(&live));
        assert!(kept.abs_diff(live) <= live / 50 + (256 << 10), "{part}: {kept} and {live}");
    }

    for form in ["folded", "json", "pprof"] {
        let (one, other) = (folder.path("one"), folder.path("other"));
        let draw = |from: &[&str], to: &Path| {
            say(["record", "-f", form, "-o", text(to)].into_iter().chain(from.iter().copied()));
            std::fs::read(to).expect("it is there")
        };
        let (kept, live) = (draw(&[file], &one), draw(&["--pid", &pid], &other));
        match form {
            "json" => {
                let stacks = |bytes: &[u8]| {
                    serde_json::from_slice::<Value>(bytes).expect("JSON")["stacks"].clone()
                };
                assert!(stacks(&kept) == stacks(&live), "the stacks differ");
            }
            _ => assert!(kept == live, "{form} differs"),
        }
    }
    let difference = say(["record", "-f", "folded", "-o", "-", file, file]);
    assert!(difference.lines().count() > 10, "{difference}");
    Ok(())
}

/// What a file cannot answer, and what it was written without, is said.
pub fn what_a_file_has_not_is_said(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "difference", &[]);
    let folder = Folder::new();
    let path = folder.snapshot(&target, "heap", &[]);
    let file = text(&path);
    for command in [&["heap", "-s", file][..], &["dump", "-s", file], &["record", "-s", file]] {
        let output = leakspy(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        assert!(said.contains("file has one process"), "{said}");
    }
    assert_eq!(leakspy(["heap", "--nonblocking", file]).status.code(), Some(2));
    let subject = "__main__:KEPT";
    for command in [&["why", file, subject][..], &["show", file, subject], &["tree", file]] {
        assert!(remarks(command).is_empty(), "{command:?}");
        let with_values: Vec<&str> = command.iter().copied().chain(["--values"]).collect();
        let said = remarks(&with_values);
        assert!(said.contains("was written without values"), "{command:?}: {said}");
    }
    let path = folder.snapshot(&target, "values", &["--values"]);
    assert!(remarks(&["show", "--values", text(&path), subject]).is_empty());
    Ok(())
}

/// A folder has a file for each process of a family, and a list of them.
pub fn a_family_has_a_folder(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "family", &[]);
    let child = target.ask("fork")["child"].as_u64().expect("a PID");
    let folder = Folder::new();
    let pid = target.pid().to_string();
    say(["snapshot", "-s", "--pid", &pid, "-o", text(&folder.path("all"))]);
    let index = std::fs::read_to_string(folder.path("all/index.json"))?;
    let index: Value = serde_json::from_str(&index)?;
    assert_documented("`index.json` of `leakspy snapshot --subprocesses`", &index);
    let listed = index["snapshots"].as_array().expect("an array");
    let pids: Vec<u64> = listed.iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    assert_eq!(pids, [target.pid() as u64, child]);
    for entry in listed {
        let name = entry["file"].as_str().expect("a name");
        let file = folder.path("all").join(name);
        let heap = json(["heap", "--json", text(&file)]);
        assert_eq!((&heap["pid"], &heap["objects"]), (&entry["pid"], &entry["objects"]));
    }
    target.assert_healthy();
    Ok(())
}

/// A process is found by its command line.
pub fn a_process_is_found_by_its_name(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mark = format!("marked-{}", std::process::id());
    let target = Target::start(interpreter, "difference", &[&mark]);
    let folder = Folder::new();
    let path = folder.path("heap");
    say(["snapshot", "--name", &mark, "-o", text(&path)]);
    assert_eq!(json(["heap", "--json", text(&path)])["pid"], target.pid());
    assert!(remarks(&["snapshot", "--name", "no-such-command"]).contains("no process has"));
    Ok(())
}
