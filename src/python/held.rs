//! What the interpreter itself holds: through its threads, their frames, its modules and its own fields.

use super::dicts::entries;
use super::layout::{Frames, Generators, InterpreterFrame};
use super::objects::{Edges, Reader, string, type_of};
use super::{Python, at};
use crate::memory::{Memory, u64_at};

/// The part of a thread state that may hold references, in bytes: all of its fields up to `id`.
const THREAD_SPAN: usize = 320;
/// The part of an interpreter's state around `sys.modules` that may hold references, in bytes.
const INTERPRETER_BEFORE: usize = 512;
const INTERPRETER_SPAN: usize = 1536;

/// Objects that a part of the interpreter holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Their addresses.
    pub objects: Vec<u64>,
    /// Words that may be addresses of other objects.
    pub candidates: Vec<u64>,
}

/// A module in `sys.modules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name there.
    pub name: String,
    /// The address of the module, and of its globals if it is a `module`.
    pub objects: Vec<u64>,
}

impl Python {
    /// What the fields of a thread's state hold: the exception that it handles, its context.
    pub fn held_by_thread<M: Memory>(&self, memory: &M, state: u64) -> Held {
        Held { objects: Vec::new(), candidates: words(memory, state, THREAD_SPAN) }
    }

    /// What the fields of an interpreter's state hold. The first object is `sys.modules`.
    pub fn held_by_interpreter<M: Memory>(&self, memory: &M, state: u64) -> Held {
        let fields = &self.layout.interpreter;
        let start = at(state, fields.modules.saturating_sub(INTERPRETER_BEFORE));
        let word = |offset| memory.u64(at(state, offset)).unwrap_or_default();
        Held {
            objects: vec![word(fields.modules), word(fields.sys_dict)],
            candidates: words(memory, start, INTERPRETER_SPAN),
        }
    }

    /// What a frame of a thread's stack holds: itself where it is an object (up to 3.10), otherwise its
    /// generator and its locals. If it can be read only in part, that part counts.
    pub fn held_by_frame<M: Memory>(&self, reader: Reader<'_, M>, frame: u64) -> Vec<u64> {
        match &self.layout.frames {
            Frames::Objects(_) => vec![frame],
            Frames::Interpreter(layout) => {
                let mut edges = Edges::new();
                let _ = reader.describe_frame(frame, &mut edges);
                let generator = self.generator_of(reader.memory(), layout, frame);
                generator.into_iter().chain(edges.shown).collect()
            }
        }
    }

    /// The generator that contains a frame.
    fn generator_of<M: Memory>(
        &self,
        memory: &M,
        layout: &InterpreterFrame,
        frame: u64,
    ) -> Option<u64> {
        let Generators::Inside { frame: offset, .. } = self.layout.generators else { return None };
        let owner = memory.u8(at(frame, layout.owner)).ok()?;
        (owner == InterpreterFrame::OWNED_BY_GENERATOR).then(|| frame.wrapping_sub(offset as u64))
    }

    /// The modules of an interpreter. What cannot be read is left out.
    pub fn modules<M: Memory>(&self, memory: &M, interpreter: u64) -> Vec<Module> {
        let layout = &self.layout;
        let modules = memory.u64(at(interpreter, layout.interpreter.modules)).unwrap_or_default();
        let module = |(name, module): (u64, u64)| {
            let mut objects = vec![module];
            if type_of(memory, layout, module) == Ok(self.types.module) {
                objects.extend(memory.u64(at(module, layout.module.dict)).ok());
            }
            Some(Module { name: string(memory, layout, name).ok()?, objects })
        };
        let entries = entries(memory, layout, modules).unwrap_or_default();
        entries.into_iter().filter_map(|entry| module((entry.key, entry.value))).collect()
    }
}

/// The words of some memory that may be addresses of objects.
fn words<M: Memory>(memory: &M, start: u64, length: usize) -> Vec<u64> {
    let bytes = memory.bytes(start, length as u64, length).unwrap_or_default();
    let words = (0..length).step_by(8).filter_map(|offset| u64_at(&bytes, offset));
    words.filter(|&word| word != 0 && word % 8 == 0).collect()
}
