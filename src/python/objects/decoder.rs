//! The decoder: from an object's address to its type, its sizes and its references.

use rustc_hash::FxHashMap;

use super::context::Context;
use super::disclosure::Disclosure;
use super::edges::{Edges, Role, Search};
use super::keys::KeyTable;
use super::links::Link;
use super::type_info::{Kind, TypeId};
use super::values::type_of;
use super::visit::Visit;
use crate::memory::{Memory, ReadError};
use crate::python::layout::Layout;
use crate::python::{Python, at};

/// No more types than this are told apart.
const MOST_TYPES: usize = 1 << 20;
/// How many types are found without a look into the table of all.
const RECENT: usize = 256;
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
    /// Whether there are bytes of unknown meaning, of which [candidates](Edges::candidates) were given:
    /// in an object of a type that nobody described, or in the state of a module.
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
    /// Types that were asked for, each in the place that its address gives.
    recent: [(u64, TypeId); RECENT],
}

impl Decoder {
    /// A decoder of the interpreter's objects in this memory. `extent` is how many bytes of memory the
    /// process has: what claims to be larger is refused.
    pub fn new<M: Memory>(memory: &M, python: &Python, extent: u64) -> Decoder {
        Decoder {
            context: Context::new(memory, python, extent),
            kinds: Vec::new(),
            ids: FxHashMap::default(),
            refusals: FxHashMap::default(),
            recent: [(0, TypeId(0)); RECENT],
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
        self.kind(self.known_id(address)?)
    }

    /// The number of the type at this address, if it has been seen.
    #[inline]
    pub fn known_id(&self, address: u64) -> Option<TypeId> {
        self.ids.get(&address).copied()
    }

    /// The type at this address, or an error where there is none.
    #[inline]
    pub fn type_at<M: Memory>(&mut self, memory: &M, address: u64) -> Result<TypeId, ReadError> {
        let place = ((address / 16) ^ (address / 4096)) as usize % RECENT;
        if let Some(&(recent, id)) = self.recent.get(place)
            && recent == address
            && address != 0
        {
            return Ok(id);
        }
        let id = match self.ids.get(&address) {
            Some(id) => *id,
            None => self.learn(memory, address)?,
        };
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = (address, id);
        }
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
        self.describe_as(memory, object, id, edges)
    }

    /// Describes the object at this address, whose type is known to be that one, as
    /// [`describe`](Self::describe) does.
    ///
    /// # Errors
    /// Not all of the object can be read.
    #[inline]
    pub fn describe_as<M: Memory>(
        &self,
        memory: &M,
        object: u64,
        id: TypeId,
        edges: &mut Edges,
    ) -> Result<Shape, ReadError> {
        edges.clear();
        let Some(kind) = self.kinds.get(id.0 as usize) else {
            return Err(ReadError::Implausible { address: object, length: 0 });
        };
        let size = Visit::of(memory, &self.context, kind, object, edges)?;
        if size.shallow > self.context.extent {
            return Err(ReadError::Implausible { address: object, length: size.shallow });
        }
        if !kind.is_gc {
            edges.held.append(&mut edges.shown);
        }
        Ok(Shape {
            kind: id,
            shallow: size.shallow,
            external: size.external,
            header: if size.is_static { 0 } else { kind.header },
            conservative: kind.unknown.is_some() || !edges.candidates.is_empty(),
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

    /// How one object refers to another, with as much of a key as may be told; `None` where it does not,
    /// or cannot be read.
    pub fn link<M: Memory>(
        &mut self,
        memory: &M,
        parent: u64,
        child: u64,
        disclosure: Disclosure,
    ) -> Option<Link> {
        let role = self.role(memory, parent, child)?;
        self.disclosed(memory, role, disclosure)
    }

    /// Adds everything that an object refers to, with its role, to `found`. Of an object that cannot be
    /// read to its end that is what could be.
    pub fn roles<M: Memory>(&mut self, memory: &M, object: u64, found: &mut Vec<(u64, Role)>) {
        let Ok(id) = self.type_of(memory, object) else { return };
        if let Some(kind) = self.kinds.get(id.0 as usize) {
            let _ = Visit::of(memory, &self.context, kind, object, found);
        }
    }

    /// The words for a role.
    pub fn words<M: Memory>(&self, memory: &M, role: Role) -> Option<Link> {
        Link::of(memory, self.layout(), role)
    }

    /// What one object is to another that refers to it.
    pub(super) fn role<M: Memory>(&mut self, memory: &M, parent: u64, child: u64) -> Option<Role> {
        let id = self.type_of(memory, parent).ok()?;
        let kind = self.kinds.get(id.0 as usize)?;
        let mut search = Search::new(child);
        // What was found before something unreadable counts.
        let _ = Visit::of(memory, &self.context, kind, parent, &mut search);
        search.found
    }

    /// Whether objects can be immortal: from 3.12 on, where integers have tags.
    pub fn has_immortal_objects(&self) -> bool {
        self.layout().int.tagged
    }

    /// Where the interpreter keeps what.
    pub(super) fn layout(&self) -> &Layout {
        &self.context.layout
    }

    /// Whether this object is the dict of interned strings, which has no references: its strings are
    /// not counted as held by it.
    pub fn is_interned_strings<M: Memory>(&self, memory: &M, object: u64) -> bool {
        let layout = &self.context.layout;
        let keys = memory.u64(at(object, layout.dict.keys));
        let table = keys.and_then(|keys| KeyTable::read(memory, layout, keys));
        table.is_ok_and(|table| self.context.is_interned(memory, object, &table))
    }

    fn type_of<M: Memory>(&mut self, memory: &M, object: u64) -> Result<TypeId, ReadError> {
        let kind = type_of(memory, &self.context.layout, object)?;
        self.type_at(memory, kind)
    }
}
