//! The size limit of a collection, where it or its owner has one.
//!
//! A deque and a `functools.lru_cache` have an exact field for it. A program's own collection may have an
//! attribute with a telling name, which is a guess.

use super::edge_names::EdgeNames;
use super::edges::Role;
use super::links::Link;
use super::reader::Reader;
use super::type_info::{Body, Place};
use super::values::small_int;
use crate::memory::Memory;
use crate::python::at;

/// Endings of attribute names that mean a size limit, in lower case and without underscores.
const NAMES: [&str; 7] =
    ["maxlen", "maxlength", "maxsize", "maxentries", "maxitems", "maxcount", "capacity"];

/// The size limit of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The most items that it will hold.
    pub limit: u64,
    /// The field or attribute that has the limit.
    pub name: String,
    /// Whether the limit is certain, not guessed from a name.
    pub is_certain: bool,
}

impl<M: Memory> Reader<'_, M> {
    /// The size limit of a collection according to `owner`, which may be the collection itself; `None` if
    /// `owner` has none, or does not own the collection.
    pub fn bound(&self, owner: u64, collection: u64) -> Option<Bound> {
        let info = self.type_of(owner).ok()?;
        let body = info.body;
        // A plain dict or list, which may have millions of items, has no attributes.
        let has_attributes = info.attributes != Place::Nowhere || !info.slots.is_empty();
        let objects = self.layout().objects;
        let is_own = owner == collection
            || body == Body::LruCache && self.role(owner, collection) == Some(Role::Field("cache"));
        let (offset, name) = match body {
            Body::Deque if is_own => (objects.deque.max_length, "maxlen"),
            Body::LruCache if is_own => (objects.lru_cache.max_size, "maxsize"),
            // The limits of these are not about the collection.
            Body::Deque | Body::LruCache | Body::Type | Body::Module => return None,
            _ if has_attributes => return self.bound_by_name(owner, collection),
            _ => return None,
        };
        // -1 means no limit.
        let limit = u64::try_from(self.memory.u64(at(owner, offset)).ok()? as i64).ok()?;
        Some(Bound { limit, name: name.to_owned(), is_certain: true })
    }

    /// The limit in an attribute of the owner, if the collection is another of its attributes.
    fn bound_by_name(&self, owner: u64, collection: u64) -> Option<Bound> {
        let attributes = self.attributes(owner);
        if owner != collection && attributes.iter().all(|(value, _)| *value != collection) {
            return None;
        }
        attributes.into_iter().find_map(|(value, role)| {
            let Link::Attribute(name) = self.words(role)? else { return None };
            let is_int = self.type_of(value).is_ok_and(|info| info.name == "int");
            if !is_name(&name) || !is_int {
                return None;
            }
            let limit = small_int(self.memory, self.layout(), value).ok()??;
            (limit > 0).then_some(Bound { limit, name, is_certain: false })
        })
    }

    /// The attributes of an instance, wherever it keeps them.
    fn attributes(&self, object: u64) -> Vec<(u64, Role)> {
        let mut found = Vec::new();
        self.roles(object, &mut found);
        let dict = found.iter().find(|(_, role)| *role == Role::Field("__dict__"));
        let mut inside = Vec::new();
        if let Some(&(dict, _)) = dict {
            self.roles(dict, &mut inside);
        }
        found.retain(|(_, role)| matches!(role, Role::Attribute(_) | Role::Slot(_)));
        found.extend(inside.into_iter().filter_map(|(value, role)| match role {
            Role::Value(name) => Some((value, Role::Attribute(name))),
            _ => None,
        }));
        found
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
