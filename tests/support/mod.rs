//! The basis of the tests: every CPython of the machine, the fixtures run under them, and the built
//! `leakspy`.
//!
//! A test is a fixture under an interpreter ([`cases`]), the running fixture is a [`Target`], and
//! the target itself is the witness: it is asked for the truth over its stdin and stdout.

// Each benchmark compiles this module itself and uses part of it.
#![allow(dead_code, unused_imports)]

pub mod browser;
mod cases;
pub mod cores;
mod documented;
mod health;
mod heaps;
mod interpreters;
mod programs;
mod recording;
mod refusing;
mod sources;
mod target;
mod waiting;

pub use cases::{case_for_root, case_with, cases, cases_with_numpy, missing, required_versions};
pub use documented::assert_documented;
pub use health::Health;
pub use heaps::with_heap;
pub use interpreters::{Interpreter, Linkage, VERSIONS, interpreters, older_pythons};
pub use programs::place_program;
pub use recording::{Recorded, Recording};
pub use refusing::{Refusal, refuse};
pub use sources::assert_has_source;
pub use target::Target;
pub use waiting::{wait_until, wait_until_readable};

use std::ffi::OsStr;
use std::process::{Command, Output};

/// The built binary, ready for arguments.
pub fn leakspy_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_leakspy"))
}

/// Runs the built binary to its end.
pub fn leakspy<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    leakspy_command().args(arguments).output().expect("the built leakspy starts")
}
