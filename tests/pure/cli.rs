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
