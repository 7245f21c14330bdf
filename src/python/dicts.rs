//! Finding a name in dicts, modules and the attributes of instances.
//!
//! Relies on [`objects`](super::objects) for the keys.

use super::layout::{Attributes, Layout};
use super::objects::keys::KeyTable;
use super::objects::{is_text, small_int, type_of};
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};

/// The most entries of a dict that is read: `sys.modules`, or the globals of a module.
const MOST_ENTRIES: u64 = 1 << 17;
/// The most attributes of an instance that is read.
const MOST_ATTRIBUTES: u64 = 256;

/// `tp_flags` bits, `Include/object.h`.
const INLINE_VALUES: u64 = 1 << 2;
const MANAGED_DICT: u64 = 1 << 4;

/// A key and its value, by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: u64,
    /// The value.
    pub value: u64,
}

/// The entries of a dict, in order of insertion.
pub fn entries<M: Memory>(memory: &M, layout: &Layout, dict: u64) -> Result<Vec<Entry>, ReadError> {
    bounded_entries(memory, layout, dict, MOST_ENTRIES)
}

fn bounded_entries<M: Memory>(
    memory: &M,
    layout: &Layout,
    dict: u64,
    most: u64,
) -> Result<Vec<Entry>, ReadError> {
    let keys = memory.u64(at(dict, layout.dict.keys))?;
    let values = match memory.u64(at(dict, layout.dict.values))? {
        0 => None,
        values => Some(at(values, layout.dict.values_first)),
    };
    key_entries(memory, layout, keys, values, most)
}

/// The value whose key is this text, which must be ASCII.
pub fn get<M: Memory>(
    memory: &M,
    layout: &Layout,
    dict: u64,
    key: &str,
) -> Result<Option<u64>, ReadError> {
    find(memory, layout, &entries(memory, layout, dict)?, key)
}

impl Python {
    /// The value in a dict whose key is this text, which must be ASCII.
    ///
    /// # Errors
    /// The object cannot be read, or is not a dict.
    pub fn item<M: Memory>(
        &self,
        memory: &M,
        dict: u64,
        key: &str,
    ) -> Result<Option<u64>, ReadError> {
        get(memory, &self.layout, dict, key)
    }
}

/// The value of an instance's attribute, wherever the instance keeps it. Slots and class attributes are not
/// searched.
pub fn attribute<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
    name: &str,
) -> Result<Option<u64>, ReadError> {
    let kind = type_of(memory, layout, object)?;
    let flags = memory.u64(at(kind, layout.types.flags))?;
    let keys = || memory.u64(at(kind, layout.types.cached_keys));
    let managed = flags & MANAGED_DICT != 0;
    let of_values = |values| {
        let entries = key_entries(memory, layout, keys()?, Some(values), MOST_ATTRIBUTES)?;
        find(memory, layout, &entries, name)
    };
    let dict = match layout.attributes {
        Attributes::DictOrValues { dict, values } if managed => {
            match memory.u64(object.wrapping_sub(dict))? {
                0 => return of_values(memory.u64(object.wrapping_sub(values))?),
                dict => dict,
            }
        }
        Attributes::Tagged { word } if managed => match memory.u64(object.wrapping_sub(word))? {
            word if word & 1 == 1 => return of_values(word.wrapping_add(1)),
            word => word,
        },
        Attributes::Inline { dict, valid, values } if managed => {
            let inline = at(object, memory.u64(at(kind, layout.types.basic_size))? as usize);
            match memory.u64(object.wrapping_sub(dict))? {
                0 if flags & INLINE_VALUES != 0 && memory.u8(at(inline, valid))? != 0 => {
                    return of_values(at(inline, values));
                }
                dict => dict,
            }
        }
        _ => match memory.u64(at(kind, layout.types.dict_offset))? {
            // A negative offset counts from the end of a variable-size object: not needed here.
            offset if offset == 0 || offset > i64::MAX as u64 => 0,
            offset => memory.u64(object.wrapping_add(offset))?,
        },
    };
    if dict == 0 {
        return Ok(None);
    }
    find(memory, layout, &bounded_entries(memory, layout, dict, MOST_ATTRIBUTES)?, name)
}

/// The dict of a module.
pub fn module_dict<M: Memory>(memory: &M, layout: &Layout, module: u64) -> Result<u64, ReadError> {
    memory.u64(at(module, layout.module.dict))
}

/// The key of an entry, if it is an `int` that [`small_int`] can read.
pub fn int_key<M: Memory>(
    memory: &M,
    layout: &Layout,
    entry: Entry,
) -> Result<Option<u64>, ReadError> {
    small_int(memory, layout, entry.key)
}

/// The entries of a `PyDictKeysObject`; if keys are shared, with values from another array.
fn key_entries<M: Memory>(
    memory: &M,
    layout: &Layout,
    keys: u64,
    values: Option<u64>,
    most: u64,
) -> Result<Vec<Entry>, ReadError> {
    let table = KeyTable::read(memory, layout, keys)?;
    let count = table.entries;
    if count > most {
        return Err(ReadError::Implausible { address: keys, length: count });
    }
    let (size, key_at) = if table.with_hash { (24, 8) } else { (16, 0) };
    let most = MOST_ENTRIES as usize * size;
    let bytes = memory.bytes(table.first, count * size as u64, most)?;
    let own_values = match values {
        Some(values) => Some(memory.bytes(values, count * 8, MOST_ENTRIES as usize * 8)?),
        None => None,
    };
    let entry = |(index, entry): (usize, &[u8])| {
        let key = u64_at(entry, key_at)?;
        let value = match &own_values {
            Some(values) => u64_at(values, index * 8)?,
            None => u64_at(entry, key_at + 8)?,
        };
        (key != 0 && value != 0).then_some(Entry { key, value })
    };
    Ok(bytes.chunks_exact(size).enumerate().filter_map(entry).collect())
}

/// The entry with this text as its key. Keys of other types, and keys that cannot be read, do not match.
fn find<M: Memory>(
    memory: &M,
    layout: &Layout,
    entries: &[Entry],
    key: &str,
) -> Result<Option<u64>, ReadError> {
    let same = |entry: &&Entry| is_text(memory, layout, entry.key, key).unwrap_or(false);
    Ok(entries.iter().find(same).map(|entry| entry.value))
}
