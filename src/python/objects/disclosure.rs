//! How much of a program's data is disclosed besides names.

use super::edges::Role;
use super::links::Link;
use super::reader::Reader;
use crate::memory::Memory;

/// How much is told of keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// No key of a dict, and no value.
    Names,
    /// Keys that may be names: short text, and small numbers. No value.
    #[default]
    Keys,
    /// All keys and values, shortened.
    Values,
}

impl<M: Memory> Reader<'_, M> {
    /// The words for a role, with as much of a key as may be told.
    pub fn disclosed(&self, role: Role, disclosure: Disclosure) -> Option<Link> {
        let link = self.words(role)?;
        Some(match (disclosure, role, link) {
            (Disclosure::Names, _, link) => link.redacted(),
            (Disclosure::Values, Role::Value(key), Link::KeyOf(kind)) => {
                self.preview(key).map_or(Link::KeyOf(kind), Link::Key)
            }
            (_, _, link) => link,
        })
    }

    /// An object's value, shortened, if values may be told and it has one.
    pub fn value(&self, object: u64, disclosure: Disclosure) -> Option<String> {
        match disclosure {
            Disclosure::Values => self.preview(object),
            Disclosure::Names | Disclosure::Keys => None,
        }
    }
}
