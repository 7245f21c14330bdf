//! One named test per fixture and interpreter, so that no version is left out silently.
//!
//! A version that the machine lacks shows as an ignored test; where `CI` is set, it is a failure
//! (see `tests/interpreters/fixtures.rs`).

use std::env;

use libtest_mimic::{Failed, Trial};

use super::interpreters::{Interpreter, VERSIONS, interpreters};

/// The minor versions for which `fixtures/fetch` installs numpy.
const WITH_NUMPY: [u64; 3] = [8, 12, 13];
/// The minor version for which it installs the other packages.
const WITH_OTHERS: u64 = 12;

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
            trials.push(missing(name, "see fixtures/fetch"));
        }
        for interpreter in present {
            let test = test.clone();
            let name = format!("{fixture}::{}", interpreter.name);
            trials.push(Trial::test(name, move || test(interpreter)));
        }
    }
    trials
}

/// A trial for each promised version, `interpreters::3.14 is present`: where `CI` is set it fails when the
/// version is absent, elsewhere it is ignored.
pub fn required_versions() -> Vec<Trial> {
    VERSIONS
        .map(|minor| {
            let name = format!("interpreters::3.{minor} is present");
            match with_minor_version(minor).next() {
                Some(_) => Trial::test(name, || Ok(())),
                None => missing(name, "no such CPython found; see fixtures/fetch-interpreters"),
            }
        })
        .collect()
}

/// A trial for each interpreter with numpy. Where `CI` is set it fails when that is absent.
pub fn cases_with_numpy(
    fixture: &str,
    test: impl Fn(&Interpreter) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    let trial = |minor| match Interpreter::with_package("numpy", minor) {
        Some(interpreter) => {
            let test = test.clone();
            Trial::test(format!("{fixture}::{}", interpreter.name), move || test(&interpreter))
        }
        None => missing(format!("{fixture}::3.{minor} with numpy"), "see fixtures/fetch-packages"),
    };
    WITH_NUMPY.map(trial).into()
}

/// A trial for the interpreter with a package, or with the set of packages of this name. Where `CI` is set it
/// fails when that is absent.
pub fn case_with(
    package: &str,
    name: &str,
    test: impl Fn(&Interpreter) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    match Interpreter::with_package(package, WITH_OTHERS) {
        Some(interpreter) => {
            Trial::test(format!("{name}::{}", interpreter.name), move || test(&interpreter))
        }
        None => {
            let name = format!("{name}::3.{WITH_OTHERS} with {package}");
            missing(name, "see fixtures/fetch-packages")
        }
    }
}

/// A trial that only root can run: otherwise it is ignored.
pub fn case_for_root(
    name: &str,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::test(name, test).with_ignored_flag(!nix::unistd::geteuid().is_root())
}

/// A trial that lacks something: a failure where `CI` is set, otherwise ignored.
pub fn missing(name: String, advice: &'static str) -> Trial {
    let in_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    Trial::test(name, move || Err(advice.into())).with_ignored_flag(!in_ci)
}

fn with_minor_version(minor: u64) -> impl Iterator<Item = &'static Interpreter> {
    interpreters().iter().filter(move |interpreter| interpreter.version[1] == minor)
}
