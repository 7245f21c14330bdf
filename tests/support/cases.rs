//! One named test per fixture and interpreter, and no version left out in silence.
//!
//! A version that the machine lacks shows as an ignored test; where `CI` is set, it is a failure
//! (see `tests/interpreters.rs`).

use std::env;

use libtest_mimic::{Failed, Trial};

use super::interpreters::{Interpreter, VERSIONS, interpreters};

/// A trial for each interpreter, named `fixture::interpreter`.
pub fn cases(
    fixture: &str,
    test: impl Fn(&'static Interpreter) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for minor in VERSIONS {
        let mut present = with_minor_version(minor).peekable();
        if present.peek().is_none() {
            let name = format!("{fixture}::3.{minor} is not on this machine");
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
        }
        for interpreter in present {
            let test = test.clone();
            let name = format!("{fixture}::{}", interpreter.name);
            trials.push(Trial::test(name, move || test(interpreter)));
        }
    }
    trials
}

/// A trial for each version of the promise, `interpreters::3.14 is present`: where `CI` is set it
/// fails when the version is absent, elsewhere it is ignored.
pub fn required_versions() -> Vec<Trial> {
    let in_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    VERSIONS
        .map(|minor| {
            let present = with_minor_version(minor).next().is_some();
            let trial = Trial::test(format!("interpreters::3.{minor} is present"), move || {
                let missing =
                    format!("no CPython 3.{minor} found; see fixtures/fetch-interpreters");
                if present { Ok(()) } else { Err(missing.into()) }
            });
            trial.with_ignored_flag(!present && !in_ci)
        })
        .collect()
}

fn with_minor_version(minor: u64) -> impl Iterator<Item = &'static Interpreter> {
    interpreters().iter().filter(move |interpreter| interpreter.version[1] == minor)
}
