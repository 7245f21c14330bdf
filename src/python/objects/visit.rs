//! Visiting one object: its fields, attributes and variable part together.

use super::context::Context;
use super::edges::{Role, Sink};
use super::type_info::{Body, OwnType, TypeInfo};
use super::view::{View, each};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// How large an object is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// As [`Shape::shallow`](super::Shape::shallow).
    pub shallow: u64,
    /// As [`Shape::external`](super::Shape::external).
    pub external: u64,
    /// Whether it is a static type, which has no header.
    pub is_static: bool,
}

impl Size {
    /// A size with nothing external.
    pub fn shallow(shallow: u64) -> Size {
        Size { shallow, ..Size::default() }
    }
}

/// One object being visited. The files of this module add the methods that read their kinds of objects; each
/// passes references to the sink and returns the size.
pub(super) struct Visit<'a, M, S> {
    pub memory: &'a M,
    pub context: &'a Context,
    pub info: &'a TypeInfo,
    pub view: View<'a, M>,
    pub sink: &'a mut S,
}

impl<'a, M: Memory, S: Sink> Visit<'a, M, S> {
    /// Visits an object of this type.
    pub fn of(
        memory: &'a M,
        context: &'a Context,
        info: &'a TypeInfo,
        object: u64,
        sink: &'a mut S,
    ) -> Result<Size, ReadError> {
        let view = View::new(memory, object, info.span)?;
        Visit { memory, context, info, view, sink }.all()
    }

    fn all(&mut self) -> Result<Size, ReadError> {
        let mut size = self.body()?;
        for field in &self.info.fields {
            let child = self.view.u64(field.offset)?;
            self.sink.reference(child, Role::Field(field.name), field.shown);
        }
        size.external = size.external.saturating_add(self.attributes()?);
        for slot in &self.info.slots {
            let child = self.view.u64(slot.offset)?;
            self.sink.reference(child, Role::Slot(slot.name), true);
        }
        match self.info.own_type {
            OwnType::No => {}
            own => self.sink.reference(self.info.address, Role::Type, own == OwnType::Shown),
        }
        self.unknown()?;
        self.owned_blocks()?;
        Ok(size)
    }

    /// The variable part.
    fn body(&mut self) -> Result<Size, ReadError> {
        match self.info.body {
            Body::Plain | Body::BytesIo => self.plain_size(),
            Body::Int => self.int(),
            Body::Str => self.text(),
            Body::List => self.list(),
            Body::Tuple => self.tuple(),
            Body::StructSequence(count) => self.struct_sequence(count),
            Body::Dict => self.dict(),
            Body::OrderedDict => self.ordered_dict(),
            Body::Set => self.set(),
            Body::Deque => self.deque(),
            Body::Code => self.code(),
            Body::Frame => self.frame(),
            Body::Generator => self.generator(),
            Body::Type => self.class(),
            Body::Module => self.module(),
            Body::Items(offset) => self.items_at(offset),
            Body::Array(offset, count) => self.array_at(offset, count),
            Body::Zoned(offset) => self.zoned(offset),
            Body::LruCache => self.lru_cache(),
            Body::TeeData => self.tee_data(),
            Body::Element => self.element(),
            Body::ByteArray => self.bytearray(),
            Body::NumberArray => self.number_array(),
            Body::NdArray => self.nd_array(),
            Body::StringIo => self.string_io(),
            Body::Buffered => self.buffered(),
            Body::Queue => self.queue(),
            Body::Mmap => self.mmap(),
            Body::Pickler(size) => self.pickler(size),
            Body::Unpickler(size) => self.unpickler(size),
            Body::UnpicklerStack => self.unpickler_stack(),
            Body::XmlParser => self.xml_parser(),
            Body::ElementIterator => self.element_iterator(),
            Body::Decimal => self.decimal(),
            Body::FormatCodes => self.format_codes(),
            Body::Indices { of_pool, more } => self.indices(of_pool, more),
            Body::CData => self.c_data(),
        }
    }

    /// `object.__sizeof__`.
    pub fn plain_size(&self) -> Result<Size, ReadError> {
        let items = match self.info.item_size {
            0 => 0,
            size => size.saturating_mul(self.length()?),
        };
        Ok(Size::shallow(self.info.basic_size.saturating_add(items)))
    }

    /// `ob_size`, without the sign that some types give it.
    pub fn length(&self) -> Result<u64, ReadError> {
        Ok((self.view.u64(self.context.layout.object.size)? as i64).unsigned_abs())
    }

    /// Consecutive words that are references.
    pub fn references(&mut self, start: u64, count: u64, is_shown: bool) -> Result<(), ReadError> {
        let sink = &mut *self.sink;
        each(self.memory, start, count, self.context.extent, |number, [child]| {
            sink.reference(child, Role::Index(number), is_shown);
        })
    }

    /// The bytes of unknown meaning: each word may be a reference.
    fn unknown(&mut self) -> Result<(), ReadError> {
        let Some(part) = self.info.unknown else { return Ok(()) };
        let items = if part.items { self.info.item_size.saturating_mul(self.length()?) } else { 0 };
        let end = part.end.saturating_add(items);
        let start = part.start.checked_next_multiple_of(8).unwrap_or(u64::MAX);
        let address = self.view.address().wrapping_add(start);
        self.candidates(address, start, end.saturating_sub(start) / 8, part.not_at)
    }

    /// `count` words that may be references, except those at the offsets `not_at`; `offset` is the offset of
    /// the first.
    pub fn candidates(
        &mut self,
        start: u64,
        offset: u64,
        count: u64,
        not_at: [u64; 2],
    ) -> Result<(), ReadError> {
        let sink = &mut *self.sink;
        each(self.memory, start, count, self.context.extent, |number, [word]| {
            let place = offset.saturating_add(8 * number);
            if word != 0 && word % 8 == 0 && !not_at.contains(&place) {
                sink.candidate(word, Role::Unknown(place));
            }
        })
    }

    /// The address of a field.
    pub fn at(&self, offset: usize) -> u64 {
        at(self.view.address(), offset)
    }
}
