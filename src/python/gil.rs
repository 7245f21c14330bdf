//! Which thread holds the GIL.

use super::layout::Gil;
use super::{Python, at};
use crate::memory::{Memory, ReadError};

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
