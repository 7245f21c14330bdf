//! References at fixed offsets in objects of the interpreter's own types: one record per C type, and one list
//! of records per minor version with only what is new or changed in it.
//!
//! A type's objects have the fields of its own record and of its bases' records. A reference is *shown* if
//! the type's `tp_traverse` visits it, so that `gc.get_referents` returns it; other references are only
//! *held*. A field has Python's name where there is one.

pub mod v3_10;
pub mod v3_11;
pub mod v3_12;
pub mod v3_13;
pub mod v3_14;
pub mod v3_15;
pub mod v3_8;
pub mod v3_9;

/// The references at fixed offsets in objects of one C type.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// `tp_name`.
    pub name: &'static str,
    /// The references.
    pub fields: &'static [Field],
}

/// A reference at a fixed offset, which may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Python's name for it, or else C's.
    pub name: &'static str,
    /// Its offset, in bytes.
    pub offset: usize,
    /// Whether `tp_traverse` visits it.
    pub shown: bool,
}

/// The records of a version: its own, then those of each version before it.
pub type Records = &'static [&'static [Record]];

/// The record of a C type, if it has one.
pub fn find(records: Records, name: &str) -> Option<&'static Record> {
    records.iter().copied().flatten().find(|record| record.name == name)
}

const fn record(name: &'static str, fields: &'static [Field]) -> Record {
    Record { name, fields }
}

const fn shown(name: &'static str, offset: usize) -> Field {
    Field { name, offset, shown: true }
}

const fn held(name: &'static str, offset: usize) -> Field {
    Field { name, offset, shown: false }
}
