//! What readers need to know about the interpreter, besides its layout.

use std::sync::{Arc, OnceLock};

use super::keys::KeyTable;
use super::keys::Lookup;
use super::owned_blocks::OwnedBlock;
use super::type_flags::STATIC_BUILTIN;
use super::view::each;
use crate::memory::{Memory, ReadError};
use crate::python::layout::{Layout, StaticTypes};
use crate::python::{Python, at};

/// The most static types that an interpreter can plausibly have.
const MOST_STATIC_TYPES: u64 = 10_000;

/// The data that all objects share.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// The layout of the interpreter's structures.
    pub layout: Arc<Layout>,
    /// The bytes of memory that the process has: no table is larger.
    pub extent: u64,
    /// `dk_lookup` of dicts whose keys may be of any type (up to 3.10).
    general_lookup: Option<u64>,
    /// How to recognize the dict of interned strings.
    interned: Interned,
    /// Bytes of a `PyHeapTypeObject`.
    pub heap_type_size: u64,
    /// The main interpreter's state.
    interpreter: u64,
    /// The blocks of objects of undescribed types, in the order of the objects, once they are known.
    pub owned_blocks: OnceLock<Vec<OwnedBlock>>,
}

/// How to recognize the dict of interned strings, in which each string is its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interned {
    /// It is at this address (from 3.12 on).
    At(u64),
    /// It contains this string; its address is unknown (up to 3.11, where it is a static variable).
    With(u64),
}

/// There are never fewer interned strings than this.
const LEAST_INTERNED: u64 = 256;

impl Context {
    /// Reads the data; what cannot be read is left out.
    pub fn new<M: Memory>(memory: &M, python: &Python, extent: u64) -> Context {
        let layout = Arc::clone(&python.layout);
        let word = |address| memory.u64(address).unwrap_or_default();
        let heap_type_size = word(at(python.types.kind, layout.types.basic_size));
        let interpreter = word(at(python.runtime, layout.runtime.interpreters_main));
        // The `__subclasses__` dict of `object`, the base of `type`, has addresses as keys.
        let object = word(at(python.types.kind, layout.types.base));
        let subclasses = word(at(object, layout.types.subclasses));
        let keys = word(at(subclasses, layout.dict.keys));
        let general_lookup = match KeyTable::read(memory, &layout, keys) {
            Ok(KeyTable { lookup: Lookup::Function(function), .. }) => Some(function),
            _ => None,
        };
        let interned = match layout.interpreter.interned {
            Some(place) => Interned::At(word(at(interpreter, place))),
            None => {
                // A name that every module has, taken from the dict of `sys`.
                let dict = word(at(interpreter, layout.interpreter.sys_dict));
                let table = KeyTable::read(memory, &layout, word(at(dict, layout.dict.keys)));
                let name = table.and_then(|table| table.key_at(memory, 0));
                Interned::With(name.unwrap_or_default())
            }
        };
        Context {
            layout,
            extent,
            general_lookup,
            interned,
            heap_type_size,
            interpreter,
            owned_blocks: OnceLock::new(),
        }
    }

    /// Whether this dict, with this table, is the dict of interned strings. It does not count as a holder of
    /// its strings: they are freed when nothing else refers to them.
    #[inline]
    pub fn is_interned<M: Memory>(&self, memory: &M, dict: u64, table: &KeyTable) -> bool {
        match self.interned {
            Interned::At(address) => dict == address,
            Interned::With(name) => {
                table.entries >= LEAST_INTERNED && self.is_its_own_values(memory, table, name)
            }
        }
    }

    /// Whether every key in a table is its own value, and the table has this one.
    fn is_its_own_values<M: Memory>(&self, memory: &M, table: &KeyTable, wanted: u64) -> bool {
        // The value follows the key; if all keys are text, there is no hash before it (3.11).
        let value = table.first.wrapping_add(if table.with_hash { 16 } else { 8 });
        if memory.u64(value) != table.key_at(memory, 0) {
            return false;
        }
        let (mut same, mut found) = (true, false);
        let mut look = |key, value| {
            same &= key == value;
            found |= key == wanted;
        };
        let (first, entries, extent) = (table.first, table.entries, self.extent);
        let walk = match table.with_hash {
            true => each(memory, first, entries, extent, |_, [_, key, value]| look(key, value)),
            false => each(memory, first, entries, extent, |_, [key, value]| look(key, value)),
        };
        walk.is_ok() && same && found
    }

    /// Whether a table may have keys of any type, in which case they are shown to the collector.
    #[inline]
    pub fn has_general_keys(&self, table: &KeyTable) -> bool {
        match table.lookup {
            Lookup::General => true,
            Lookup::Text => false,
            Lookup::Function(function) => Some(function) == self.general_lookup,
        }
    }

    /// Where the interpreter keeps those fields of a static type that are not in the type; `None` for other
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
        // Types of extension modules are in another array, or in none yet.
        let Some(index) = number.checked_sub(1).filter(|&index| index < MOST_STATIC_TYPES) else {
            return Ok(None);
        };
        let entry = at(self.interpreter, place.array).wrapping_add(index * place.stride as u64);
        let is_its_own = memory.u64(entry)? == kind;
        Ok(is_its_own.then_some((place, entry)))
    }
}

/// The dict of each of these types, zero where it has none.
pub fn type_dicts<M: Memory>(memory: &M, python: &Python, types: &[u64]) -> Vec<u64> {
    let context = Context::new(memory, python, u64::MAX);
    let layout = &python.layout.types;
    let word = |address| memory.u64(address).unwrap_or_default();
    let dict = |&kind: &u64| {
        let flags = word(at(kind, layout.flags));
        match context.static_type(memory, kind, flags) {
            Ok(Some((place, entry))) => word(at(entry, place.dict)),
            _ => word(at(kind, layout.dict)),
        }
    };
    types.iter().map(dict).collect()
}
