//! What decoders need to know of the interpreter, beside its layout.

use std::sync::Arc;

use super::keys::KeyTable;
use super::keys::Lookup;
use super::kinds::STATIC_BUILTIN;
use crate::memory::{Memory, ReadError};
use crate::python::layout::{Layout, StaticTypes};
use crate::python::{Python, at};

/// No interpreter has more static types than this.
const MOST_STATIC_TYPES: u64 = 10_000;

/// What is the same for all objects.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// Where the interpreter keeps what.
    pub layout: Arc<Layout>,
    /// How many bytes of memory there are: no table is larger.
    pub extent: u64,
    /// `dk_lookup` of dicts whose keys may be of any type (up to 3.10).
    general_lookup: Option<u64>,
    /// Bytes of a `PyHeapTypeObject`.
    pub heap_type_size: u64,
    /// The main interpreter's state.
    interpreter: u64,
}

impl Context {
    /// Reads what is needed; what cannot be read is done without.
    pub fn new<M: Memory>(memory: &M, python: &Python, extent: u64) -> Context {
        let layout = Arc::clone(&python.layout);
        let word = |address| memory.u64(address).unwrap_or_default();
        let heap_type_size = word(at(python.types.kind, layout.types.basic_size));
        let interpreter = word(at(python.runtime, layout.runtime.interpreters_main));
        // The subclasses of `object`, the base of `type`: their keys are addresses.
        let object = word(at(python.types.kind, layout.types.base));
        let subclasses = word(at(object, layout.types.subclasses));
        let keys = word(at(subclasses, layout.dict.keys));
        let general_lookup = match KeyTable::read(memory, &layout, keys) {
            Ok(KeyTable { lookup: Lookup::Function(function), .. }) => Some(function),
            _ => None,
        };
        Context { layout, extent, general_lookup, heap_type_size, interpreter }
    }

    /// Whether a table may have keys of any type, which the collector is shown then.
    #[inline]
    pub fn has_general_keys(&self, table: &KeyTable) -> bool {
        match table.lookup {
            Lookup::General => true,
            Lookup::Text => false,
            Lookup::Function(function) => Some(function) == self.general_lookup,
        }
    }

    /// Where the interpreter keeps what it has not put into one of its static types; `None` for other
    /// types.
    pub fn static_type<M: Memory>(
        &self,
        memory: &M,
        kind: u64,
        flags: u64,
    ) -> Result<Option<(StaticTypes, u64)>, ReadError> {
        let Some(place) = self.layout.types.static_types else { return Ok(None) };
        if flags & STATIC_BUILTIN == 0 {
            return Ok(None);
        }
        let number = memory.u64(at(kind, self.layout.types.subclasses))?;
        // Types of extension modules have a place in another array, or none yet.
        let Some(index) = number.checked_sub(1).filter(|&index| index < MOST_STATIC_TYPES) else {
            return Ok(None);
        };
        let entry = at(self.interpreter, place.array).wrapping_add(index * place.stride as u64);
        let is_its_own = memory.u64(entry)? == kind;
        Ok(is_its_own.then_some((place, entry)))
    }
}
