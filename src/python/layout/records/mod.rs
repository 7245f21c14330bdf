//! References at fixed offsets in objects of the interpreter's own types: one record per C type, one list of
//! records per minor version, each with only what is new or different in it.
//!
//! A type's objects have the fields of its own record and of those of its bases. A reference is
//! *shown* if the type's `tp_traverse` visits it, so that `gc.get_referents` tells it; others are only
//! *held*. Where Python has a name for a field, the field goes by that.

pub mod v3_10;
pub mod v3_11;
pub mod v3_12;
pub mod v3_13;
pub mod v3_14;
pub mod v3_15;
pub mod v3_8;
pub mod v3_9;

/// The references at fixed places in objects of one C type.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// `tp_name`.
    pub name: &'static str,
    /// The references.
    pub fields: &'static [Field],
}

/// A reference at a fixed place, which may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Python's name for it, or else C's.
    pub name: &'static str,
    /// Where it is, in bytes.
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
