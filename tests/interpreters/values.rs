//! Values of the built-in types as `--values` shows them, against what the target's own `repr` says.

use leakspy::memory::{Cached, Memory};
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::{EdgeNames, Reader, TypeTable};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, cases, interpreters, leakspy};

/// No target of these tests has more memory than this.
const EXTENT: u64 = 1 << 30;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("values", are_what_repr_prints);
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("commands::{}", some.name), || commands_show_them(some)));
    trials
}

fn are_what_repr_prints(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "values", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let types = TypeTable::new(&memory, &python, EXTENT);
    let reader = Reader::new(&memory, &types);
    let values: Vec<(u64, String)> = serde_json::from_value(target.ask("values"))?;
    let whole = compare(&reader, &values)?;
    assert!(whole > 2500, "only {whole} of {} values were not shortened", values.len());
    let characters: Vec<(u64, String)> = serde_json::from_value(target.ask("characters"))?;
    assert_eq!(compare(&reader, &characters)?, characters.len());
    let long: Vec<(u64, bool, u64)> = serde_json::from_value(target.ask("long"))?;
    for (address, is_negative, bits) in long {
        let sign = if is_negative { "negative " } else { "" };
        assert_eq!(reader.preview(address), Some(format!("<{sign}int of {bits} bits>")));
    }
    Ok(())
}

/// Compares values with their `repr`; how many were not shortened.
fn compare<M: Memory>(reader: &Reader<'_, M>, values: &[(u64, String)]) -> Result<usize, Failed> {
    let mut whole = 0;
    for (address, expected) in values {
        let found = reader.preview(*address).unwrap_or_default();
        whole += usize::from(found == *expected);
        if !is_or_begins(&found, expected) {
            return Err(format!("{address:#x}: expected {expected}, found {found}").into());
        }
    }
    Ok(whole)
}

/// Whether a value is right up to where it was cut, if it was.
fn is_or_begins(found: &str, expected: &str) -> bool {
    if found == expected {
        return true;
    }
    let Some((begin, _)) = found.split_once('…') else { return false };
    // The quote that ends a text that was cut, or the comma before what was left out.
    let begin = begin.strip_suffix(['\'', '"']).or(begin.strip_suffix(", ")).unwrap_or(begin);
    expected.starts_with(begin) && expected.len() > 80
        || ["[[1, [2, [", "[0, 1, 2, 3, 4"].contains(&begin)
}

/// Whether commands print them as they are, from a process and from a file, and find a key as it is shown.
fn commands_show_them(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "values", &[]);
    let (folder, pid) = (tempfile::tempdir()?, target.pid().to_string());
    let file = folder.path().join("values.leakspy").to_string_lossy().into_owned();
    let run = |words: &[&str]| -> Result<String, Failed> {
        let output = leakspy(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    run(&["snapshot", "--pid", &pid, "--values", "-o", &file])?;
    for (key, expected) in [
        ("'tab'", r"'a\tb\\'"),
        ("'quotes'", "\"it's\""),
        ("\"it's\"", r#"b'"it\'s"'"#),
        ("'large'", "9223372036854775808"),
        ("'one'", "(1,)"),
        ("'set'", "set()"),
        ("'mixed'", "[<__main__.Plain>, <__main__.list>, <type>]"),
    ] {
        let path = format!("__main__:NAMED[{key}]");
        for source in [&pid, &file] {
            let words = ["show", source, &path, "--values"];
            let text = run(&words)?;
            let line = format!("\nvalue       {expected}\n");
            assert!(text.contains(&line), "{words:?}: no {expected} in {text}");
            let json: Value = serde_json::from_str(&run(&[&words[..], &["--json"]].concat())?)?;
            assert_eq!(json["value"], expected, "{words:?}");
        }
    }
    Ok(())
}
