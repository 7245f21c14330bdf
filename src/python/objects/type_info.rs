//! Everything that is needed to read the objects of a type, determined once per type.
//!
//! Relies on the [ancestry](super::ancestry) of the type, and on the records of the
//! [layout](crate::python::layout).
//!
//! Over 400 lines, because everything about a type is decided here, and only here.

use super::ancestry::{
    Ancestor, Slot, TypeName, Unknown, bases, hidden_items, qualified_name, read_slots,
    unknown_part,
};
use super::context::Context;
use super::keys::KeyTable;
use super::own_buffers::OwnBuffers;
use super::pickles::is_known_unpickler;
use super::type_flags::{HAVE_GC, HEAP_TYPE, INLINE_VALUES, MANAGED_DICT, MANAGED_WEAKREF};
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::records;
use crate::python::layout::records::Field;
use crate::python::layout::{Attributes, Layout};

/// Bytes of the collector's header before an object, and of the pointers to the dict and to the weak
/// references that may be before that.
pub(super) const GC_HEAD: u64 = crate::python::gc::HEAD_SIZE;
pub(super) const PRE_HEADER: u64 = 16;

/// The most bytes of an object that are read first.
const LARGEST_SPAN: u64 = 4096;

/// The number of a type in a [`TypeTable`](super::TypeTable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// A type, and how to read its objects.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    /// Its number.
    pub id: TypeId,
    /// Its address.
    pub address: u64,
    /// Its name: `module.qualname`, or the plain name of a type of the module `builtins`.
    pub name: String,
    /// The module in its name; `builtins` if the name has none.
    pub module: String,
    /// Whether its objects belong to the cycle collector (`Py_TPFLAGS_HAVE_GC`).
    pub is_gc: bool,
    /// Whether it is a class defined in Python (its name is not a separate C string).
    pub made_in_python: bool,
    /// The bytes before its objects, as in [`Shape::header`](super::Shape::header).
    pub header: u64,
    /// `tp_basicsize`, in bytes.
    pub basic_size: u64,
    /// `tp_itemsize`, in bytes.
    pub item_size: u64,
    pub(super) body: Body,
    pub(super) fields: Vec<Field>,
    pub(super) attributes: Place,
    pub(super) slots: Vec<Slot>,
    /// Whether its objects refer to it, and show the reference.
    pub(super) own_type: OwnType,
    /// The bytes of unknown meaning.
    pub(super) unknown: Option<Unknown>,
    /// How many bytes of an object are read first.
    pub(super) span: usize,
    /// What it does when its objects are destroyed.
    pub finalizer: Finalizer,
    pub(super) is_leaf: bool,
    pub(super) table: Option<usize>,
    /// The bytes of an object without a dict, if slots can replace it.
    pub(super) without_dict: Option<u64>,
    pub(super) own_buffers: OwnBuffers,
}

/// What a type does when its objects are destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finalizer {
    /// No code of the program; C code of the type at most.
    Plain,
    /// A `__del__` method (`tp_finalize`, of a class defined in Python).
    InPython,
    /// An old finalizer (`tp_del`): the collector does not free cycles that contain such objects.
    Blocking,
}

/// Which decoder reads an object's variable part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// It has none beyond what its sizes say.
    Plain,
    Int,
    Str,
    List,
    Tuple,
    /// A tuple with more items than its length says: their total number.
    StructSequence(u64),
    Dict,
    OrderedDict,
    Set,
    Deque,
    Code,
    Frame,
    Generator,
    Type,
    Module,
    /// `ob_size` references from this offset on.
    Items(usize),
    /// References from this offset on, this many.
    Array(usize, u64),
    /// A time zone at this offset, if there is one.
    Zoned(usize),
    LruCache,
    TeeData,
    Element,
    ByteArray,
    NumberArray,
    NdArray,
    BytesIo,
    StringIo,
    Buffered,
    Queue,
    Mmap,
    /// The bytes of the type written in C, which say how it is laid out.
    Pickler(u64),
    Unpickler(u64),
    UnpicklerStack,
    XmlParser,
    ElementIterator,
    Decimal,
    FormatCodes,
    /// Numbers in a block of their own: as many as the pool has items, and more.
    Indices {
        of_pool: bool,
        more: Option<usize>,
    },
    CData,
}

/// The types with a body of their own, by `tp_name`.
const BODIES: &[(&str, Body)] = &[
    ("object", Body::Plain),
    ("int", Body::Int),
    ("str", Body::Str),
    ("bytes", Body::Plain),
    ("list", Body::List),
    ("tuple", Body::Tuple),
    ("dict", Body::Dict),
    ("frozendict", Body::Dict),
    ("collections.OrderedDict", Body::OrderedDict),
    ("set", Body::Set),
    ("frozenset", Body::Set),
    ("collections.deque", Body::Deque),
    ("code", Body::Code),
    ("frame", Body::Frame),
    ("generator", Body::Generator),
    ("coroutine", Body::Generator),
    ("async_generator", Body::Generator),
    ("type", Body::Type),
    ("module", Body::Module),
    ("datetime.datetime", Body::Zoned(40)),
    ("datetime.time", Body::Zoned(32)),
    ("hamt_bitmap_node", Body::Items(32)),
    ("hamt_collision_node", Body::Items(32)),
    ("hamt_array_node", Body::Array(16, 32)),
    ("itertools._tee_dataobject", Body::TeeData),
    ("xml.etree.ElementTree.Element", Body::Element),
    ("functools._lru_cache_wrapper", Body::LruCache),
    ("bytearray", Body::ByteArray),
    ("array.array", Body::NumberArray),
    ("numpy.ndarray", Body::NdArray),
    ("_io.BytesIO", Body::BytesIo),
    ("_io.StringIO", Body::StringIo),
    ("_io.BufferedReader", Body::Buffered),
    ("_io.BufferedWriter", Body::Buffered),
    ("_io.BufferedRandom", Body::Buffered),
    ("_queue.SimpleQueue", Body::Queue),
    ("mmap.mmap", Body::Mmap),
    ("_pickle.Pickler", Body::Pickler(0)),
    ("_pickle.Unpickler", Body::Unpickler(0)),
    ("_pickle.Pdata", Body::UnpicklerStack),
    ("pyexpat.xmlparser", Body::XmlParser),
    ("_elementtree._element_iterator", Body::ElementIterator),
    ("decimal.Decimal", Body::Decimal),
    ("Struct", Body::FormatCodes),
    ("_struct.Struct", Body::FormatCodes),
    ("itertools.product", Body::Indices { of_pool: true, more: None }),
    ("itertools.permutations", Body::Indices { of_pool: true, more: Some(48) }),
    ("itertools.combinations", Body::Indices { of_pool: false, more: Some(40) }),
    ("itertools.combinations_with_replacement", Body::Indices { of_pool: false, more: Some(40) }),
    ("_ctypes._CData", Body::CData),
];

/// Heap types whose `tp_traverse` does not visit the type, by `tp_name`.
const HIDE_THEIR_TYPE: &[&str] = &["typing.ParamSpecArgs", "typing.ParamSpecKwargs"];

/// Where an instance keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has none.
    Nowhere,
    /// In a dict, whose pointer is at this offset; from the object's end if negative.
    At(i64),
    /// Where [`Attributes`] says, with the keys at this address and room for this many.
    Managed { keys: u64, room: u64, inline: bool },
}

/// Whether objects refer to their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnType {
    /// No: a static type is always there.
    No,
    /// Yes, but `tp_traverse` does not visit it.
    Held,
    /// Yes, and `tp_traverse` visits it.
    Shown,
}

impl Ancestor {
    /// The decoder of exactly this type, if it has one.
    fn body(&self) -> Option<Body> {
        let (_, body) = BODIES.iter().find(|(name, _)| *name == self.name)?;
        match body {
            Body::Pickler(_) => Some(Body::Pickler(self.basic_size)),
            Body::Unpickler(_) if !is_known_unpickler(self.basic_size) => None,
            Body::Unpickler(_) => Some(Body::Unpickler(self.basic_size)),
            body => Some(*body),
        }
    }

    /// Whether everything that this type adds to its base is known.
    pub fn is_known(&self, layout: &Layout) -> bool {
        self.body().is_some() || records::find(layout.records, &self.name).is_some()
    }
}

/// The data that a snapshot file keeps about a type.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct TypeFacts {
    /// [`TypeInfo::address`].
    pub address: u64,
    /// [`TypeInfo::name`].
    pub name: String,
    /// [`TypeInfo::module`].
    pub module: String,
    /// [`TypeInfo::is_gc`].
    pub is_gc: bool,
    /// [`TypeInfo::made_in_python`].
    pub made_in_python: bool,
    /// [`TypeInfo::header`].
    pub header: u64,
    /// [`TypeInfo::basic_size`].
    pub basic_size: u64,
    /// [`TypeInfo::item_size`].
    pub item_size: u64,
    /// [`TypeInfo::finalizer`].
    pub finalizer: Finalizer,
    is_leaf: bool,
    body: KeptBody,
}

/// The kinds of objects that matter when there is no memory to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptBody {
    Plain,
    Text,
    Metatype,
}

impl TypeInfo {
    /// The data that a file keeps about it.
    pub(crate) fn facts(&self) -> TypeFacts {
        TypeFacts {
            address: self.address,
            name: self.name.clone(),
            module: self.module.clone(),
            is_gc: self.is_gc,
            made_in_python: self.made_in_python,
            header: self.header,
            basic_size: self.basic_size,
            item_size: self.item_size,
            finalizer: self.finalizer,
            is_leaf: self.is_leaf,
            body: match self.body {
                Body::Str => KeptBody::Text,
                Body::Type => KeptBody::Metatype,
                _ => KeptBody::Plain,
            },
        }
    }

    /// A type from a file, without what is needed to read its objects.
    pub(crate) fn kept(id: TypeId, facts: TypeFacts) -> TypeInfo {
        TypeInfo {
            id,
            address: facts.address,
            name: facts.name,
            module: facts.module,
            is_gc: facts.is_gc,
            made_in_python: facts.made_in_python,
            header: facts.header,
            basic_size: facts.basic_size,
            item_size: facts.item_size,
            body: match facts.body {
                KeptBody::Plain => Body::Plain,
                KeptBody::Text => Body::Str,
                KeptBody::Metatype => Body::Type,
            },
            fields: Vec::new(),
            attributes: Place::Nowhere,
            slots: Vec::new(),
            finalizer: facts.finalizer,
            own_type: OwnType::No,
            unknown: None,
            span: 0,
            is_leaf: facts.is_leaf,
            table: None,
            without_dict: None,
            own_buffers: OwnBuffers::default(),
        }
    }
}

impl TypeInfo {
    /// Reads the type at this address.
    pub(super) fn read<M: Memory>(
        memory: &M,
        context: &Context,
        address: u64,
    ) -> Result<TypeInfo, ReadError> {
        let layout = &*context.layout;
        let chain = bases(memory, layout, address)?;
        let implausible = ReadError::Implausible { address, length: 0 };
        let [first, ..] = &*chain else { return Err(implausible) };
        let in_c = || chain.iter().filter(|ancestor| !ancestor.made_in_python);
        let mut body = in_c().find_map(Ancestor::body).unwrap_or(Body::Plain);
        if body == Body::Tuple
            && let Some(count) = in_c().find_map(|ancestor| hidden_items(memory, context, ancestor))
        {
            body = Body::StructSequence(count);
        }
        let fields = in_c().filter_map(|ancestor| records::find(layout.records, &ancestor.name));
        let slots = chain.iter().filter(|ancestor| ancestor.made_in_python);
        let is_gc = first.flags & HAVE_GC != 0;
        let TypeName { name, module } = qualified_name(memory, context, first);
        let mut info = TypeInfo {
            // The table assigns the number.
            id: TypeId(u32::MAX),
            address,
            name,
            module,
            is_gc,
            made_in_python: first.made_in_python,
            header: header(layout, first.flags),
            basic_size: first.basic_size,
            item_size: first.item_size,
            body,
            fields: fields.flat_map(|record| record.fields).copied().collect(),
            attributes: Place::of(memory, layout, first, body),
            slots: slots.flat_map(|ancestor| read_slots(memory, layout, ancestor)).collect(),
            own_type: OwnType::No,
            unknown: match body {
                Body::StructSequence(_) => None,
                _ => unknown_part(layout, &chain),
            },
            finalizer: finalizer(first),
            span: 0,
            is_leaf: false,
            table: table(layout, body),
            without_dict: None,
            own_buffers: OwnBuffers::of(in_c(), body, first.basic_size),
        };
        info.without_dict = without_dict(memory, context, &info, &chain);
        if first.flags & HEAP_TYPE != 0 {
            let shown = !in_c().any(|ancestor| HIDE_THEIR_TYPE.contains(&&*ancestor.name));
            let shown = shown && (first.made_in_python || layout.types.module.is_some());
            info.own_type = if shown { OwnType::Shown } else { OwnType::Held };
        }
        info.span = info.span(layout);
        info.is_leaf = info.refers_to_nothing();
        Ok(info)
    }

    /// Whether its objects are strings.
    pub fn is_text(&self) -> bool {
        self.body == Body::Str
    }

    /// Whether its objects are types.
    pub fn is_metatype(&self) -> bool {
        self.body == Body::Type
    }

    /// Whether each of its objects has a reference to it, so that its reference count includes them.
    pub fn counts_instances(&self) -> bool {
        self.own_type != OwnType::No
    }

    /// Whether its objects never refer to others: numbers, strings and the like.
    #[inline]
    pub fn is_leaf(&self) -> bool {
        self.is_leaf
    }

    /// Where one of its objects has the pointer to the table with most of its references, if it has such a
    /// table.
    #[inline]
    pub fn table(&self, object: u64) -> Option<u64> {
        self.table.map(|offset| at(object, offset))
    }

    fn refers_to_nothing(&self) -> bool {
        matches!(self.body, Body::Plain | Body::Int | Body::Str | Body::Decimal)
            && self.fields.is_empty()
            && self.slots.is_empty()
            && self.attributes == Place::Nowhere
            && self.own_type == OwnType::No
            && self.unknown.is_none()
    }

    /// How many bytes of an object are read first.
    fn span(&self, layout: &Layout) -> usize {
        let basic_size = self.basic_size.min(LARGEST_SPAN) as usize;
        match self.body {
            Body::Str => layout.unicode.ascii_data,
            Body::Type => layout.types.size,
            _ => match self.attributes {
                Place::Managed { room, inline: true, .. } => {
                    basic_size + 16 + 8 * room.min(64) as usize
                }
                _ => basic_size.max(16),
            },
        }
    }
}

impl Place {
    fn of<M: Memory>(memory: &M, layout: &Layout, ancestor: &Ancestor, body: Body) -> Place {
        if body == Body::Type {
            return Place::Nowhere;
        }
        if ancestor.flags & MANAGED_DICT == 0 || layout.attributes == Attributes::Dict {
            return match ancestor.dict_offset {
                0 => Place::Nowhere,
                offset => Place::At(offset),
            };
        }
        let keys = memory.u64(at(ancestor.address, layout.types.cached_keys)).unwrap_or_default();
        let room = match keys {
            0 => 0,
            keys => KeyTable::read(memory, layout, keys).map_or(0, |table| table.room),
        };
        Place::Managed { keys, room, inline: ancestor.flags & INLINE_VALUES != 0 }
    }
}

fn finalizer(ancestor: &Ancestor) -> Finalizer {
    if ancestor.old_finalizer != 0 {
        Finalizer::Blocking
    } else if ancestor.made_in_python && ancestor.finalizer != 0 {
        Finalizer::InPython
    } else {
        Finalizer::Plain
    }
}

/// The bytes of an object of a class whose dict slots can replace. They can if no base written in C has a dict
/// or items, and the bases that have to get slots too belong to the same package.
fn without_dict<M: Memory>(
    memory: &M,
    context: &Context,
    info: &TypeInfo,
    chain: &[Ancestor],
) -> Option<u64> {
    let in_c = chain.iter().find(|ancestor| !ancestor.made_in_python)?;
    let has_dict =
        |ancestor: &Ancestor| ancestor.dict_offset != 0 || ancestor.flags & MANAGED_DICT != 0;
    let package = |module: &str| module.split('.').next().unwrap_or_default().to_owned();
    let is_foreign = |ancestor: &Ancestor| {
        let module = qualified_name(memory, context, ancestor).module;
        package(&module) != package(&info.module)
    };
    let bases = chain.iter().filter(|base| base.made_in_python && has_dict(base));
    let is_possible = info.made_in_python
        && !has_dict(in_c)
        && in_c.item_size == 0
        && !bases.clone().any(is_foreign);
    is_possible.then(|| GC_HEAD + in_c.basic_size + 8 * info.slots.len() as u64)
}

/// The offset of an object's pointer to its table.
fn table(layout: &Layout, body: Body) -> Option<usize> {
    match body {
        Body::List => Some(layout.objects.list.items),
        Body::Dict | Body::OrderedDict => Some(layout.dict.keys),
        Body::Set => Some(layout.objects.set.table),
        Body::Deque => Some(layout.objects.deque.left_block),
        _ => None,
    }
}

/// The bytes that `sys.getsizeof` adds: `_PyType_PreHeaderSize`.
fn header(layout: &Layout, flags: u64) -> u64 {
    let pre_header = match layout.attributes {
        Attributes::Dict => 0,
        Attributes::DictOrValues { .. } => flags & MANAGED_DICT,
        Attributes::Tagged { .. } | Attributes::Inline { .. } => {
            flags & (MANAGED_DICT | MANAGED_WEAKREF)
        }
    };
    let of = |bits, size| if bits == 0 { 0 } else { size };
    of(flags & HAVE_GC, GC_HEAD) + of(pre_header, PRE_HEADER)
}
