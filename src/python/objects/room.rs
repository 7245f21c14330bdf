//! The room that a container takes, and the room that it would take if it were made anew from its items.
//!
//! Containers grow ahead of their items and seldom shrink:
//!
//! | | made anew | grows |
//! |---|---|---|
//! | `list` | `items[:]` has room for its items only | by an eighth |
//! | `bytearray` | `bytearray(data)` has its bytes and one more (up to 3.14) | by an eighth |
//! | `dict` | the smallest power of two of which two thirds hold the entries, at least 8; none for no entry | when two thirds are used, to twice the size; keeps its table when entries go |
//! | `set` | `set(items)`: the smallest power of two above twice the number of elements, or the 8 places in the object for up to 4 | when three fifths are used, to four times the elements; keeps its table too |

use super::keys::{KeyTable, table_size};
use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use crate::memory::Memory;
use crate::python::at;

/// Bytes of an entry of a set.
const SET_ENTRY: u64 = 16;
/// `PySet_MINSIZE`, and the most elements that a set made anew keeps in the object itself.
const SMALL_SET: u64 = 8;
const FEW_ELEMENTS: u64 = 4;

/// A kind of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKind {
    /// `list`.
    List,
    /// `bytearray`.
    ByteArray,
    /// `dict`, with a table of its own.
    Dict,
    /// `set` and `frozenset`.
    Set,
}

/// The room of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its kind.
    pub kind: RoomKind,
    /// How many items it has.
    pub used: u64,
    /// How many it has room for.
    pub room: u64,
    /// The bytes that it would save to make it anew.
    pub spare: u64,
}

impl TypeInfo {
    /// Whether its objects are containers that may have more room than they need.
    pub fn has_room(&self) -> bool {
        matches!(self.body, Body::List | Body::ByteArray | Body::Dict | Body::Set)
    }

    /// Whether its objects are lists.
    pub fn is_list(&self) -> bool {
        self.body == Body::List
    }
}

impl<M: Memory> Reader<'_, M> {
    /// The room of a container; `None` for other objects, and where it cannot be read.
    pub fn room(&self, object: u64, info: &TypeInfo) -> Option<Room> {
        let (memory, layout) = (self.memory, self.layout());
        let word = |offset| memory.u64(at(object, offset)).ok();
        match info.body {
            Body::List => {
                let (used, room) =
                    (word(layout.object.size)?, word(layout.objects.list.allocated)?);
                // While a list is sorted its room is -1.
                let spare = (room as i64 >= 0).then(|| room.saturating_sub(used))?;
                let spare = spare.saturating_mul(8);
                Some(Room { kind: RoomKind::List, used, room, spare })
            }
            Body::ByteArray => {
                let bytearray = &layout.objects.bytearray;
                let (used, room) = (word(layout.object.size)?, word(bytearray.allocated)?);
                let ending = u64::from(!bytearray.is_in_bytes && used > 0);
                let spare = room.saturating_sub(used.saturating_add(ending));
                Some(Room { kind: RoomKind::ByteArray, used, room, spare })
            }
            Body::Set => {
                let set = &layout.objects.set;
                let (used, places) = (word(set.used)?, word(set.mask)?.checked_add(1)?);
                if word(set.table)? == at(object, set.small_table) {
                    return None;
                }
                let needed = match used {
                    ..=FEW_ELEMENTS => 0,
                    _ => {
                        let twice = used.checked_mul(2)?.checked_add(1)?;
                        twice.checked_next_power_of_two()?.max(SMALL_SET)
                    }
                };
                let spare = places.saturating_sub(needed).checked_mul(SET_ENTRY)?;
                Some(Room { kind: RoomKind::Set, used, room: places.checked_mul(3)? / 5, spare })
            }
            Body::Dict => {
                if word(layout.dict.values)? != 0 {
                    return None;
                }
                let table = KeyTable::read(memory, layout, word(layout.dict.keys)?).ok()?;
                if table.references != 1 || self.types.context.is_interned(memory, object, &table) {
                    return None;
                }
                let used = word(layout.dict.used)?;
                let needed = table_size(layout, used, table.with_hash)?;
                let spare = table.size.saturating_sub(needed);
                Some(Room { kind: RoomKind::Dict, used, room: table.capacity, spare })
            }
            _ => None,
        }
    }
}
