//! The preamble of every answer about one heap: the process, the time of the capture, and the pause.

use std::time::UNIX_EPOCH;

use indicatif::HumanCount;
use serde::Serialize;

use super::json::SCHEMA;
use super::labels::printable;
use super::sheet::Sheet;
use super::{RenderError, time};
use crate::source::Provenance;

impl Provenance {
    /// Writes the process, a sentence about the answer, and the pause.
    pub(super) fn heading(&self, says: &str, out: &mut impl Sheet) -> Result<(), RenderError> {
        writeln!(out, "Process {}: {}", self.owner.pid, printable(&self.owner.command))?;
        writeln!(out, "Python {}. {says}", printable(&self.owner.python))?;
        match self.pause.is_zero() {
            true => writeln!(out, "The target was never paused.")?,
            false => writeln!(out, "Paused for {}.", time(self.pause))?,
        }
        // If the process was paused, they are only objects that were just being made.
        if self.inconsistencies > 0 && self.pause.is_zero() {
            writeln!(
                out,
                "{} references or objects were just being changed and are inconsistent.",
                HumanCount(self.inconsistencies)
            )?;
        }
        Ok(())
    }

    /// The same for JSON.
    pub(super) fn head(&self) -> Head<'_> {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Head {
            schema: SCHEMA,
            pid: self.owner.pid,
            command: &self.owner.command,
            python: &self.owner.python,
            time_s: since.as_secs_f64(),
            pause_s: self.pause.as_secs_f64(),
            inconsistencies: self.inconsistencies,
        }
    }
}

/// The beginning of every document about a heap.
#[derive(Serialize)]
pub(super) struct Head<'a> {
    schema: u32,
    pid: i32,
    command: &'a str,
    python: &'a str,
    time_s: f64,
    pause_s: f64,
    inconsistencies: u64,
}
