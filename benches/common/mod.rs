//! Shared by the benches: the programs compared, the Python that they are compared on, and the statistics of
//! pairs.

// Each bench compiles this module itself and uses part of it.
#![allow(dead_code)]

pub mod statistics;

use std::path::{Path, PathBuf};

use crate::support::{Interpreter, interpreters};

/// The folder filled by `benches/install-peers`.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/bin")
}

/// A peer's program, if `benches/install-peers` has installed it.
pub fn peer(name: &str) -> Option<PathBuf> {
    Some(peers().join(name)).filter(|path| path.exists())
}

/// The Python to measure on: the one asked for, else that of the peers (memray can only attach to a Python
/// that it is installed for), else any 3.12, else the newest.
pub fn python(asked: Option<&Path>) -> Result<Interpreter, String> {
    if let Some(path) = asked {
        return Interpreter::at(path).ok_or(format!("{} is no CPython 3.8 … 3.15", path.display()));
    }
    let found = interpreters();
    Interpreter::at(&peers().join("python"))
        .or_else(|| found.iter().find(|one| one.version[1] == 12).cloned())
        .or_else(|| found.last().cloned())
        .ok_or("no CPython found".into())
}
