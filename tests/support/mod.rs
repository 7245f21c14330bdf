//! What the tests stand on: every CPython of the machine, the fixtures run under them, and the
//! built `leakspy`.
//!
//! A test is a fixture under an interpreter ([`cases`]), the running fixture is a [`Target`], and
//! the target itself is the witness: it is asked for the truth over its stdin and stdout.

// Each test program compiles this module for itself and uses its own part of it.
#![allow(dead_code, unused_imports)]

mod cases;
mod health;
mod interpreters;
mod target;

pub use cases::{cases, required_versions};
pub use health::Health;
pub use interpreters::{Interpreter, Linkage, VERSIONS, interpreters};
pub use target::Target;

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// After this long without what a test waits for, the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so, looking again and again; gives the test up after a minute.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The built binary, ready for arguments.
pub fn leakspy_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_leakspy"))
}

/// Runs the built binary to its end.
pub fn leakspy<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    leakspy_command().args(arguments).output().expect("the built leakspy starts")
}
