//! The reader: from an object's address to its type, its sizes and its references.

use std::fmt;

use super::edges::Edges;
use super::keys::KeyTable;
use super::type_info::{Body, TypeId, TypeInfo};
use super::type_table::TypeTable;
use super::values::type_of;
use super::visit::Visit;
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::Layout;

/// The type and the sizes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its type, as the number in the [`TypeTable`].
    pub type_id: TypeId,
    /// `sys.getsizeof` without `header`, in bytes, and without what is counted elsewhere: the data of a
    /// `numpy.ndarray`, which is `external`; the `bytes` behind an `io.BytesIO`, a `Pickler` or a `bytearray`
    /// (from 3.15 on), which is an object of its own.
    pub shallow: u64,
    /// Bytes that the object alone owns and that `shallow` does not count: the values of an instance that has
    /// no dict (from 3.11 on), the data of a `numpy.ndarray` that owns it, the mapping of an `mmap`, the text
    /// of an `io.StringIO`, the memory of a `ctypes` object, spare blocks of a deque. No byte is in both, and none belongs to two objects.
    pub external: u64,
    /// Bytes before the object's address: the collector's header, and pointers to the dict and the weak
    /// references (`sys.getsizeof` counts them; in 3.11 and 3.12 even for static types, which have none). The
    /// object's block of memory begins there.
    pub header: u64,
    /// Whether there are bytes of unknown meaning, whose words are in [candidates](Edges::candidates): in an
    /// object of unknown type, or in the state of a module.
    pub conservative: bool,
    /// The bytes from the object's address on in which it has the pointers to its buffers.
    pub pointers: u64,
    /// Whether its buffers have pointers to further ones.
    pub leads_on: bool,
}

/// Reads objects in a memory, using a table of their types.
///
/// It is two references, and free to copy. It adds new types to the table.
pub struct Reader<'a, M> {
    pub(super) memory: &'a M,
    pub(super) types: &'a TypeTable,
}

impl<M> Clone for Reader<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Reader<'_, M> {}

impl<M> fmt::Debug for Reader<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("types", &self.types.count()).finish_non_exhaustive()
    }
}

impl<'a, M: Memory> Reader<'a, M> {
    /// A reader of objects in the memory that the table belongs to.
    pub fn new(memory: &'a M, types: &'a TypeTable) -> Reader<'a, M> {
        Reader { memory, types }
    }

    /// The memory.
    pub fn memory(&self) -> &'a M {
        self.memory
    }

    /// The type of the object at this address.
    ///
    /// # Errors
    /// There is no object.
    pub fn type_of(&self, object: u64) -> Result<&'a TypeInfo, ReadError> {
        self.types.at(self.memory, type_of(self.memory, self.layout(), object)?)
    }

    /// Describes the object at this address. Its references replace the contents of `edges`.
    ///
    /// # Errors
    /// There is no object, or not all of it can be read.
    pub fn describe(&self, object: u64, edges: &mut Edges) -> Result<Shape, ReadError> {
        edges.clear();
        self.describe_as(object, self.type_of(object)?, edges)
    }

    /// Describes the object at this address, whose type is already known, like [`describe`](Self::describe).
    ///
    /// # Errors
    /// Not all of the object can be read.
    #[inline]
    pub fn describe_as(
        &self,
        object: u64,
        info: &TypeInfo,
        edges: &mut Edges,
    ) -> Result<Shape, ReadError> {
        edges.clear();
        let size = Visit::of(self.memory, &self.types.context, info, object, edges)?;
        if size.shallow > self.types.context.extent {
            return Err(ReadError::Implausible { address: object, length: size.shallow });
        }
        if !info.is_gc {
            edges.held.append(&mut edges.shown);
        }
        Ok(Shape {
            type_id: info.id,
            shallow: size.shallow,
            external: size.external,
            header: if size.is_static { 0 } else { info.header },
            conservative: info.unknown.is_some() || !edges.candidates.is_empty(),
            pointers: info.own_buffers.within(self.memory, object).min(size.shallow),
            leads_on: info.own_buffers.lead_on,
        })
    }

    /// The bytes that an object takes in its own block, after its header: what has a length may have more.
    pub fn least_bytes(&self, object: u64, info: &TypeInfo) -> Option<u64> {
        let length = |offset| self.memory.u64(at(object, offset)).ok();
        match info.body {
            Body::Str => self.bytes_of_text(object),
            Body::Type | Body::Int => Some(info.basic_size),
            _ if info.item_size == 0 => Some(info.basic_size),
            _ => {
                let items = (length(self.layout().object.size)? as i64).unsigned_abs();
                info.basic_size.checked_add(items.checked_mul(info.item_size)?)
            }
        }
    }

    /// The bytes of a string, without copies of its text in other encodings.
    fn bytes_of_text(&self, object: u64) -> Option<u64> {
        /// `state` of a `str`: its compact and ASCII bits.
        const COMPACT: u32 = 1 << 5;
        const ASCII: u32 = 1 << 6;
        let layout = &self.layout().unicode;
        let state = self.memory.u32(at(object, layout.state)).ok()?;
        let length = self.memory.u64(at(object, layout.length)).ok()?.checked_add(1)?;
        let width = u64::from(state >> 2 & 7);
        let head = match (state & COMPACT != 0, state & ASCII != 0) {
            (false, _) => return Some(layout.size as u64),
            (true, true) => layout.ascii_data,
            (true, false) => layout.compact_data,
        };
        (head as u64).checked_add(length.checked_mul(width)?)
    }

    /// The address of the object that a weak reference refers to; that of `None` once the object is gone.
    pub fn weakly_referred(&self, weak: u64) -> Option<u64> {
        /// `wr_object`, the first field of `PyWeakReference` (Include/weakrefobject.h).
        const OBJECT: usize = 16;
        self.memory.u64(at(weak, OBJECT)).ok()
    }

    /// Whether an object is a string that the interpreter has interned.
    ///
    /// # Errors
    /// There is no object.
    pub fn is_interned(&self, object: u64) -> Result<bool, ReadError> {
        /// `state.interned`: two bits up to 3.11 and three after, the third of which is not used.
        const INTERNED: u32 = 3;
        if !self.type_of(object)?.is_text() {
            return Ok(false);
        }
        Ok(self.memory.u32(at(object, self.layout().unicode.state))? & INTERNED != 0)
    }

    /// The address of the type of an object; `object` may be anything.
    #[inline]
    pub fn type_address(&self, object: u64) -> u64 {
        type_of(self.memory, self.layout(), object).unwrap_or_default()
    }

    /// Whether this object is the dict of interned strings, which has no references: it does not count as a
    /// holder of its strings.
    pub fn is_interned_strings(&self, object: u64) -> bool {
        let (memory, layout) = (self.memory, self.layout());
        let keys = memory.u64(at(object, layout.dict.keys));
        let table = keys.and_then(|keys| KeyTable::read(memory, layout, keys));
        table.is_ok_and(|table| self.types.context.is_interned(memory, object, &table))
    }

    /// The layout of the interpreter's structures.
    pub(super) fn layout(&self) -> &'a Layout {
        &self.types.context.layout
    }
}
