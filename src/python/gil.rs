//! Which thread holds the GIL.

use std::ops::Range;

use super::layout::Gil;
use super::{Python, at};
use crate::memory::{Memory, ReadError};

/// From `locked` to the end of `_gil_runtime_state`: `switch_number`, two conditions and two mutexes of 48 and 40 bytes
/// (Include/internal/pycore_gil.h).
const GIL_END: u64 = 16 + 2 * (48 + 40);

impl Python {
    /// The addresses of the thread states that hold a GIL now. Up to 3.11 there is at most one; from 3.12 on
    /// each isolated subinterpreter has a GIL of its own.
    ///
    /// In a running target the answer may be out of date at once. Rely on it only after stopping the thread
    /// it names and asking again.
    pub fn gil_holders<M: Memory>(&self, memory: &M) -> Result<Vec<u64>, ReadError> {
        let mut holders = Vec::new();
        match self.layout.gil {
            Gil::Process { last_holder, locked } => {
                holders.extend(self.holder(memory, self.runtime, last_holder, locked)?);
            }
            Gil::Interpreter { pointer, last_holder, locked } => {
                let mut gils = Vec::new();
                for interpreter in self.interpreters(memory)? {
                    gils.push(memory.u64(at(interpreter, pointer))?);
                }
                gils.sort_unstable();
                gils.dedup();
                // An interpreter that is being created or destroyed has none.
                for gil in gils.into_iter().filter(|&gil| gil != 0) {
                    holders.extend(self.holder(memory, gil, last_holder, locked)?);
                }
            }
        }
        Ok(holders)
    }

    /// The addresses of the GIL of an interpreter, with the locks and conditions that threads wait for.
    pub(super) fn gil_span<M: Memory>(
        &self,
        memory: &M,
        interpreter: u64,
    ) -> Result<Range<u64>, ReadError> {
        let start = match self.layout.gil {
            Gil::Process { locked, .. } => at(self.runtime, locked),
            Gil::Interpreter { pointer, locked, .. } => {
                at(memory.u64(at(interpreter, pointer))?, locked)
            }
        };
        Ok(start..start.saturating_add(GIL_END))
    }

    fn holder<M: Memory>(
        &self,
        memory: &M,
        gil: u64,
        last_holder: usize,
        locked: usize,
    ) -> Result<Option<u64>, ReadError> {
        // -1 before the GIL is created, 0 free, 1 held.
        if memory.i32(at(gil, locked))? != 1 {
            return Ok(None);
        }
        let thread = memory.u64(at(gil, last_holder))?;
        if thread == 0 {
            return Ok(None);
        }
        // `locked` is set before `last_holder`; from 3.14 on the thread itself says whether it holds the GIL.
        if let Some(holds) = self.layout.thread.holds_gil
            && memory.i32(at(thread, holds))? == 0
        {
            return Ok(None);
        }
        Ok(Some(thread))
    }
}
