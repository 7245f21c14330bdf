//! What is to be known of a type once, so that its objects can be read quickly.
//!
//! Built-in types are known by `tp_name`. A class made by Python code can have any name, so classes are
//! told apart first: the `tp_name` of one made in Python points into its own `ht_name`, while a type
//! written in C has a name of its own. Relies on the records of the [layout](crate::python::layout).

use super::context::Context;
use super::keys::KeyTable;
use super::values::{small_int, string, type_of};
use super::view::View;
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::dicts;
use crate::python::layout::records::{self, Field};
use crate::python::layout::{Attributes, Layout, Member};
use crate::python::links::RingGuard;

/// `tp_flags` bits, `Include/object.h`.
pub(super) const STATIC_BUILTIN: u64 = 1 << 1;
const INLINE_VALUES: u64 = 1 << 2;
const MANAGED_WEAKREF: u64 = 1 << 3;
const MANAGED_DICT: u64 = 1 << 4;
pub(super) const HEAP_TYPE: u64 = 1 << 9;
const HAVE_GC: u64 = 1 << 14;
const TYPE_SUBCLASS: u64 = 1 << 31;

/// Bytes of the collector's header before an object, and of what may be before that.
const GC_HEAD: u64 = 16;
const PRE_HEADER: u64 = 16;

/// The longest chain of base types that is followed.
const MOST_BASES: usize = 100;
/// The most that is looked at of an object first, in bytes.
const LARGEST_SPAN: u64 = 4096;
/// The most slots that are believed of a class.
const MOST_SLOTS: u64 = 10_000;
/// The longest name that is read, in bytes.
const LONGEST_NAME: usize = 400;
/// The most items of a struct sequence.
const MOST_HIDDEN: u64 = 1000;

/// The number by which a decoder knows a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// What is known of a type.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Its address.
    pub address: u64,
    /// Its name: `module.qualname`, or the plain name of a type of the module `builtins`.
    pub name: String,
    /// Whether its objects belong to the cycle collector (`Py_TPFLAGS_HAVE_GC`).
    pub is_gc: bool,
    /// How many bytes come before its objects, as in [`Shape::header`](super::Shape::header).
    pub header: u64,
    /// `tp_basicsize`, in bytes.
    pub basic_size: u64,
    /// `tp_itemsize`, in bytes.
    pub item_size: u64,
    pub(super) body: Body,
    pub(super) fields: Vec<Field>,
    pub(super) attributes: Place,
    pub(super) slots: Vec<Slot>,
    /// Whether its objects refer to it, and show that.
    pub(super) own_type: OwnType,
    /// The bytes of which nothing is known.
    pub(super) unknown: Option<Unknown>,
    /// How much is looked at of an object first.
    pub(super) span: usize,
}

/// Which decoder reads an object's variable part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none but what the sizes say.
    Plain,
    Int,
    Str,
    List,
    Tuple,
    /// A tuple with more items than its length says: so many in all.
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
    /// `ob_size` references from this place on.
    Items(usize),
    /// So many references from this place on.
    Array(usize, u64),
    /// A time zone at this place, if there is one.
    Zoned(usize),
    LruCache,
    TeeData,
    Element,
    ByteArray,
    NumberArray,
    NdArray,
    StringIo,
    Buffered,
    Queue,
    Mmap,
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
    ("_io.StringIO", Body::StringIo),
    ("_io.BufferedReader", Body::Buffered),
    ("_io.BufferedWriter", Body::Buffered),
    ("_io.BufferedRandom", Body::Buffered),
    ("_queue.SimpleQueue", Body::Queue),
    ("mmap.mmap", Body::Mmap),
];

/// Heap types whose `tp_traverse` does not visit the type, by `tp_name`.
const HIDE_THEIR_TYPE: &[&str] = &["typing.ParamSpecArgs", "typing.ParamSpecKwargs"];

/// Where an instance keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has none.
    Nowhere,
    /// In a dict, to which the pointer is at this offset; from the object's end if negative.
    At(i64),
    /// Where [`Attributes`] says, under the keys at this address, for which there is so much room.
    Managed { keys: u64, room: u64, inline: bool },
}

/// The bytes of an object of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Where they begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
    /// Whether the items behind them are unknown as well.
    pub items: bool,
}

/// A slot of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Where it is in an instance.
    pub offset: usize,
    /// Its name, a C string.
    pub name: u64,
}

/// Whether objects refer to their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnType {
    /// No: a static type is always there.
    No,
    /// Yes, but `tp_traverse` does not visit it.
    Held,
    /// Yes, and it is visited.
    Shown,
}

/// What one type in the chain of bases is.
struct Link {
    address: u64,
    flags: u64,
    basic_size: u64,
    item_size: u64,
    dict_offset: i64,
    /// `tp_name`.
    name: String,
    made_in_python: bool,
    /// How many `PyMemberDef`s are behind it, and where.
    members: u64,
    first_member: u64,
}

impl Link {
    /// The decoder of this very type, if it has one.
    fn body(&self) -> Option<Body> {
        BODIES.iter().find(|(name, _)| *name == self.name).map(|(_, body)| *body)
    }

    /// Whether all is known of what this type adds to its base.
    fn is_known(&self, layout: &Layout) -> bool {
        self.body().is_some() || records::find(layout.records, &self.name).is_some()
    }
}

impl Kind {
    /// Reads what there is to know of the type at this address.
    pub(super) fn read<M: Memory>(
        memory: &M,
        context: &Context,
        address: u64,
    ) -> Result<Kind, ReadError> {
        let layout = &*context.layout;
        let chain = bases(memory, layout, address)?;
        let implausible = ReadError::Implausible { address, length: 0 };
        let [first, ..] = &*chain else { return Err(implausible) };
        let in_c = || chain.iter().filter(|link| !link.made_in_python);
        let mut body = in_c().find_map(Link::body).unwrap_or(Body::Plain);
        if body == Body::Tuple
            && let Some(count) = in_c().find_map(|link| hidden_items(memory, context, link))
        {
            body = Body::StructSequence(count);
        }
        let fields = in_c().filter_map(|link| records::find(layout.records, &link.name));
        let slots = chain.iter().filter(|link| link.made_in_python);
        let is_gc = first.flags & HAVE_GC != 0;
        let mut kind = Kind {
            address,
            name: qualified_name(memory, context, first),
            is_gc,
            header: header(layout, first.flags),
            basic_size: first.basic_size,
            item_size: first.item_size,
            body,
            fields: fields.flat_map(|record| record.fields).copied().collect(),
            attributes: Place::of(memory, layout, first, body),
            slots: slots.flat_map(|link| read_slots(memory, layout, link)).collect(),
            own_type: OwnType::No,
            unknown: match body {
                Body::StructSequence(_) => None,
                _ => unknown_part(layout, &chain),
            },
            span: 0,
        };
        if first.flags & HEAP_TYPE != 0 {
            let shown = !in_c().any(|link| HIDE_THEIR_TYPE.contains(&&*link.name));
            let shown = shown && (first.made_in_python || layout.types.module.is_some());
            kind.own_type = if shown { OwnType::Shown } else { OwnType::Held };
        }
        kind.span = kind.span(layout);
        Ok(kind)
    }

    /// Whether its objects are strings.
    pub fn is_text(&self) -> bool {
        self.body == Body::Str
    }

    /// Whether its objects are types.
    pub fn is_metatype(&self) -> bool {
        self.body == Body::Type
    }

    /// Whether its objects never refer to others: numbers, strings and the like.
    pub fn is_leaf(&self) -> bool {
        matches!(self.body, Body::Plain | Body::Int | Body::Str)
            && self.fields.is_empty()
            && self.slots.is_empty()
            && self.attributes == Place::Nowhere
            && self.own_type == OwnType::No
            && self.unknown.is_none()
    }

    /// How much is looked at of an object first, in bytes.
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
    fn of<M: Memory>(memory: &M, layout: &Layout, link: &Link, body: Body) -> Place {
        if body == Body::Type {
            return Place::Nowhere;
        }
        if link.flags & MANAGED_DICT == 0 || layout.attributes == Attributes::Dict {
            return match link.dict_offset {
                0 => Place::Nowhere,
                offset => Place::At(offset),
            };
        }
        let keys = memory.u64(at(link.address, layout.types.cached_keys)).unwrap_or_default();
        let room = match keys {
            0 => 0,
            keys => KeyTable::read(memory, layout, keys).map_or(0, |table| table.room),
        };
        Place::Managed { keys, room, inline: link.flags & INLINE_VALUES != 0 }
    }
}

/// The type and its bases along `tp_base`, the most special one first.
fn bases<M: Memory>(memory: &M, layout: &Layout, kind: u64) -> Result<Vec<Link>, ReadError> {
    let fields = &layout.types;
    let mut chain = Vec::new();
    let mut guard = RingGuard::default();
    let mut address = kind;
    while address != 0 && chain.len() < MOST_BASES && !guard.closes_at(address) {
        let view = View::new(memory, address, fields.size)?;
        let flags = view.u64(fields.flags)?;
        let name = view.u64(fields.name)?;
        let made_in_python =
            flags & HEAP_TYPE != 0 && is_text_of(memory, layout, name, view.u64(fields.heap_name)?);
        let metatype = view.u64(layout.object.kind)?;
        let metatype = View::new(memory, metatype, fields.size)?;
        if metatype.u64(fields.flags)? & TYPE_SUBCLASS == 0 {
            return Err(ReadError::Implausible { address: kind, length: 0 });
        }
        let behind = metatype.u64(fields.basic_size)?;
        chain.push(Link {
            address,
            flags,
            basic_size: view.u64(fields.basic_size)?,
            item_size: view.u64(fields.item_size)?,
            dict_offset: view.u64(fields.dict_offset)? as i64,
            name: String::from_utf8_lossy(&memory.c_string(name, LONGEST_NAME)?).into_owned(),
            made_in_python,
            members: view.u64(layout.object.size)?,
            first_member: address.wrapping_add(behind),
        });
        address = view.u64(fields.base)?;
    }
    Ok(chain)
}

/// Whether a C string is the text of this `str`, as `PyUnicode_AsUTF8` gives it.
fn is_text_of<M: Memory>(memory: &M, layout: &Layout, c_string: u64, text: u64) -> bool {
    c_string == at(text, layout.unicode.ascii_data)
        || memory.u64(at(text, layout.unicode.utf8)) == Ok(c_string)
}

/// The bytes of its objects that nothing is known of: what types written in C add to one that is known.
fn unknown_part(layout: &Layout, chain: &[Link]) -> Option<Unknown> {
    let mut in_c = chain.iter().filter(|link| !link.made_in_python);
    let first = in_c.next()?;
    if first.is_known(layout) {
        return None;
    }
    let known = in_c.find(|link| link.is_known(layout))?;
    let items = first.item_size != 0 && known.item_size == 0;
    (first.basic_size > known.basic_size || items).then_some(Unknown {
        start: known.basic_size,
        end: first.basic_size,
        items,
    })
}

/// The slots that a class adds to its base's.
fn read_slots<M: Memory>(memory: &M, layout: &Layout, link: &Link) -> Vec<Slot> {
    let member = &layout.types.member;
    let slot = |number: u64| {
        let start = link.first_member.wrapping_add(number.wrapping_mul(member.size as u64));
        let view = View::new(memory, start, member.size).ok()?;
        let is_object = view.u32(member.kind).ok()? == Member::OBJECT;
        let offset = usize::try_from(view.u64(member.offset).ok()?).ok()?;
        let slot = Slot { offset, name: view.u64(member.name).ok()? };
        Some(is_object.then_some(slot))
    };
    let count = if link.members <= MOST_SLOTS { link.members } else { 0 };
    (0..count).map_while(slot).flatten().collect()
}

/// How many items a struct sequence of this type has in all.
fn hidden_items<M: Memory>(memory: &M, context: &Context, link: &Link) -> Option<u64> {
    let layout = &*context.layout;
    let dict = type_dict(memory, context, link.address, link.flags).ok()?;
    let number = |name| {
        let value = dicts::get(memory, layout, dict, name).ok()??;
        small_int(memory, layout, value).ok()?
    };
    number("n_sequence_fields")?;
    number("n_fields").filter(|&count| count <= MOST_HIDDEN)
}

/// The dict of a type.
pub(super) fn type_dict<M: Memory>(
    memory: &M,
    context: &Context,
    kind: u64,
    flags: u64,
) -> Result<u64, ReadError> {
    match context.static_type(memory, kind, flags)? {
        Some((place, entry)) => memory.u64(at(entry, place.dict)),
        None => memory.u64(at(kind, context.layout.types.dict)),
    }
}

/// `module.qualname`, or the plain name of a type of the module `builtins`.
fn qualified_name<M: Memory>(memory: &M, context: &Context, link: &Link) -> String {
    let layout = &*context.layout;
    if link.flags & HEAP_TYPE == 0 {
        return link.name.clone();
    }
    let text = |object| match memory.u64(at(link.address, layout.types.heap_name)) {
        Ok(name) if type_of(memory, layout, name) == type_of(memory, layout, object) => {
            string(memory, layout, object).ok()
        }
        _ => None,
    };
    let name = memory.u64(at(link.address, layout.types.qualified_name)).ok().and_then(text);
    let Some(name) = name else { return link.name.clone() };
    let module = memory
        .u64(at(link.address, layout.types.dict))
        .and_then(|dict| dicts::get(memory, layout, dict, "__module__"));
    match module.ok().flatten().and_then(text) {
        Some(module) if module != "builtins" => format!("{module}.{name}"),
        Some(_) => name,
        None => link.name.clone(),
    }
}

/// What `sys.getsizeof` adds, `_PyType_PreHeaderSize`.
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
