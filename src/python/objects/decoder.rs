//! The decoder: from an object's address to its type, its sizes and its references.

use rustc_hash::FxHashMap;

use super::context::Context;
use super::edges::{Edges, Role, Search, Sink};
use super::kinds::{Body, Kind, OwnType, TypeId};
use super::links::Link;
use super::values::type_of;
use super::view::{View, each};
use crate::memory::{Memory, ReadError};
use crate::python::{Python, at};

/// No more types than this are told apart.
const MOST_TYPES: usize = 1 << 20;
/// How many addresses are remembered that are no types.
const MOST_REFUSALS: usize = 1 << 16;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its type, as the decoder that described it numbers them.
    pub kind: TypeId,
    /// `sys.getsizeof` without `header`, in bytes, except that what is counted elsewhere is not in it:
    /// the data of a `numpy.ndarray`, which is `external`; the `bytes` behind an `io.BytesIO`, or
    /// behind a `bytearray` (from 3.15 on), which is an object of its own.
    pub shallow: u64,
    /// Bytes that the object alone owns and that `shallow` does not count: the values of an instance
    /// that has no dict (from 3.11 on), the data of a `numpy.ndarray` that owns it, the mapping of an
    /// `mmap`, the text of an `io.StringIO`, spare blocks of a deque. No byte is in both, none is of
    /// two objects.
    pub external: u64,
    /// Bytes before the object's address: the collector's header, and pointers to the dict and the weak
    /// references (`sys.getsizeof` counts them; 3.11 and 3.12 do so for static types too, which have
    /// none). The object's block of memory begins there.
    pub header: u64,
    /// Whether there are bytes of unknown meaning, so that [candidates](Edges::candidates) were given.
    pub conservative: bool,
}

/// Reads objects, and remembers their types.
///
/// It is meant for memory that stands still: what was read of a type stays as it was then. For several
/// threads, clone it; numbers of types are then to be told apart by their addresses.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub(super) context: Context,
    kinds: Vec<Kind>,
    ids: FxHashMap<u64, TypeId>,
    refusals: FxHashMap<u64, ReadError>,
    last: Option<(u64, TypeId)>,
}

impl Decoder {
    /// A decoder of the interpreter's objects in this memory. `extent` is how many bytes of memory
    /// there are: what claims to be larger is refused.
    pub fn new<M: Memory>(memory: &M, python: &Python, extent: u64) -> Decoder {
        Decoder {
            context: Context::new(memory, python, extent),
            kinds: Vec::new(),
            ids: FxHashMap::default(),
            refusals: FxHashMap::default(),
            last: None,
        }
    }

    /// The types seen so far; their places are their numbers.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// What is known of a type.
    pub fn kind(&self, id: TypeId) -> Option<&Kind> {
        self.kinds.get(id.0 as usize)
    }

    /// The type at this address, if it has been seen.
    #[inline]
    pub fn known_type(&self, address: u64) -> Option<&Kind> {
        self.kind(*self.ids.get(&address)?)
    }

    /// The type at this address, or an error where there is none.
    pub fn type_at<M: Memory>(&mut self, memory: &M, address: u64) -> Result<TypeId, ReadError> {
        if let Some((last, id)) = self.last
            && last == address
        {
            return Ok(id);
        }
        let id = match self.ids.get(&address) {
            Some(id) => *id,
            None => self.learn(memory, address)?,
        };
        self.last = Some((address, id));
        Ok(id)
    }

    fn learn<M: Memory>(&mut self, memory: &M, address: u64) -> Result<TypeId, ReadError> {
        if let Some(error) = self.refusals.get(&address) {
            return Err(*error);
        }
        let number = self.kinds.len();
        if number >= MOST_TYPES {
            return Err(ReadError::Implausible { address, length: number as u64 });
        }
        match Kind::read(memory, &self.context, address) {
            Ok(kind) => {
                let id = TypeId(number as u32);
                self.kinds.push(kind);
                self.ids.insert(address, id);
                Ok(id)
            }
            Err(error) => {
                if self.refusals.len() >= MOST_REFUSALS {
                    self.refusals.clear();
                }
                self.refusals.insert(address, error);
                Err(error)
            }
        }
    }

    /// Describes the object at this address. Its references take the place of what was in `edges`.
    ///
    /// # Errors
    /// There is no object, or not all of it can be read.
    pub fn describe<M: Memory>(
        &mut self,
        memory: &M,
        object: u64,
        edges: &mut Edges,
    ) -> Result<Shape, ReadError> {
        edges.clear();
        let id = self.type_of(memory, object)?;
        let Some(kind) = self.kinds.get(id.0 as usize) else {
            return Err(ReadError::Implausible { address: object, length: 0 });
        };
        let size = Visit::of(memory, &self.context, kind, object, edges)?;
        if !kind.is_gc {
            edges.held.append(&mut edges.shown);
        }
        Ok(Shape {
            kind: id,
            shallow: size.shallow,
            external: size.external,
            header: if size.is_static { 0 } else { kind.header },
            conservative: kind.unknown.is_some(),
        })
    }

    /// Whether an object is a string that the interpreter keeps in its table of interned ones.
    pub fn is_interned<M: Memory>(&self, memory: &M, object: u64) -> Result<bool, ReadError> {
        /// `state.interned`: two bits up to 3.11 and three after, the third of which is not used.
        const INTERNED: u32 = 3;
        let kind = self.known_type(type_of(memory, &self.context.layout, object)?);
        let state = memory.u32(at(object, self.context.layout.unicode.state))?;
        Ok(kind.is_some_and(Kind::is_text) && state & INTERNED != 0)
    }

    /// How one object refers to another; `None` where it does not, or cannot be read.
    pub fn link<M: Memory>(&mut self, memory: &M, parent: u64, child: u64) -> Option<Link> {
        let id = self.type_of(memory, parent).ok()?;
        let kind = self.kinds.get(id.0 as usize)?;
        let mut search = Search::new(child);
        // What was found before something unreadable counts.
        let _ = Visit::of(memory, &self.context, kind, parent, &mut search);
        Link::of(memory, &self.context.layout, search.found?)
    }

    fn type_of<M: Memory>(&mut self, memory: &M, object: u64) -> Result<TypeId, ReadError> {
        let kind = type_of(memory, &self.context.layout, object)?;
        self.type_at(memory, kind)
    }
}

/// How large an object is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// As [`Shape::shallow`].
    pub shallow: u64,
    /// As [`Shape::external`].
    pub external: u64,
    /// Whether it is a static type, which has no header.
    pub is_static: bool,
}

impl Size {
    /// With nothing external.
    pub fn shallow(shallow: u64) -> Size {
        Size { shallow, ..Size::default() }
    }
}

/// One object being looked at. The files of this module add the methods that read their kinds of
/// objects; each gives references to the sink and returns the size.
pub(super) struct Visit<'a, M, S> {
    pub memory: &'a M,
    pub context: &'a Context,
    pub kind: &'a Kind,
    pub view: View<'a, M>,
    pub sink: &'a mut S,
}

impl<'a, M: Memory, S: Sink> Visit<'a, M, S> {
    /// Looks at an object of this type.
    pub fn of(
        memory: &'a M,
        context: &'a Context,
        kind: &'a Kind,
        object: u64,
        sink: &'a mut S,
    ) -> Result<Size, ReadError> {
        let view = View::new(memory, object, kind.span)?;
        Visit { memory, context, kind, view, sink }.all()
    }

    fn all(&mut self) -> Result<Size, ReadError> {
        let mut size = self.body()?;
        for field in &self.kind.fields {
            let child = self.view.u64(field.offset)?;
            self.sink.reference(child, Role::Field(field.name), field.shown);
        }
        size.external = size.external.saturating_add(self.attributes()?);
        for slot in &self.kind.slots {
            let child = self.view.u64(slot.offset)?;
            self.sink.reference(child, Role::Slot(slot.name), true);
        }
        match self.kind.own_type {
            OwnType::No => {}
            own => self.sink.reference(self.kind.address, Role::Type, own == OwnType::Shown),
        }
        self.unknown()?;
        Ok(size)
    }

    /// The variable part.
    fn body(&mut self) -> Result<Size, ReadError> {
        match self.kind.body {
            Body::Plain => self.plain_size(),
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
        }
    }

    /// `object.__sizeof__`.
    pub fn plain_size(&self) -> Result<Size, ReadError> {
        let items = match self.kind.item_size {
            0 => 0,
            size => size.saturating_mul(self.length()?),
        };
        Ok(Size::shallow(self.kind.basic_size.saturating_add(items)))
    }

    /// `ob_size`, without the sign that some types put there.
    pub fn length(&self) -> Result<u64, ReadError> {
        Ok((self.view.u64(self.context.layout.object.size)? as i64).unsigned_abs())
    }

    /// The words in a row from an offset on are references.
    pub fn references(&mut self, start: u64, count: u64, is_shown: bool) -> Result<(), ReadError> {
        let sink = &mut *self.sink;
        each(self.memory, start, count, self.context.extent, |number, [child]| {
            sink.reference(child, Role::Index(number), is_shown);
        })
    }

    /// The bytes of which nothing is known: each word may be a reference.
    fn unknown(&mut self) -> Result<(), ReadError> {
        let Some(part) = self.kind.unknown else { return Ok(()) };
        let items = if part.items { self.kind.item_size.saturating_mul(self.length()?) } else { 0 };
        let end = part.end.saturating_add(items);
        let start = part.start.next_multiple_of(8);
        let address = self.view.address().wrapping_add(start);
        self.candidates(address, start, end.saturating_sub(start) / 8)
    }

    /// So many words from an address on may be references; `offset` is what the first is called by.
    pub fn candidates(&mut self, start: u64, offset: u64, count: u64) -> Result<(), ReadError> {
        let sink = &mut *self.sink;
        each(self.memory, start, count, self.context.extent, |number, [word]| {
            if word != 0 && word % 8 == 0 {
                sink.candidate(word, Role::Unknown(offset.saturating_add(8 * number)));
            }
        })
    }

    /// The address of a field.
    pub fn at(&self, offset: usize) -> u64 {
        at(self.view.address(), offset)
    }
}
