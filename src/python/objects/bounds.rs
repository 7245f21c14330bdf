//! The most that a collection will hold, where it or its owner says so.
//!
//! A deque and a `functools.lru_cache` have a field for it, which is exact. A collection of the program's
//! own has an attribute that is mostly called alike: that is a guess by its name.

use super::decoder::Decoder;
use super::edges::Role;
use super::kinds::Body;
use super::values::{small_int, string, type_of};
use crate::memory::Memory;
use crate::python::at;

/// How attributes end that say how much an object will hold, in lower case and without underscores.
const NAMES: [&str; 7] =
    ["maxlen", "maxlength", "maxsize", "maxentries", "maxitems", "maxcount", "capacity"];

/// The most that a collection will hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// So many things.
    pub limit: u64,
    /// The field or attribute that says so.
    pub name: String,
    /// Whether that is certain, and not guessed by a name.
    pub is_certain: bool,
}

impl Decoder {
    /// The most that an object, or a collection that it owns, will hold; `None` if it does not say, or has
    /// no bound.
    pub fn bound<M: Memory>(&mut self, memory: &M, object: u64) -> Option<Bound> {
        let kind = type_of(memory, self.layout(), object).ok()?;
        let id = self.type_at(memory, kind).ok()?;
        let (kind, layout) = (self.kind(id)?, &self.layout().objects);
        let (offset, name) = match kind.body {
            Body::Deque => (layout.deque.max_length, "maxlen"),
            Body::LruCache => (layout.lru_cache.max_size, "maxsize"),
            // What they say is about other things.
            Body::Type | Body::Module => return None,
            _ => return self.bound_by_name(memory, object),
        };
        // Without a bound it is -1.
        let limit = u64::try_from(memory.u64(at(object, offset)).ok()? as i64).ok()?;
        Some(Bound { limit, name: name.to_owned(), is_certain: true })
    }

    /// By an attribute.
    fn bound_by_name<M: Memory>(&mut self, memory: &M, object: u64) -> Option<Bound> {
        let mut found = Vec::new();
        self.roles(memory, object, &mut found);
        let dicts: Vec<u64> = found
            .iter()
            .filter(|(_, role)| *role == Role::Field("__dict__"))
            .map(|(dict, _)| *dict)
            .collect();
        let has_attributes = !dicts.is_empty()
            || found.iter().any(|(_, role)| matches!(role, Role::Attribute(_) | Role::Slot(_)));
        if !has_attributes {
            return None;
        }
        for dict in dicts {
            self.roles(memory, dict, &mut found);
        }
        found.into_iter().find_map(|(value, role)| {
            let (Role::Attribute(name) | Role::Value(name)) = role else { return None };
            let name = string(memory, self.layout(), name).ok().filter(|name| is_name(name))?;
            let kind = type_of(memory, self.layout(), value).ok()?;
            let is_int = self.known_type(kind).is_some_and(|kind| kind.name == "int");
            let limit = small_int(memory, self.layout(), value).ok()?.filter(|_| is_int)?;
            (limit > 0).then_some(Bound { limit, name, is_certain: false })
        })
    }
}

fn is_name(name: &str) -> bool {
    let name: String = name.to_lowercase().chars().filter(|it| *it != '_').collect();
    NAMES.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_of_bounds_are_known() {
        for name in ["maxlen", "_max_size", "_Cache__maxsize", "MAX_ENTRIES", "capacity"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["size", "max", "maxsize_of", "timeout", ""] {
            assert!(!is_name(name), "{name}");
        }
    }
}
