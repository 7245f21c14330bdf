//! Lists, tuples, sets, deques and other sequences of references.

use super::edges::{Role, Sink};
use super::view::each;
use super::visit::{Size, Visit};
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
        // While a list is sorted it has no items, and this is -1 (`list.sort`).
        let allocated = self.view.u64(layout.allocated)?.cast_signed().max(0).cast_unsigned();
        let length = self.length()?;
        self.references(items, length, true)?;
        Ok(Size::shallow(self.info.basic_size.saturating_add(allocated.saturating_mul(8))))
    }

    /// `tuple`: the items, after its head.
    pub fn tuple(&mut self) -> Result<Size, ReadError> {
        self.items_at(self.context.layout.objects.tuple_items)
    }

    /// A tuple whose last items are only accessible by name.
    pub fn struct_sequence(&mut self, count: u64) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects;
        let count = count.max(self.length()?);
        self.references(self.at(layout.tuple_items), count, true)?;
        self.plain_size()
    }

    /// `ob_size` references, from an offset on.
    pub fn items_at(&mut self, offset: usize) -> Result<Size, ReadError> {
        let length = self.length()?;
        self.references(self.at(offset), length, true)?;
        self.plain_size()
    }

    /// `count` references, from an offset on.
    pub fn array_at(&mut self, offset: usize, count: u64) -> Result<Size, ReadError> {
        self.references(self.at(offset), count, true)?;
        self.plain_size()
    }

    /// `datetime.datetime` and `datetime.time`, which are shorter without a time zone.
    pub fn zoned(&mut self, offset: usize) -> Result<Size, ReadError> {
        if self.view.u8(self.context.layout.objects.has_time_zone)? != 0 {
            let zone = self.view.u64(offset)?;
            self.sink.reference(zone, Role::Field("tzinfo"), true);
        }
        self.plain_size()
    }

    /// `itertools._tee_dataobject`: the items that have been read so far.
    pub fn tee_data(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.tee;
        let count = self.view.i32(layout.count)?.try_into().unwrap_or_default();
        self.array_at(layout.items, count)
    }

    /// `xml.etree.ElementTree.Element`: attributes and children in a block of their own.
    pub fn element(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.element;
        for (name, offset) in [("text", layout.text), ("tail", layout.tail)] {
            // The lowest bit means that this is a list of texts still to be joined.
            let child = self.view.u64(offset)? & !1;
            self.sink.reference(child, Role::Field(name), true);
        }
        let size = self.plain_size()?;
        let extra = self.view.u64(layout.extra)?;
        if extra == 0 {
            return Ok(size);
        }
        let word = |offset| self.memory.u64(at(extra, offset));
        let (attributes, children) = (word(layout.attributes)?, word(layout.children)?);
        let (length, allocated) = (word(layout.length)?, word(layout.allocated)?);
        self.sink.reference(attributes, Role::Field("attrib"), true);
        self.references(children, length, true)?;
        let inside = children == at(extra, layout.first_children);
        let table = if inside { 0 } else { allocated.saturating_mul(8) };
        let extra = layout.extra_size.saturating_add(table);
        Ok(Size::shallow(size.shallow.saturating_add(extra)))
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
        Ok(Size::shallow(self.info.basic_size.saturating_add(own_table)))
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
        let blocks = used.saturating_mul(layout.block_size);
        Ok(Size {
            external: spare.min(layout.block_length).saturating_mul(layout.block_size),
            ..Size::shallow(self.info.basic_size.saturating_add(blocks))
        })
    }

    /// `functools.lru_cache`: a ring of keys and results in addition to the dict.
    pub fn lru_cache(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.lru_cache;
        let root = self.view.address();
        let mut element = self.view.u64(layout.next)?;
        let mut guard = RingGuard::default();
        while element != root && element != 0 && !guard.closes_at(element) {
            self.sink.reference(element, Role::Element, false);
            for offset in [layout.key, layout.result] {
                let child = self.memory.u64(at(element, offset))?;
                self.sink.reference(child, Role::Element, true);
            }
            element = self.memory.u64(at(element, layout.next))?;
        }
        self.plain_size()
    }

    /// `queue.SimpleQueue`: from 3.13 on a ring of items, before that a list among its fields.
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
        let ring = capacity.saturating_mul(8);
        Ok(match layout.is_counted {
            true => Size::shallow(size.shallow.saturating_add(ring)),
            false => Size { external: ring, ..size },
        })
    }
}
