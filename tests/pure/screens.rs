//! The text of the commands in a terminal of 80 and 200 columns, against golden files. All of it is about three snapshot
//! files in `tests/golden`, of a service that never forgets a session, so these also hold the form of snapshot files.
//!
//! `BLESS=1 cargo test --test pure screens` rewrites the text; check the difference before committing it. The files were
//! made of `docs/shop.py`, run by Debian's Python 3.13 with `-I -S`, some seconds apart.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use leakspy::render::ps;
use leakspy::render::sheet::Paper;

const BEFORE: &str = "before.leakspy";
const BETWEEN: &str = "between.leakspy";
const AFTER: &str = "after.leakspy";
const WIDTHS: [usize; 2] = [80, 200];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/screens")
}

/// What a command says about the files; whole lines without `columns`.
fn said(words: &[&str], columns: Option<usize>) -> String {
    let mut leakspy = Command::new(env!("CARGO_BIN_EXE_leakspy"));
    leakspy.args(words).current_dir(folder());
    match columns {
        Some(columns) => leakspy.env("COLUMNS", columns.to_string()),
        None => leakspy.env_remove("COLUMNS"),
    };
    let output = leakspy.output().expect("the built leakspy starts");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn assert_golden(name: &str, columns: usize, text: &str) {
    let path = folder().join(format!("{name}-{columns}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, text).expect("golden file written");
        return;
    }
    let golden = fs::read_to_string(path).expect("golden file");
    for (number, (expected, found)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(expected, found, "{name} at {columns} columns, line {}", number + 1);
    }
    assert_eq!(golden.lines().count(), text.lines().count(), "lines of {name} at {columns}");
}

/// No line is wider than the terminal, and no word is broken: each is in `whole`, or the end of one that is, from a
/// separator on.
#[track_caller]
fn assert_fits(name: &str, columns: usize, text: &str, whole: &str) {
    let known: HashSet<&str> = whole.split_whitespace().collect();
    let is_whole = |word: &&str| match word.strip_prefix('…') {
        None => known.contains(word),
        Some(end) => {
            let mut starts = known.iter().filter_map(|known| known.strip_suffix(end));
            known.contains(word) || starts.any(|start| !start.ends_with(char::is_alphanumeric))
        }
    };
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "{name} at {columns} columns: {line}");
        assert_eq!(line, line.trim_end(), "{name} at {columns} columns");
    }
    let (body, _) = text.split_once("\nNext: ").unwrap_or((text, ""));
    // What is left out is counted.
    let words = body.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic));
    let broken: Vec<&str> = words.filter(|word| !is_whole(word)).collect();
    assert!(broken.is_empty(), "{name} at {columns} columns: {broken:?}");
}

#[test]
fn every_command_about_a_heap_fits() {
    let commands: [(&str, &[&str]); 13] = [
        ("heap", &["heap", AFTER, "--top", "10"]),
        ("heap-own", &["heap", AFTER, "--own", "--sort", "retained", "--top", "5"]),
        ("heap-largest", &["heap", AFTER, "--largest", "6", "--top", "3"]),
        ("diff", &["diff", BEFORE, AFTER, "--top", "5"]),
        ("why", &["why", AFTER, "Session"]),
        ("why-functions", &["why", AFTER, "function", "--top", "3", "--depth", "3"]),
        ("tree", &["tree", AFTER, "--depth", "5", "--top", "4"]),
        ("cycles", &["cycles", AFTER, "--top", "5"]),
        ("show", &["show", AFTER, "__main__.remember"]),
        ("waste", &["waste", AFTER, "--top", "5"]),
        ("mem", &["mem", AFTER]),
        ("dump", &["dump", AFTER]),
        ("hunt", &["hunt", BEFORE, BETWEEN, AFTER]),
    ];
    for (name, words) in commands {
        let whole = said(words, None);
        for columns in WIDTHS {
            let text = said(words, Some(columns));
            assert_fits(name, columns, &text, &whole);
            assert_golden(name, columns, &text);
        }
        for columns in [90, 100, 130] {
            assert_fits(name, columns, &said(words, Some(columns)), &whole);
        }
    }
}

#[test]
fn the_list_of_processes_fits() {
    let process = |pid, command: &str, refusal: Option<&str>| ps::Found {
        pid,
        command: command.to_owned(),
        python: refusal.is_none().then(|| "3.12.1".to_owned()),
        rss: 391_118_848,
        age: Duration::from_secs(5400),
        refusal: refusal.map(str::to_owned),
    };
    let workers = "/srv/shop/environment/bin/python3.12 -m gunicorn shop.main:application --workers 4 \
                   --bind 0.0.0.0:8000 --max-requests 10000";
    let found = [
        process(812, "/usr/bin/python3 /usr/bin/networkd-dispatcher", Some("not permitted")),
        process(4301, workers, None),
        process(4_194_303, "python3 shop.py", Some("traced by 812")),
    ];
    let written = |columns: usize| {
        let mut out = Paper::new(columns);
        ps::write(&found, &mut out).expect("memory can be written");
        out.lines().iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    let whole = written(1000);
    for columns in WIDTHS {
        assert_fits("ps", columns, &written(columns), &whole);
        assert_golden("ps", columns, &written(columns));
    }
}
