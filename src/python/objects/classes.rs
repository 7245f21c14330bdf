//! Types and modules.

use super::ancestry::{subclasses, type_dict};
use super::edges::{Role, Sink};
use super::keys::KeyTable;
use super::type_flags::HEAP_TYPE;
use super::view::each;
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::ModuleStateSize;

/// The largest plausible module state, in bytes.
const LARGEST_STATE: u64 = 1 << 20;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// A type. A static type shows nothing to the collector.
    pub fn class(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.types;
        let address = self.view.address();
        let flags = self.view.u64(layout.flags)?;
        let is_heap_type = flags & HEAP_TYPE != 0;
        let fields = [
            ("__mro__", layout.mro),
            ("__bases__", layout.bases),
            ("cache", layout.cache),
            ("__base__", layout.base),
        ];
        // A static type points to its base without counting the reference.
        let counted = if is_heap_type { 4 } else { 3 };
        for (name, offset) in fields.into_iter().take(counted) {
            let child = self.view.u64(offset)?;
            self.sink.reference(child, Role::Field(name), is_heap_type);
        }
        let dict = type_dict(self.memory, self.context, address, flags)?;
        self.sink.reference(dict, Role::Field("__dict__"), is_heap_type);
        let subclasses = subclasses(self.memory, self.context, address)?;
        self.sink.reference(subclasses, Role::Field("subclasses"), false);
        if !is_heap_type {
            return Ok(Size { is_static: true, ..Size::shallow(layout.size as u64) });
        }
        if let Some(module) = layout.module {
            let module = self.view.u64(module)?;
            self.sink.reference(module, Role::Field("module"), true);
        }
        let names = [
            ("__name__", layout.heap_name),
            ("__qualname__", layout.qualified_name),
            ("__slots__", layout.slots),
        ];
        for (name, offset) in names {
            let child = self.view.u64(offset)?;
            self.sink.reference(child, Role::Field(name), false);
        }
        let keys = self.shared_keys()?;
        Ok(Size::shallow(self.context.heap_type_size.saturating_add(keys)))
    }

    /// The keys that instances share, and the size of their table.
    fn shared_keys(&mut self) -> Result<u64, ReadError> {
        let layout = &self.context.layout;
        let keys = self.view.u64(layout.types.cached_keys)?;
        if keys == 0 {
            return Ok(0);
        }
        let table = KeyTable::read(self.memory, layout, keys)?;
        let (sink, extent) = (&mut *self.sink, self.context.extent);
        if table.with_hash {
            each(self.memory, table.first, table.entries, extent, |_, [_, key, _]| {
                sink.reference(key, Role::Key, false);
            })?;
        } else {
            each(self.memory, table.first, table.entries, extent, |_, [key, _]| {
                sink.reference(key, Role::Key, false);
            })?;
        }
        Ok(table.size)
    }

    /// A module. Only a module written in C itself knows the contents of its state.
    pub fn module(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.module;
        let state = self.view.u64(layout.state)?;
        let size = match layout.state_size {
            ModuleStateSize::Own(size) => self.view.u64(size)?,
            ModuleStateSize::Definition { pointer, size } => match self.view.u64(pointer)? {
                0 => 0,
                definition => self.memory.u64(at(definition, size))?,
            },
        };
        // A negative size means that the module has no state.
        if state != 0 && size <= LARGEST_STATE {
            self.candidates(state, 0, size / 8, [u64::MAX; 2])?;
        }
        self.plain_size()
    }
}
