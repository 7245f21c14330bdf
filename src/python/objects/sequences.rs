//! Lists, tuples, sets, deques and other rows of references.

use super::decoder::{Size, Visit};
use super::edges::{Role, Sink};
use super::view::each;
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::links::RingGuard;

/// The hash of a deleted entry of a set: no object has it.
const DELETED: u64 = u64::MAX;
/// Bytes of an entry of a set.
const SET_ENTRY: u64 = 16;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// `list`: the items, in a block with room for more.
    pub fn list(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.list;
        let items = self.view.u64(layout.items)?;
        let allocated = self.view.u64(layout.allocated)?;
        let length = self.length()?;
        self.references(items, length, true)?;
        Ok(Size::shallow(self.kind.basic_size.saturating_add(allocated.saturating_mul(8))))
    }

    /// `tuple`: the items, behind its head.
    pub fn tuple(&mut self) -> Result<Size, ReadError> {
        self.items_at(self.context.layout.objects.tuple_items)
    }

    /// A tuple whose last items only go by names.
    pub fn struct_sequence(&mut self, count: u64) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects;
        let (items, visible) = (self.at(layout.tuple_items), self.length()?);
        self.references(items, visible, true)?;
        let hidden = count.saturating_sub(visible);
        let first_hidden = items.wrapping_add(visible.wrapping_mul(8));
        self.references(first_hidden, hidden, layout.hidden_items_shown)?;
        self.plain_size()
    }

    /// As many references as `ob_size` says, from an offset on.
    pub fn items_at(&mut self, offset: usize) -> Result<Size, ReadError> {
        let length = self.length()?;
        self.references(self.at(offset), length, true)?;
        self.plain_size()
    }

    /// So many references, from an offset on.
    pub fn array_at(&mut self, offset: usize, count: u64) -> Result<Size, ReadError> {
        self.references(self.at(offset), count, true)?;
        self.plain_size()
    }

    /// `set` and `frozenset`: a hash table of keys.
    pub fn set(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.set;
        let table = self.view.u64(layout.table)?;
        let slots = self.view.u64(layout.mask)?.saturating_add(1);
        let sink = &mut *self.sink;
        each(self.memory, table, slots, self.context.extent, |_, [key, hash]| {
            if hash != DELETED {
                sink.reference(key, Role::Element, true);
            }
        })?;
        let is_small = table == self.at(layout.small_table);
        let own_table = if is_small { 0 } else { slots.saturating_mul(SET_ENTRY) };
        Ok(Size::shallow(self.kind.basic_size.saturating_add(own_table)))
    }

    /// `collections.deque`: a chain of blocks.
    pub fn deque(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.deque;
        let length = self.length()?;
        let mut block = self.view.u64(layout.left_block)?;
        let mut index = self.view.u64(layout.left_index)?;
        if index > layout.block_length {
            return Err(ReadError::Implausible { address: self.view.address(), length: index });
        }
        let used = index.saturating_add(length).div_ceil(layout.block_length);
        let mut rest = length;
        let mut guard = RingGuard::default();
        while rest > 0 && block != 0 && !guard.closes_at(block) {
            let count = rest.min(layout.block_length - index);
            let first = at(block, layout.block_items).wrapping_add(8 * index);
            self.references(first, count, true)?;
            rest -= count;
            index = 0;
            block = self.memory.u64(at(block, layout.block_right))?;
        }
        let spare = match layout.free_blocks {
            Some(offset) => self.view.u64(offset)?,
            None => 0,
        };
        Ok(Size {
            shallow: self.kind.basic_size.saturating_add(used.saturating_mul(layout.block_size)),
            external: spare.min(layout.block_length).saturating_mul(layout.block_size),
        })
    }

    /// `functools.lru_cache`: a ring of keys and results beside the dict.
    pub fn lru_cache(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.lru_cache;
        let root = self.view.address();
        let mut element = self.view.u64(layout.next)?;
        let mut guard = RingGuard::default();
        while element != root && element != 0 && !guard.closes_at(element) {
            self.sink.reference(element, Role::Element, true);
            for offset in [layout.key, layout.result] {
                let child = self.memory.u64(at(element, offset))?;
                self.sink.reference(child, Role::Element, true);
            }
            element = self.memory.u64(at(element, layout.next))?;
        }
        self.plain_size()
    }

    /// `queue.SimpleQueue`: a ring of items from 3.13 on, before that a list among its fields.
    pub fn queue(&mut self) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        let Some(layout) = &self.context.layout.objects.queue else { return Ok(size) };
        let [items, first, capacity, length] =
            [layout.items, layout.first, layout.capacity, layout.length]
                .map(|at| self.view.u64(at));
        let (items, first, capacity, length) = (items?, first?, capacity?, length?);
        if first > capacity || length > capacity {
            return Err(ReadError::Implausible { address: self.view.address(), length });
        }
        let before_end = length.min(capacity - first);
        let from_first = items.wrapping_add(first.wrapping_mul(8));
        self.references(from_first, before_end, true)?;
        self.references(items, length - before_end, true)?;
        Ok(Size::shallow(size.shallow.saturating_add(capacity.saturating_mul(8))))
    }
}
