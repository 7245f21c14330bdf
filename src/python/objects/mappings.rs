//! Dicts and ordered dicts.

use super::edges::{Role, Sink};
use super::keys::KeyTable;
use super::view::each;
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::DictKeysSize;
use crate::python::links::RingGuard;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// `dict`: keys and values in one table, or values of its own with shared keys.
    pub fn dict(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout;
        let keys = self.view.u64(layout.dict.keys)?;
        let values = self.view.u64(layout.dict.values)?;
        let table = KeyTable::read(self.memory, layout, keys)?;
        let keys_shown = self.context.has_general_keys(&table);
        let mut size = self.info.basic_size;
        if values != 0 {
            let room = match layout.keys.size {
                DictKeysSize::Slots { .. } => table.capacity,
                DictKeysSize::Logarithm { .. } => table.room,
            };
            size = size.saturating_add(room.saturating_mul(8));
            self.split_values(&table, at(values, layout.dict.values_first))?;
        } else if self.context.is_interned(self.memory, self.view.address(), &table) {
            // The dict of interned strings holds no counted references.
        } else if table.with_hash {
            let sink = &mut *self.sink;
            let extent = self.context.extent;
            each(self.memory, table.first, table.entries, extent, |_, [_, key, value]| {
                entry(sink, key, value, keys_shown);
            })?;
        } else {
            let sink = &mut *self.sink;
            let extent = self.context.extent;
            each(self.memory, table.first, table.entries, extent, |_, [key, value]| {
                entry(sink, key, value, keys_shown);
            })?;
        }
        if table.references == 1 {
            size = size.saturating_add(table.size);
        }
        Ok(Size::shallow(size))
    }

    /// The values of a dict that shares its keys. The table holds the keys. They count as references of the
    /// class, or of the dict if no class has the table any more.
    fn split_values(&mut self, table: &KeyTable, values: u64) -> Result<(), ReadError> {
        let (memory, sink) = (self.memory, &mut *self.sink);
        let is_own = table.references == 1;
        each(memory, values, table.entries, self.context.extent, |number, [value]| {
            let key = match S::WANTS_ROLES || is_own {
                true => table.key_at(memory, number).unwrap_or_default(),
                false => 0,
            };
            sink.reference(value, Role::Value(key), true);
            if is_own {
                sink.reference(key, Role::Key, false);
            }
        })
    }

    /// `collections.OrderedDict`: a dict, and a list of nodes in their order.
    pub fn ordered_dict(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout;
        let nodes = &layout.objects.ordered_dict;
        let dict = self.dict()?;
        let mut node = self.view.u64(nodes.first)?;
        let mut guard = RingGuard::default();
        while node != 0 && !guard.closes_at(node) {
            let key = self.memory.u64(node)?;
            self.sink.reference(key, Role::Key, true);
            node = self.memory.u64(at(node, nodes.next))?;
        }
        let fast_nodes = self.view.u64(nodes.fast_nodes_size)?.saturating_mul(8);
        let own_nodes = self.view.u64(layout.dict.used)?.saturating_mul(nodes.node_size);
        let size = dict.shallow.saturating_add(fast_nodes).saturating_add(own_nodes);
        Ok(Size::shallow(size))
    }
}

/// A key and its value; both are null where one was deleted.
#[inline]
fn entry<S: Sink>(sink: &mut S, key: u64, value: u64, keys_shown: bool) {
    if value != 0 {
        sink.reference(value, Role::Value(key), true);
        sink.reference(key, Role::Key, keys_shown);
    }
}
