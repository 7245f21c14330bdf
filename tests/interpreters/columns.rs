//! Text in a terminal of 80 and 200 columns, and without one: nothing is wider, no word is broken, and what is piped has
//! whole lines and no colours.

use std::collections::HashSet;

use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, interpreters, leakspy_command};

/// Each command that prints text about a process, with its arguments.
const COMMANDS: [&[&str]; 9] = [
    &["heap", "--largest", "5"],
    &["heap", "--by", "module"],
    &["why", "Kept"],
    &["why", "Slotted", "--all-paths", "3"],
    &["tree"],
    &["cycles"],
    &["show", "__main__.LIST"],
    &["mem"],
    &["dump"],
];

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let fits = Trial::test(format!("fits::{}", some.name), || it_fits(some));
    let colours = Trial::test(format!("colours::{}", some.name), || colours_are_asked_for(some));
    vec![fits, colours]
}

fn text(command: &[&str], pid: &str, columns: Option<&str>) -> Result<String, Failed> {
    let mut leakspy = leakspy_command();
    leakspy.args(command).args(["--pid", pid]);
    match columns {
        Some(columns) => leakspy.env("COLUMNS", columns),
        None => leakspy.env_remove("COLUMNS"),
    };
    let output = leakspy.output()?;
    assert!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn it_fits(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "why", &[]);
    let pid = target.pid().to_string();
    for command in COMMANDS {
        let piped = text(command, &pid, None)?;
        let known: HashSet<&str> = piped.split_whitespace().collect();
        for columns in [80, 200] {
            let fitted = text(command, &pid, Some(&columns.to_string()))?;
            for line in fitted.lines() {
                let width = line.chars().count();
                let is_one_word = line.split_whitespace().nth(1).is_none();
                assert!(
                    width <= columns || is_one_word,
                    "{command:?}, {width} of {columns}: {line}"
                );
            }
            // Figures differ from one moment to the next, and names are shortened at their beginning.
            let is_whole = |word: &str| {
                let end = word.trim_start_matches('…');
                !word.chars().any(char::is_alphabetic)
                    || known.contains(word)
                    || end != word && known.iter().any(|known| known.ends_with(end))
            };
            let (body, _) = fitted.split_once("\nNext: ").unwrap_or((&fitted, ""));
            let broken: Vec<&str> = body
                .split_whitespace()
                .filter(|word| !is_whole(word) && !word.contains("0x"))
                .collect();
            assert!(broken.is_empty(), "{command:?} at {columns}: {broken:?}\n{fitted}");
        }
    }
    Ok(())
}

fn colours_are_asked_for(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "why", &[]);
    let pid = target.pid().to_string();
    let is_coloured = |options: &[&str]| -> Result<bool, Failed> {
        Ok(text(&[&["heap", "--top", "3"], options].concat(), &pid, None)?.contains('\u{1b}'))
    };
    assert!(!is_coloured(&[])?);
    assert!(!is_coloured(&["--color", "never"])?);
    assert!(is_coloured(&["--color", "always"])?);
    assert!(!is_coloured(&["--color", "always", "--json"])?);
    Ok(())
}
