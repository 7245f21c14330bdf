//! How one object refers to another, in Python's terms.

use std::fmt;

use super::edges::Role;
use super::quoting::quoted;
use super::values::{small_int, string, type_name, type_of};
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::{CodeLocals, Layout};

/// A text with more characters than this is a value, not a name, and is not shown.
const LONGEST_NAME: usize = 64;

/// How one object holds another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Link {
    /// As an attribute or a field: `.name`.
    Attribute(String),
    /// Under a key that is shown, quoted if it is text: `['name']`, `[7]`.
    Key(String),
    /// Under a key of this type, whose value is not shown: `[tuple]`.
    KeyOf(String),
    /// As an item: `[3]`.
    Index(u64),
    /// As an element of a set, or of another collection without an order.
    Element,
    /// As a key of a dict.
    IsKey,
    /// As a local variable of a frame, shared with other functions or not.
    Local(String),
    /// As a variable that a function uses from an enclosing one.
    Closure(String),
    /// As the default value of an argument.
    Default(String),
    /// As a value on a frame's evaluation stack.
    Stack,
    /// As its type.
    Type,
    /// At this offset in an object of unknown type, in bytes.
    Offset(u64),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Attribute(name) => write!(f, ".{name}"),
            Link::Key(key) | Link::KeyOf(key) => write!(f, "[{key}]"),
            Link::Index(index) => write!(f, "[{index}]"),
            Link::Element => f.write_str("{…}"),
            Link::IsKey => f.write_str(".keys()"),
            Link::Local(name) => write!(f, "local {name}"),
            Link::Closure(name) => write!(f, "closure {name}"),
            Link::Default(name) => write!(f, "default {name}"),
            Link::Stack => f.write_str("(stack)"),
            Link::Type => f.write_str(".__class__"),
            Link::Offset(offset) => write!(f, "C field at +{offset}"),
        }
    }
}

impl Link {
    /// The same without the key; only its type is left.
    pub fn redacted(self) -> Link {
        match self {
            Link::Key(key) if key.starts_with(['\'', '"']) => Link::KeyOf("str".to_owned()),
            Link::Key(_) => Link::KeyOf("int".to_owned()),
            other => other,
        }
    }

    /// The same for all keys and all indices.
    pub fn pattern(self) -> Link {
        match self {
            Link::Key(_) | Link::KeyOf(_) | Link::Index(_) => Link::KeyOf("…".to_owned()),
            other => other,
        }
    }

    /// Describes a role.
    pub(super) fn of<M: Memory>(memory: &M, layout: &Layout, role: Role) -> Option<Link> {
        let text = |object| short_text(memory, layout, object);
        match role {
            Role::Value(key) => key_link(memory, layout, key).ok(),
            Role::Attribute(name) => Some(Link::Attribute(text(name)?)),
            Role::Slot(name) => {
                let name = memory.c_string(name, 4 * LONGEST_NAME).ok()?;
                Some(Link::Attribute(String::from_utf8_lossy(&name).into_owned()))
            }
            Role::Local(code, number) => {
                Some(Link::Local(text(local(memory, layout, code, number)?)?))
            }
            role => role.plain_words(),
        }
    }

    /// A key that is this text.
    pub(crate) fn text_key(text: &str) -> Link {
        Link::Key(quoted(text))
    }
}

impl Role {
    /// Describes a role that needs no memory for that.
    pub(crate) fn plain_words(self) -> Option<Link> {
        Some(match self {
            Role::Field(name) => Link::Attribute(name.to_owned()),
            Role::Index(index) => Link::Index(index),
            Role::Element => Link::Element,
            Role::Key => Link::IsKey,
            Role::Stack => Link::Stack,
            Role::Type => Link::Type,
            Role::Unknown(offset) => Link::Offset(offset),
            Role::Value(_) | Role::Attribute(_) | Role::Slot(_) | Role::Local(..) => return None,
        })
    }
}

/// The text of a `str`, if it is short enough to be a name.
pub(super) fn short_text<M: Memory>(memory: &M, layout: &Layout, object: u64) -> Option<String> {
    let kind = type_name(memory, layout, type_of(memory, layout, object).ok()?).ok()?;
    let text = string(memory, layout, object).ok()?;
    (kind == "str" && text.chars().count() <= LONGEST_NAME).then_some(text)
}

/// A key if it is short text or a small number, otherwise its type.
fn key_link<M: Memory>(memory: &M, layout: &Layout, key: u64) -> Result<Link, ReadError> {
    let kind = type_name(memory, layout, type_of(memory, layout, key)?)?;
    Ok(match &*kind {
        "str" => match short_text(memory, layout, key) {
            Some(text) => Link::Key(quoted(&text)),
            None => Link::KeyOf(kind),
        },
        "int" => match small_int(memory, layout, key)? {
            Some(number) => Link::Key(number.to_string()),
            None => Link::KeyOf(kind),
        },
        _ => Link::KeyOf(kind),
    })
}

/// The address of the name of a code object's local variable.
pub(super) fn local<M: Memory>(memory: &M, layout: &Layout, code: u64, number: u64) -> Option<u64> {
    let tuple = |names| memory.u64(at(code, names)).ok();
    match layout.code.locals {
        CodeLocals::Together { names, .. } => tuple_item(memory, layout, tuple(names)?, number),
        CodeLocals::Tuples { names, .. } => {
            let mut number = number;
            for names in names {
                let names = tuple(names)?;
                if let Some(name) = tuple_item(memory, layout, names, number) {
                    return Some(name);
                }
                number = number.checked_sub(tuple_length(memory, layout, names)?)?;
            }
            None
        }
    }
}

/// How many items a tuple has.
pub(super) fn tuple_length<M: Memory>(memory: &M, layout: &Layout, tuple: u64) -> Option<u64> {
    memory.u64(at(tuple, layout.object.size)).ok()
}

/// An item of a tuple.
pub(super) fn tuple_item<M: Memory>(
    memory: &M,
    layout: &Layout,
    tuple: u64,
    number: u64,
) -> Option<u64> {
    if number >= tuple_length(memory, layout, tuple)? {
        return None;
    }
    let first = at(tuple, layout.objects.tuple_items);
    memory.u64(first.wrapping_add(number.wrapping_mul(8))).ok()
}
