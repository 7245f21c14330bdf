//! How much of keys and values each command that names objects shows: short keys and no values, no keys at
//! all, or everything. And who can read the files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libtest_mimic::{Failed, Trial};

use crate::support::{
    Interpreter, Target, assert_documented, interpreters, leakspy, leakspy_command,
};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

/// Each command that shows the objects in `fixtures/confidential.py`, with its arguments.
const COMMANDS: [&[&str]; 9] = [
    &["why", "Account"],
    &["why", "Account", "--json"],
    &["tree"],
    &["tree", "--json"],
    &["graph", "__main__:ACCOUNTS", "--show", "referents", "--most", "40", "-f", "dot", "-o", "-"],
    &["graph", "Account", "-o", "-"],
    &["show", "__main__:ACCOUNTS"],
    &["show", "__main__:ACCOUNTS", "--json"],
    &["heap", "--largest", "20"],
];

/// Commands that show no keys and no values, whatever the options.
const SILENT: [&[&str]; 4] = [
    &["cycles"],
    &["cycles", "--json"],
    &["heap", "--json", "--largest", "20", "--redact"],
    &["heap", "--by", "module"],
];

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let tests: [(&str, Test); 4] = [
        ("keys", only_short_keys_are_told_unless_more_is_asked_for),
        ("values", the_value_of_an_object_is_told_to_who_asks),
        ("flamegraph", the_live_view_tells_short_keys_only),
        ("files", only_their_owner_can_read_files),
    ];
    let trial = |(name, test): (&str, Test)| {
        Trial::test(format!("{name}::{}", some.name), move || test(some))
    };
    tests.map(trial).into()
}

/// Each command that writes files, with its arguments but the PID.
const WRITERS: [&[&str]; 12] = [
    &["record", "-o", "live.svg"],
    &["record", "-o", "live.json"],
    &["record", "--view", "alloc", "-d", "0.2", "-o", "allocated.pprof"],
    &["heap", "--save", "figures.json"],
    &["snapshot", "-o", "one.leakspy"],
    &["snapshot", "-s", "-o", "family"],
    &["export", "-o", "heap.heapsnapshot"],
    &["graph", "Account", "-o", "graph.svg"],
    &["report", "-o", "report.html"],
    &["timeline", "-d", "0.3", "-o", "memory.csv"],
    &["watch", "--rss-above", "1M", "--heap", "watched.json", "--snapshot", "watched.leakspy"],
    &["hunt", "-d", "1", "-o", "fed.svg", "--report", "verdict.html", "--snapshot", "captures"],
];

fn only_their_owner_can_read_files(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "confidential", &[]);
    let (folder, pid) = (tempfile::tempdir()?, target.pid().to_string());
    let run = |words: &[&str]| -> Result<(), Failed> {
        let mut command = leakspy_command();
        let output = command.args(words).current_dir(folder.path()).output()?;
        assert!(output.status.success(), "{words:?}: {output:?}");
        Ok(())
    };
    for words in WRITERS {
        run(&[words, &["--pid", &pid]].concat())?;
    }
    run(&["plot", "memory.csv", "-o", "chart.svg"])?;
    let (mut folders, mut files) = (vec![folder.path().to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let there = fs::metadata(&path)?;
            let expected = if there.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(there.permissions().mode() & 0o777, expected, "{path:?}");
            if there.is_dir() {
                folders.push(path);
            } else {
                files += 1;
            }
        }
    }
    assert!(files >= WRITERS.len(), "{files} files");
    Ok(())
}

fn output(target: &Target, command: &[&str]) -> String {
    let pid = target.pid().to_string();
    let output = leakspy(command.iter().chain(&["--pid", &pid]));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn only_short_keys_are_told_unless_more_is_asked_for(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "confidential", &[]);
    for command in COMMANDS {
        let plain = output(&target, command);
        let redacted = output(&target, &[command, &["--redact"]].concat());
        for (text, told) in [(&plain, true), (&redacted, false)] {
            for key in ["['customer']", "[471108151623]"] {
                assert_eq!(text.contains(key), told, "{command:?}, {key}: {text}");
            }
            assert!(text.contains("[str]") && text.contains("[tuple]"), "{command:?}: {text}");
            for secret in ["kkk", "hunter"] {
                assert!(!text.contains(secret), "{command:?}, {secret}: {text}");
            }
        }
        if command[0] == "heap" {
            continue;
        }
        let all = output(&target, &[command, &["--values"]].concat());
        for key in ["['customer']", "[471108151623]", "['kkk", "[('name', "] {
            assert!(all.contains(key), "{command:?}, {key}: {all}");
        }
    }
    // The number is too long to occur in any address or time.
    for command in SILENT {
        let text = output(&target, command);
        for secret in ["customer", "471108151623", "kkk", "hunter"] {
            assert!(!text.contains(secret), "{command:?}, {secret}: {text}");
        }
    }
    Ok(())
}

fn the_value_of_an_object_is_told_to_who_asks(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "confidential", &[]);
    let password = "__main__:ACCOUNTS['customer'].password";
    for command in [
        &["why", password][..],
        &["why", password, "--json"],
        &["graph", password, "-f", "dot", "-o", "-"],
        &["graph", password, "-o", "-"],
        &["show", password],
        &["show", password, "--json"],
    ] {
        for option in [&[][..], &["--redact"], &["--values"]] {
            let text = output(&target, &[command, option].concat());
            assert_eq!(text.contains("hunter2"), option == ["--values"], "{command:?}: {text}");
            if command.contains(&"--json") {
                let title = format!("`leakspy {} --json`", command[0]);
                assert_documented(&title, &serde_json::from_str(&text)?);
            }
        }
    }
    let pid = target.pid().to_string();
    let both = leakspy(["show", "--pid", &pid, password, "--redact", "--values"]);
    assert_eq!(both.status.code(), Some(2));
    Ok(())
}

fn the_live_view_tells_short_keys_only(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "confidential", &[]);
    let text = output(&target, &["record", "--view", "live", "-f", "folded", "-o", "-"]);
    assert!(text.contains("['customer']") && text.contains("[str]"), "{text}");
    assert!(!text.contains("kkk") && !text.contains("hunter"), "{text}");
    Ok(())
}
