//! Which thread holds the GIL.

use super::layout::Gil;
use super::{Python, at};
use crate::memory::{Memory, ReadError};

impl Python {
    /// The addresses of the thread states that hold a GIL now. One at most up to 3.11; from 3.12 on
    /// each isolated subinterpreter has a GIL of its own.
    ///
    /// In a running target the answer is already old. It can only be relied on after the thread it
    /// names has been stopped and the question asked again.
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
                // An interpreter that is being made or undone has none.
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
        // -1 before the GIL is made, 0 free, 1 held.
        if memory.i32(at(gil, locked))? != 1 {
            return Ok(None);
        }
        let thread = memory.u64(at(gil, last_holder))?;
        if thread == 0 {
            return Ok(None);
        }
        // `locked` is set before `last_holder`; from 3.14 on the thread itself says which it is.
        if let Some(holds) = self.layout.thread.holds_gil
            && memory.i32(at(thread, holds))? == 0
        {
            return Ok(None);
        }
        Ok(Some(thread))
    }
}
