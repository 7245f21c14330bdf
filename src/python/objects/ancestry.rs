//! A type and its bases: what each type adds, and whether C or Python code defined it.
//!
//! Built-in types are recognized by `tp_name`. A class defined in Python can have any name, so such classes
//! are recognized first: their `tp_name` points into their own `ht_name`, while a type written in C has a
//! separate C string.

use super::context::Context;
use super::type_flags::{HEAP_TYPE, STATIC_BUILTIN, TYPE_SUBCLASS};
use super::values::{small_int, string, type_name, type_of};
use super::view::View;
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::dicts;
use crate::python::layout::{Layout, Member, records};
use crate::python::links::RingGuard;

/// The longest chain of base types that is followed.
const MOST_BASES: usize = 100;
/// The most slots that a class can plausibly have.
const MOST_SLOTS: u64 = 10_000;
/// The longest name that is read, in bytes.
const LONGEST_NAME: usize = 400;
/// The most items of a struct sequence.
const MOST_HIDDEN: u64 = 1000;

/// The bytes of an object whose meaning is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Where they begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
    /// Whether the items after them are unknown as well.
    pub items: bool,
    /// The offsets of the known words among them: the pointers to the dict and to the weak references, which
    /// are not part of the unknown bytes.
    pub not_at: [u64; 2],
}

/// A slot of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its offset in an instance.
    pub offset: usize,
    /// Its name, a C string.
    pub name: u64,
}

/// One type in the chain of bases.
pub(super) struct Ancestor {
    pub address: u64,
    pub flags: u64,
    pub basic_size: u64,
    pub item_size: u64,
    pub dict_offset: i64,
    pub weak_offset: i64,
    /// `tp_del` and `tp_finalize`.
    pub old_finalizer: u64,
    pub finalizer: u64,
    /// `tp_name`.
    pub name: String,
    pub made_in_python: bool,
    /// The number of `PyMemberDef`s after it, and their address.
    pub members: u64,
    pub first_member: u64,
}

/// The type and its bases along `tp_base`, the most derived first.
pub(super) fn bases<M: Memory>(
    memory: &M,
    layout: &Layout,
    kind: u64,
) -> Result<Vec<Ancestor>, ReadError> {
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
        chain.push(Ancestor {
            address,
            flags,
            basic_size: view.u64(fields.basic_size)?,
            item_size: view.u64(fields.item_size)?,
            dict_offset: view.u64(fields.dict_offset)? as i64,
            weak_offset: view.u64(fields.weak_offset)? as i64,
            old_finalizer: view.u64(fields.old_finalizer)?,
            finalizer: view.u64(fields.finalizer)?,
            name: String::from_utf8_lossy(&memory.c_string(name, LONGEST_NAME)?).into_owned(),
            made_in_python,
            members: view.u64(layout.object.size)?,
            first_member: address.wrapping_add(behind),
        });
        address = view.u64(fields.base)?;
    }
    Ok(chain)
}

/// Whether a C string is the text of this `str`, as returned by `PyUnicode_AsUTF8`.
fn is_text_of<M: Memory>(memory: &M, layout: &Layout, c_string: u64, text: u64) -> bool {
    c_string == at(text, layout.unicode.ascii_data)
        || memory.u64(at(text, layout.unicode.utf8)) == Ok(c_string)
}

/// The bytes of its objects whose meaning is unknown: those that types written in C add to a known one.
pub(super) fn unknown_part(layout: &Layout, chain: &[Ancestor]) -> Option<Unknown> {
    let mut in_c = chain.iter().filter(|ancestor| !ancestor.made_in_python);
    let first = in_c.next()?;
    if first.is_known(layout) {
        return None;
    }
    let known = in_c.find(|ancestor| ancestor.is_known(layout))?;
    let items = first.item_size != 0 && known.item_size == 0;
    (first.basic_size > known.basic_size || items).then_some(Unknown {
        start: known.basic_size,
        end: first.basic_size,
        items,
        not_at: [first.dict_offset, first.weak_offset].map(|at| at.try_into().unwrap_or(u64::MAX)),
    })
}

/// The slots that a class adds to those of its base.
pub(super) fn read_slots<M: Memory>(memory: &M, layout: &Layout, ancestor: &Ancestor) -> Vec<Slot> {
    let member = &layout.types.member;
    let slot = |number: u64| {
        let start = ancestor.first_member.wrapping_add(number.wrapping_mul(member.size as u64));
        let view = View::new(memory, start, member.size).ok()?;
        let is_object = view.u32(member.kind).ok()? == Member::OBJECT;
        let offset = usize::try_from(view.u64(member.offset).ok()?).ok()?;
        let slot = Slot { offset, name: view.u64(member.name).ok()? };
        Some(is_object.then_some(slot))
    };
    let count = if ancestor.members <= MOST_SLOTS { ancestor.members } else { 0 };
    (0..count).map_while(slot).flatten().collect()
}

/// How many items a struct sequence of this type has in all.
pub(super) fn hidden_items<M: Memory>(
    memory: &M,
    context: &Context,
    ancestor: &Ancestor,
) -> Option<u64> {
    let layout = &*context.layout;
    let dict = type_dict(memory, context, ancestor.address, ancestor.flags).ok()?;
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

/// The dict with the subclasses of a type; 0 if there is none.
pub(super) fn subclasses<M: Memory>(
    memory: &M,
    context: &Context,
    kind: u64,
) -> Result<u64, ReadError> {
    let layout = &context.layout.types;
    let flags = memory.u64(at(kind, layout.flags))?;
    match context.static_type(memory, kind, flags)? {
        Some((place, entry)) => memory.u64(at(entry, place.subclasses)),
        None if flags & STATIC_BUILTIN == 0 => memory.u64(at(kind, layout.subclasses)),
        None => Ok(0),
    }
}

/// The name of a type as in [`TypeInfo::name`](super::TypeInfo::name), and the module in it.
pub(super) struct TypeName {
    pub name: String,
    pub module: String,
}

/// The name of a type.
pub(super) fn qualified_name<M: Memory>(
    memory: &M,
    context: &Context,
    ancestor: &Ancestor,
) -> TypeName {
    let of_heap_type = match ancestor.flags & HEAP_TYPE {
        0 => None,
        _ => name_of_heap_type(memory, context, ancestor),
    };
    of_heap_type.unwrap_or_else(|| {
        let name = ancestor.name.clone();
        let module = name.rsplit_once('.').map_or("builtins", |(module, _)| module).to_owned();
        TypeName { name, module }
    })
}

/// The name of a heap type, made of Python strings, which the program can change.
fn name_of_heap_type<M: Memory>(
    memory: &M,
    context: &Context,
    ancestor: &Ancestor,
) -> Option<TypeName> {
    let layout = &*context.layout;
    let text = |object| match memory.u64(at(ancestor.address, layout.types.heap_name)) {
        Ok(name) if type_of(memory, layout, name) == type_of(memory, layout, object) => {
            string(memory, layout, object).ok()
        }
        _ => None,
    };
    let name = memory.u64(at(ancestor.address, layout.types.qualified_name)).ok().and_then(text)?;
    let module = memory
        .u64(at(ancestor.address, layout.types.dict))
        .and_then(|dict| dicts::get(memory, layout, dict, "__module__"));
    let module = module.ok().flatten()?;
    // The `__module__` of instances may be a property; the function behind it has that of the class.
    let module = text(module).or_else(|| text(module_of_getter(memory, layout, module)?))?;
    let name = if module == "builtins" { name } else { format!("{module}.{name}") };
    Some(TypeName { name, module })
}

/// The `__module__` of the function that a property calls.
fn module_of_getter<M: Memory>(memory: &M, layout: &Layout, property: u64) -> Option<u64> {
    let field = |object, kind: &str, name: &str| {
        if type_name(memory, layout, type_of(memory, layout, object).ok()?).ok()? != kind {
            return None;
        }
        let record = records::find(layout.records, kind)?;
        let field = record.fields.iter().find(|field| field.name == name)?;
        memory.u64(at(object, field.offset)).ok()
    };
    field(field(property, "property", "fget")?, "function", "__module__")
}
