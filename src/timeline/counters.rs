//! The interpreter's own counters, read without a pause: collections, and arenas in use.
//!
//! A process may start or stop being Python (`execve`) at any moment.

use std::time::Duration;

use super::pace::Pace;
use crate::process::{AddressSpace, Process};
use crate::python::Python;

/// The shortest time between two attempts to find a Python in a process, at first and in the end.
const ATTACH: Duration = Duration::from_secs(1);
const ATTACH_AT_LEAST: Duration = Duration::from_secs(64);

/// The Python in a process, if any.
#[derive(Debug)]
pub(super) struct Counters {
    python: Option<(Python, AddressSpace)>,
    arena_bytes: Option<u64>,
    attach: Pace,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// Collections of each generation, the youngest first.
    pub collections: Option<[u64; 3]>,
    /// Bytes of pymalloc's arenas when last read.
    pub arena_bytes: Option<u64>,
}

impl Counters {
    /// For a process not read before.
    pub fn new() -> Counters {
        Counters { python: None, arena_bytes: None, attach: Pace::new(ATTACH) }
    }

    /// The Python being read.
    pub fn python(&self) -> Option<&Python> {
        self.python.as_ref().map(|(python, _)| python)
    }

    /// Reads the counters; arenas only in their rounds, and once at the beginning.
    pub fn read(&mut self, process: &Process, arenas: &mut Pace) -> Reading {
        if self.python.as_ref().is_some_and(|(_, space)| space.is_gone()) {
            self.python = None;
            self.arena_bytes = None;
            self.attach.hurry(ATTACH);
        }
        if self.python.is_none() {
            let attached = self.attach.when_due(|| {
                let space = process.address_space().ok()?;
                Some((Python::attach(process).ok()?, space))
            });
            match attached {
                Some(Some(attached)) => self.python = Some(attached),
                Some(None) => self.attach.slow_down(ATTACH_AT_LEAST),
                None => {}
            }
        }
        let Some((python, _)) = &self.python else { return Reading::default() };
        // A failed read is tried again next time.
        let look = || python.arenas(process).ok();
        let found = match self.arena_bytes {
            Some(_) => arenas.work(look).flatten(),
            None => look(),
        };
        if let Some(found) = found {
            self.arena_bytes = Some(python.arena_size() * found.len() as u64);
        }
        Reading { collections: python.collections(process).ok(), arena_bytes: self.arena_bytes }
    }
}
