//! What the interpreter counts itself, read without a pause: collections, and arenas in use.
//!
//! A process may start or stop being Python (`execve`) at any moment.

use std::time::Duration;

use super::pace::Pace;
use crate::process::{AddressSpace, Process};
use crate::python::Python;

/// How often a process is asked at first whether it is a Python, and at least.
const ATTACH: Duration = Duration::from_secs(1);
const ATTACH_AT_LEAST: Duration = Duration::from_secs(64);

/// The Python in a process, if there is one.
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
    /// Bytes of pymalloc's arenas, as they were seen last.
    pub arena_bytes: Option<u64>,
}

impl Counters {
    /// Of a process that has just been met.
    pub fn new() -> Counters {
        Counters { python: None, arena_bytes: None, attach: Pace::new(ATTACH) }
    }

    /// The Python that is read.
    pub fn python(&self) -> Option<&Python> {
        self.python.as_ref().map(|(python, _)| python)
    }

    /// Reads what there is; arenas in their rounds, and once at the beginning.
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
        // What cannot be read now may be read the next time.
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
