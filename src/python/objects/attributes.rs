//! The attributes of instances: in a dict, or in an array of values with keys shared by the class.

use super::edges::{Role, Sink};
use super::keys::KeyTable;
use super::type_info::Place;
use super::view::each;
use super::visit::Visit;
use crate::memory::{Memory, ReadError};
use crate::python::layout::Attributes;

/// `_dictvalues` of 3.11 and 3.12: the byte before the values is the distance from the start of the block to
/// them.
const PREFIX_SIZE: u64 = 1;
/// `_dictvalues.capacity` from 3.13 on: the first byte.
const CAPACITY: usize = 0;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// Emits the attributes, and returns the bytes that they take outside the object and its dict.
    pub fn attributes(&mut self) -> Result<u64, ReadError> {
        let (keys, room, inline) = match self.info.attributes {
            Place::Nowhere => return Ok(0),
            Place::At(offset) => {
                let dict = self.memory.u64(self.dict_pointer(offset)?)?;
                self.sink.reference(dict, Role::Field("__dict__"), true);
                return Ok(0);
            }
            Place::Managed { keys, room, inline } => (keys, room, inline),
        };
        let before = |distance| self.memory.u64(self.view.address().wrapping_sub(distance));
        match self.context.layout.attributes {
            Attributes::Dict => Ok(0),
            Attributes::DictOrValues { dict, values } => match before(dict)? {
                0 => match before(values)? {
                    0 => Ok(0),
                    values => self.separate_values(keys, room, values),
                },
                dict => self.dict_of_instance(dict),
            },
            Attributes::Tagged { word } => match before(word)? {
                word if word & 1 == 1 => self.separate_values(keys, room, word.wrapping_add(1)),
                dict => self.dict_of_instance(dict),
            },
            Attributes::Inline { dict, valid, values } => {
                let dict = before(dict)?;
                if !inline {
                    return self.dict_of_instance(dict);
                }
                let array = usize::try_from(self.info.basic_size).unwrap_or(usize::MAX);
                let field = |offset| array.saturating_add(offset);
                let capacity = u64::from(self.view.u8(field(CAPACITY))?);
                let size = inline_size(values as u64, capacity);
                if dict != 0 {
                    let layout = &self.context.layout.dict;
                    let own = self.memory.u64(dict.wrapping_add(layout.values as u64))?;
                    let counted = if own == self.at(array) { room.saturating_mul(8) } else { 0 };
                    self.dict_of_instance(dict)?;
                    return Ok(size.saturating_sub(counted));
                }
                if self.view.u8(field(valid))? != 0 {
                    self.values(keys, self.at(field(values)), capacity)?;
                }
                Ok(size)
            }
        }
    }

    fn dict_of_instance(&mut self, dict: u64) -> Result<u64, ReadError> {
        self.sink.reference(dict, Role::Field("__dict__"), true);
        Ok(0)
    }

    /// Values in a block of their own.
    fn separate_values(&mut self, keys: u64, room: u64, start: u64) -> Result<u64, ReadError> {
        self.values(keys, start, room)?;
        let prefix = self.memory.u8(start.wrapping_sub(PREFIX_SIZE))?;
        Ok(room.saturating_mul(8).saturating_add(prefix.into()))
    }

    /// Values with the keys of the class.
    fn values(&mut self, keys: u64, start: u64, count: u64) -> Result<(), ReadError> {
        let table = match S::WANTS_ROLES {
            true => KeyTable::read(self.memory, &self.context.layout, keys).ok(),
            false => None,
        };
        let (memory, sink) = (self.memory, &mut *self.sink);
        each(memory, start, count, self.context.extent, |number, [child]| {
            let name = table.and_then(|table| table.key_at(memory, number).ok());
            sink.reference(child, name.map_or(Role::Index(number), Role::Attribute), true);
        })
    }

    /// The address of the dict pointer; a negative offset counts from the end of the object, rounded up to
    /// whole words (up to 3.11).
    fn dict_pointer(&self, offset: i64) -> Result<u64, ReadError> {
        let from = match offset {
            0.. => 0,
            _ => {
                let items = self.info.item_size.saturating_mul(self.length()?);
                let end = self.info.basic_size.saturating_add(items);
                end.checked_next_multiple_of(8).unwrap_or_default()
            }
        };
        Ok(self.view.address().wrapping_add(from).wrapping_add_signed(offset))
    }
}

/// `_PyInlineValuesSize` from 3.13 on: a prefix, the values, and one byte per value for their order.
pub(super) fn inline_size(prefix: u64, capacity: u64) -> u64 {
    let order = (prefix + capacity).next_multiple_of(8);
    order + 8 * capacity
}
