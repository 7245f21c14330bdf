//! `PyDictKeysObject`: the table of a dict's keys, and usually of its values.

use super::view::View;
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::{DictKeysSize, Layout};

/// `dk_kind` of a table whose keys may be of any type (from 3.11 on).
const GENERAL: u8 = 0;
/// The largest plausible index table, in bytes.
const LARGEST_INDEX: u64 = 1 << 40;

/// Bytes of an entry {hash, key, value}, and of an entry {key, value}.
const ENTRY_WITH_HASH: u64 = 24;
const ENTRY: u64 = 16;

/// The head of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyTable {
    /// The number of dicts and types that use it.
    pub references: u64,
    /// The number of entries, deleted ones included.
    pub entries: u64,
    /// Where the entries begin.
    pub first: u64,
    /// Whether they are {hash, key, value}, and not {key, value}.
    pub with_hash: bool,
    /// What says whether keys may be of any type: the kind of table, or (up to 3.10) its lookup function.
    pub lookup: Lookup,
    /// The number of entries that there is room for, according to `dk_usable` and `dk_nentries`.
    pub room: u64,
    /// The number of entries that there is room for, according to the size of the table.
    pub capacity: u64,
    /// The size of the whole table, in bytes.
    pub size: u64,
}

/// What a table says about the type of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// They may be of any type.
    General,
    /// They are text.
    Text,
    /// It depends on this lookup function (up to 3.10).
    Function(u64),
}

impl KeyTable {
    /// Reads the head of the table at this address.
    pub fn read<M: Memory>(
        memory: &M,
        layout: &Layout,
        address: u64,
    ) -> Result<KeyTable, ReadError> {
        let layout = &layout.keys;
        let head = View::new(memory, address, layout.indices)?;
        let implausible = |length| ReadError::Implausible { address, length };
        let (slots, index_bytes, with_hash, lookup) = match layout.size {
            DictKeysSize::Slots { count, lookup } => {
                let slots = head.u64(count)?;
                let index = slots.saturating_mul(index_width(slots));
                (slots, index, true, Lookup::Function(head.u64(lookup)?))
            }
            DictKeysSize::Logarithm { slots, bytes, kind } => {
                let power = |byte: u8| 1_u64.checked_shl(byte.into()).unwrap_or(u64::MAX);
                let general = head.u8(kind)? == GENERAL;
                let lookup = if general { Lookup::General } else { Lookup::Text };
                (power(head.u8(slots)?), power(head.u8(bytes)?), general, lookup)
            }
        };
        if index_bytes > LARGEST_INDEX || slots > LARGEST_INDEX {
            return Err(implausible(index_bytes));
        }
        let entries = head.u64(layout.entries)?;
        let capacity = usable(slots);
        if entries > capacity {
            return Err(implausible(entries));
        }
        let entry_size = if with_hash { ENTRY_WITH_HASH } else { ENTRY };
        let first = at(address, layout.indices).wrapping_add(index_bytes);
        Ok(KeyTable {
            references: head.u64(layout.references)?,
            entries,
            first,
            with_hash,
            lookup,
            room: head.u64(layout.usable)?.saturating_add(entries),
            capacity,
            size: layout.indices as u64 + index_bytes + capacity * entry_size,
        })
    }

    /// The address of an entry's key.
    pub fn key_at<M: Memory>(&self, memory: &M, index: u64) -> Result<u64, ReadError> {
        let (size, key) = if self.with_hash { (ENTRY_WITH_HASH, 8) } else { (ENTRY, 0) };
        let entry = self.first.wrapping_add(index.wrapping_mul(size));
        memory.u64(entry.wrapping_add(key))
    }
}

/// The fewest slots of a table.
const LEAST_SLOTS: u64 = 8;

/// How many entries a table with so many slots has room for (`USABLE_FRACTION`).
fn usable(slots: u64) -> u64 {
    slots * 2 / 3
}

/// The slots of the smallest table for so many entries.
fn slots_for(entries: u64) -> Option<u64> {
    let mut slots = LEAST_SLOTS;
    while usable(slots) < entries {
        slots = slots.checked_mul(2).filter(|&slots| slots <= LARGEST_INDEX)?;
    }
    Some(slots)
}

/// The entries that the smallest table for so many has room for.
pub(super) fn room_for(entries: u64) -> Option<u64> {
    slots_for(entries).map(usable)
}

/// The bytes of the smallest table for so many entries; none for no entry.
pub(super) fn table_size(layout: &Layout, entries: u64, with_hash: bool) -> Option<u64> {
    if entries == 0 {
        return Some(0);
    }
    let slots = slots_for(entries)?;
    let index = slots.checked_mul(index_width(slots))?;
    let entry = if with_hash { ENTRY_WITH_HASH } else { ENTRY };
    Some(layout.keys.indices as u64 + index + usable(slots) * entry)
}

/// Bytes of a slot in a table with so many slots.
fn index_width(slots: u64) -> u64 {
    match slots {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}
