//! What the attributes of an instance cost, and what they would cost otherwise: with keys shared by all
//! instances of the class, or in slots.
//!
//! | | with shared keys | lost |
//! |---|---|---|
//! | up to 3.10 | a dict, and an array of values | a dict with a table of its own |
//! | 3.11, 3.12 | an array of values | the same; a dict that shares its keys once someone asks for `__dict__` |
//! | from 3.13 on | values in the object | the same, beside the values in the object |

use super::attributes::inline_size;
use super::keys::{KeyTable, room_for};
use super::reader::Reader;
use super::type_info::{Place, TypeInfo};
use crate::memory::Memory;
use crate::python::at;
use crate::python::layout::Attributes;

/// `SHARED_KEYS_MAX_SIZE`: with more attributes no keys are shared (from 3.11 on).
const MOST_SHARED: usize = 30;
/// `prefix_size` of the values of 3.11 and 3.12: a byte for each, and two more, in whole words.
const PREFIX: u64 = 2;
/// The offset of the capacity in inline values.
const CAPACITY: usize = 0;

/// Where an instance of a class defined in Python keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// Its dict; 0 if it has none.
    pub dict: u64,
    /// The table of the names of its attributes; 0 if there is none.
    pub keys: u64,
    /// Whether that is its own: it shares none with other instances.
    pub is_own: bool,
    /// The bytes of the instance and its dict with shared keys, but for those of its values.
    fixed: u64,
    values: Values,
}

/// How much the values of attributes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// As many as there is room for in the smallest table with all names.
    InDict,
    /// One for each name, and a prefix.
    Separate,
    /// They are in the object.
    Inline,
}

impl Storage {
    /// Whether attributes are always in a dict, even with shared keys (up to 3.10).
    pub fn is_always_a_dict(&self) -> bool {
        self.values == Values::InDict
    }

    /// The bytes that the instance and its dict would take with shared keys, if its class has so many names of
    /// attributes; `None` where they cannot be shared.
    pub fn shared(&self, names: usize) -> Option<u64> {
        let count = names as u64;
        let values = match self.values {
            _ if names > MOST_SHARED => return None,
            Values::InDict => 8 * room_for(count)?,
            Values::Separate => 8 * count + (count + PREFIX).next_multiple_of(8),
            Values::Inline => 0,
        };
        Some(self.fixed + values)
    }
}

impl TypeInfo {
    /// The bytes of an instance with slots for so many attributes more than it has; `None` if slots would not
    /// replace its dict: it is not defined in Python, or a base keeps one.
    pub fn slotted(&self, names: usize) -> Option<u64> {
        Some(self.without_dict? + 8 * names as u64)
    }
}

impl<M: Memory> Reader<'_, M> {
    /// Where an instance keeps its attributes; `None` if its class is not defined in Python or has slots only.
    pub fn storage(&self, object: u64, info: &TypeInfo) -> Option<Storage> {
        if !info.made_in_python || info.is_metatype() {
            return None;
        }
        let (memory, layout) = (self.memory, self.layout());
        let word = |address| memory.u64(address).ok();
        let before = |distance: u64| word(object.wrapping_sub(distance));
        let own = info.header + info.basic_size;
        let (dict, shared_keys, fixed, values) = match (info.attributes, layout.attributes) {
            (Place::At(offset @ 0..), _) => {
                let dict = word(object.wrapping_add_signed(offset))?;
                let head = match dict {
                    0 => 0,
                    dict => {
                        let info = self.type_of(dict).ok()?;
                        info.header + info.basic_size
                    }
                };
                (dict, 0, own + head, Values::InDict)
            }
            (Place::Managed { keys, .. }, Attributes::DictOrValues { dict, .. }) => {
                (before(dict)?, keys, own, Values::Separate)
            }
            (Place::Managed { keys, .. }, Attributes::Tagged { word }) => {
                let dict = before(word)?;
                (if dict & 1 == 1 { 0 } else { dict }, keys, own, Values::Separate)
            }
            (
                Place::Managed { keys, inline: true, .. },
                Attributes::Inline { dict, values, .. },
            ) => {
                let array = at(object, usize::try_from(info.basic_size).ok()?);
                let capacity = memory.u8(at(array, CAPACITY)).ok()?;
                let inline = inline_size(values as u64, capacity.into());
                (before(dict)?, keys, own + inline, Values::Inline)
            }
            _ => return None,
        };
        let (keys, is_own) = match dict {
            0 => (shared_keys, false),
            dict => {
                let is_own = word(at(dict, layout.dict.values))? == 0;
                (word(at(dict, layout.dict.keys))?, is_own)
            }
        };
        Some(Storage { dict, keys, is_own, fixed, values })
    }

    /// Adds the names in a table of keys, by their addresses, to `names`, until these are more than `most`.
    pub fn add_names(&self, keys: u64, most: usize, names: &mut Vec<u64>) {
        let Ok(table) = KeyTable::read(self.memory, self.layout(), keys) else { return };
        for index in 0..table.entries {
            let Ok(name) = table.key_at(self.memory, index) else { return };
            if name != 0 && !names.contains(&name) {
                names.push(name);
            }
            if names.len() > most {
                return;
            }
        }
    }
}
