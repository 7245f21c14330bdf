//! The command line as a shell sees it: exit statuses and streams.

use std::fs::File;
use std::process::{Command, Output, Stdio};

fn leakspy(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leakspy"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    leakspy(arguments).output().expect("leakspy was started")
}

/// A pipe without a reader.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_line_that_makes_no_sense_is_status_2_and_says_so() {
    for line in [&["record"][..], &["dump", "--pid", "x"], &["observe"]] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line:?}");
    }
}

/// tracemalloc knows no threads, and a command needs a duration to say when to read it.
#[test]
fn what_tracemalloc_cannot_tell_is_refused() {
    let traced = ["record", "--view", "traced"];
    for rest in [
        &["--pid", "1", "--threads"][..],
        &["--pid", "1", "--nonblocking"],
        &["--pid", "1", "--breakpoints", "perf"],
        &["--", "true"],
    ] {
        let output = run(&[&traced, rest].concat());
        assert_eq!(output.status.code(), Some(2), "{rest:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{rest:?}");
    }
}

/// What an option cannot mean is refused before anything is started, with a sentence that says what can be typed.
#[test]
fn a_refusal_says_what_can_be_typed() {
    for (line, status, words) in [
        (&["watch", "1", "--rss-above", "10"][..], 2, "a size needs a unit: 10KiB, 10MiB or 10GiB"),
        (
            &["watch", "1", "--rss-above", "1GiB", "--window", "5s"],
            2,
            "only `--growth` has a `--window`",
        ),
        (&["heap", "1", "--max-memory", "2"], 2, "a size needs a unit"),
        (&["timeline", "app.py"], 2, "a command to start stands behind two dashes: `-- app.py`"),
        (
            &["record", "1", "-o", "a.svg", "-f", "json"],
            2,
            "is not the form of a file that ends in .svg",
        ),
        (&["record", "1", "--rate", "7"], 2, "only `--view alloc` takes samples"),
        (&["export", "1", "-o", "a.bin"], 2, "the name can end in .heapsnapshot, .pb.gz or .pprof"),
        (
            &["hunt", "1", "-o", "/nowhere/a.svg"],
            1,
            "there is no folder /nowhere. Nothing was started.",
        ),
        (&["snapshot", "1", "-o", "/"], 1, "it is a folder. Nothing was started."),
        (
            &["heap", "--name", "no such process"],
            1,
            "no process has `no such process` in its command line",
        ),
        (&["heap", "Cargo.toml", "--nonblocking"], 2, "leave `--nonblocking` out"),
    ] {
        let output = run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line:?}: {said}");
        assert!(output.stdout.is_empty() && said.contains(words), "{line:?}: {said}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, concat!("leakspy ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[test]
fn streams_that_nobody_reads_are_no_reason_to_panic() {
    let no_process = i32::MAX.to_string();
    for line in
        [&["--help"][..], &["dump", "--pid", &no_process], &["record", "--pid", &no_process]]
    {
        let status = leakspy(line)
            .stdout(closed_pipe())
            .stderr(closed_pipe())
            .status()
            .expect("leakspy was started");
        // A panic is 101, a signal has no code.
        assert!(matches!(status.code(), Some(0..=2)), "{line:?}: {status}");
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let status = leakspy(line).stdout(full).stderr(closed_pipe()).status().expect("started");
        assert!(matches!(status.code(), Some(0..=2)), "{line:?}: {status}");
    }
}
