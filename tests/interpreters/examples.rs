//! The programs in `examples/`, run against a target that leaks: a user of the library starts from them.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, interpreters};

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 3] = [
        ("example_threads", threads_are_printed_with_their_stacks),
        ("example_heap", types_are_printed_with_what_they_retain),
        ("example_hunt", the_leak_is_printed_with_the_line_that_feeds_it),
    ];
    let trial = |(name, test): (&str, Test)| {
        let interpreter = interpreters().last();
        let trial = Trial::test(name, move || test(interpreter.ok_or("no interpreter")?));
        trial.with_ignored_flag(interpreter.is_none())
    };
    tests.map(trial).into()
}

/// A test with one interpreter.
type Test = fn(&'static Interpreter) -> Result<(), Failed>;

fn threads_are_printed_with_their_stacks(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["dict"]);
    let printed = run("threads", &[&target.pid().to_string()])?;
    assert!(printed.contains("MainThread\n    ") && printed.contains("leaks.py:"), "{printed}");
    target.assert_healthy();
    Ok(())
}

fn types_are_printed_with_what_they_retain(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["dict"]);
    let printed = run("heap", &[&target.pid().to_string()])?;
    let retained: Vec<u64> = printed
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().next().unwrap_or_default().parse())
        .collect::<Result<_, _>>()?;
    assert_eq!(retained.len(), 10, "{printed}");
    assert!(retained.is_sorted_by(|a, b| a >= b) && retained[9] > 0, "{printed}");
    target.assert_healthy();
    Ok(())
}

fn the_leak_is_printed_with_the_line_that_feeds_it(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["dict"]);
    let printed = run("hunt", &[&target.pid().to_string(), "8"])?;
    assert!(printed.starts_with("__main__.Session in module __main__ › CACHE: +"), "{printed}");
    assert!(printed.contains("by in_dict ("), "{printed}");
    target.assert_healthy();
    Ok(())
}

/// The output of an example. Cargo builds examples beside the test programs.
fn run(example: &str, arguments: &[&str]) -> Result<String, Failed> {
    let tests = env::current_exe()?;
    let folder = tests.parent().and_then(|folder| folder.parent()).ok_or("no target folder")?;
    let program: PathBuf = folder.join("examples").join(example);
    let output = Command::new(&program).args(arguments).output()?;
    assert!(output.status.success(), "{}: {output:?}", program.display());
    Ok(String::from_utf8(output.stdout)?)
}
