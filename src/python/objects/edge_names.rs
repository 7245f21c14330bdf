//! How the objects of a heap refer to each other, in Python's terms, from memory or from a file.
//!
//! The analyses ask an [`EdgeNames`]. A [`Reader`] answers from captured memory; a snapshot file, which has
//! no memory, keeps the answers. What follows from the answers (the description of a whole path, how much of
//! a key may be disclosed) is implemented here once, so that both give the same results.

use std::fmt;

use super::callables::can_be_defined;
use super::disclosure::Disclosure;
use super::edges::{Role, Search, SearchSeveral};
use super::links::Link;
use super::reader::Reader;
use super::reference_count::ReferenceCount;
use super::steps::{Step, closure_name, default_name};
use super::type_info::TypeInfo;
use super::visit::Visit;
use crate::memory::Memory;
use crate::python::Frame;

/// How the objects of a heap refer to each other. Objects are identified by their addresses.
pub trait EdgeNames: fmt::Debug {
    /// Adds everything that an object refers to, with its role, to `found`. If the object can be read only in
    /// part, the rest is missing. An object that is referred to several times appears as often, with its
    /// roles in the order in which they are found; otherwise the order means nothing.
    fn roles(&self, object: u64, found: &mut Vec<(u64, Role)>);

    /// Adds everything that a frame of a thread's stack refers to, with its role, to `found`.
    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>);

    /// The description of a role, with keys that may be names: short text and small numbers.
    fn words(&self, role: Role) -> Option<Link>;

    /// The variable at this index in the `__closure__` of a function.
    fn closure_variable(&self, function: u64, index: u64) -> Option<Link>;

    /// The argument whose default value is at this index in the `__defaults__` of a function.
    fn default_argument(&self, function: u64, index: u64) -> Option<Link>;

    /// An object's value, shortened; `None` if its type has no value to show, or values are not known.
    fn preview(&self, object: u64) -> Option<String>;

    /// An object's reference count; `None` for an immortal object. `found` is the number of references to it
    /// in objects and frames: a file keeps only the counts that differ from it.
    fn counted(&self, object: u64, found: u64) -> Option<u64>;

    /// The function that an object is or runs, at its definition; `None` where that is not known.
    fn defined(&self, _object: u64) -> Option<Frame> {
        None
    }

    /// Whether objects of this type may be functions, as far as that can be told without looking at them.
    fn may_be_defined(&self, _info: &TypeInfo) -> bool {
        true
    }

    /// The most that may be disclosed: what a file was not allowed to contain is not disclosed later.
    fn most_disclosed(&self) -> Disclosure {
        Disclosure::Values
    }

    /// The role of one object in another that refers to it.
    fn role(&self, parent: u64, child: u64) -> Option<Role> {
        let mut found = Vec::new();
        self.roles(parent, &mut found);
        best(&found, child)
    }

    /// How a frame of a thread's stack refers to an object; `None` where it does not.
    fn frame_link(&self, frame: u64, child: u64) -> Option<Link> {
        let mut found = Vec::new();
        self.frame_roles(frame, &mut found);
        self.words(best(&found, child)?)
    }

    /// How one object refers to another, with as much of a key as may be disclosed; `None` where it does not,
    /// or cannot be read.
    fn link(&self, parent: u64, child: u64, disclosure: Disclosure) -> Option<Link> {
        self.disclosed(self.role(parent, child)?, disclosure)
    }

    /// [`link`](Self::link) to each of several objects, in one walk over the references of `parent`.
    fn links(&self, parent: u64, children: &[u64], disclosure: Disclosure) -> Vec<Option<Link>> {
        let roles = self.roles_of(parent, children);
        roles.into_iter().map(|role| self.disclosed(role?, disclosure)).collect()
    }

    /// The roles of several objects in another, in one walk over its references.
    fn roles_of(&self, parent: u64, children: &[u64]) -> Vec<Option<Role>> {
        let mut search = SearchSeveral::new(children);
        let mut found = Vec::new();
        self.roles(parent, &mut found);
        for (object, role) in found {
            search.look_at(object, role);
        }
        children.iter().map(|child| search.found.get(child).copied().flatten()).collect()
    }

    /// The description of a role, with as much of a key as may be disclosed.
    fn disclosed(&self, role: Role, disclosure: Disclosure) -> Option<Link> {
        let link = self.words(role)?;
        Some(match (disclosure.min(self.most_disclosed()), role, link) {
            (Disclosure::Names, _, link) => link.redacted(),
            (Disclosure::Values, Role::Value(key), Link::KeyOf(kind)) => {
                self.preview(key).map_or(Link::KeyOf(kind), Link::Key)
            }
            (_, _, link) => link,
        })
    }

    /// An object's value, shortened, if values may be disclosed and it has one.
    fn value(&self, object: u64, disclosure: Disclosure) -> Option<String> {
        match disclosure {
            Disclosure::Values => self.preview(object),
            Disclosure::Names | Disclosure::Keys => None,
        }
    }

    /// The text of an object, if it is short enough to be the name of an attribute.
    fn attribute(&self, name: u64) -> Option<String> {
        match self.words(Role::Attribute(name))? {
            Link::Attribute(name) => Some(name),
            _ => None,
        }
    }

    /// The steps along these objects, each of which refers to the next. The path starts at the first object.
    /// It ends early where an object does not refer to the next, or cannot be read.
    ///
    /// Between a holder and the object it holds, as a programmer sees them, there may be objects that only
    /// the interpreter needs: the dict of an instance, the tuple and the cell of a closure, the frame of a
    /// generator. A path leaves them out.
    fn path(&self, objects: &[u64]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut rest = objects;
        while let Some((link, taken)) = step(self, rest) {
            rest = rest.get(taken..).unwrap_or_default();
            let Some(object) = rest.first() else { break };
            steps.push(Step { link, object: *object });
        }
        steps
    }
}

/// The first step along these objects, and how many of them it covers.
fn step<N: EdgeNames + ?Sized>(names: &N, objects: &[u64]) -> Option<(Link, usize)> {
    // The role of the object after this one.
    let role_at = |number: usize| match objects.get(number..)? {
        [parent, child, ..] => names.role(*parent, *child),
        _ => None,
    };
    let first = role_at(0)?;
    let second = role_at(1);
    let together = match (first, second) {
        (Role::Field("__dict__"), Some(Role::Value(key))) => {
            names.attribute(key).map(Link::Attribute)
        }
        (Role::Field("gi_frame" | "cr_frame" | "ag_frame"), Some(local @ Role::Local(..))) => {
            names.words(local)
        }
        (Role::Field("__closure__"), Some(Role::Index(index))) => {
            names.closure_variable(*objects.first()?, index)
        }
        (Role::Field("__defaults__"), Some(Role::Index(index))) => {
            names.default_argument(*objects.first()?, index)
        }
        (Role::Field("__kwdefaults__"), Some(Role::Value(key))) => {
            names.attribute(key).map(Link::Default)
        }
        _ => None,
    };
    let (link, taken) = match together {
        Some(link) => (link, 2),
        None => (names.words(first)?, 1),
    };
    // Variables shared between functions are in cells.
    let is_variable = matches!(link, Link::Local(_) | Link::Closure(_));
    let is_cell = role_at(taken) == Some(Role::Field("cell_contents"));
    Some((link, if is_variable && is_cell { taken + 1 } else { taken }))
}

/// The most informative of all roles of an object.
fn best(found: &[(u64, Role)], child: u64) -> Option<Role> {
    let roles = found.iter().filter(|(object, _)| *object == child).map(|(_, role)| *role);
    roles.reduce(|best, role| if role.says_more_than(best) { role } else { best })
}

impl<M: Memory> EdgeNames for Reader<'_, M> {
    fn roles(&self, object: u64, found: &mut Vec<(u64, Role)>) {
        if let Ok(info) = self.type_of(object) {
            let _ = Visit::of(self.memory, &self.types.context, info, object, found);
        }
    }

    fn role(&self, parent: u64, child: u64) -> Option<Role> {
        let info = self.type_of(parent).ok()?;
        let mut search = Search::new(child);
        // An error ends the search, but what was found before it counts.
        let _ = Visit::of(self.memory, &self.types.context, info, parent, &mut search);
        search.found
    }

    fn roles_of(&self, parent: u64, children: &[u64]) -> Vec<Option<Role>> {
        let mut search = SearchSeveral::new(children);
        if let Ok(info) = self.type_of(parent) {
            // An error ends the search, but what was found before it counts.
            let _ = Visit::of(self.memory, &self.types.context, info, parent, &mut search);
        }
        children.iter().map(|child| search.found.get(child).copied().flatten()).collect()
    }

    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>) {
        // An error ends the search, but what was found before it counts.
        let _ = self.visit_frame(frame, found);
    }

    fn words(&self, role: Role) -> Option<Link> {
        Link::of(self.memory, self.layout(), role)
    }

    fn closure_variable(&self, function: u64, index: u64) -> Option<Link> {
        closure_name(self.memory, self.layout(), function, index).map(Link::Closure)
    }

    fn default_argument(&self, function: u64, index: u64) -> Option<Link> {
        default_name(self.memory, self.layout(), function, index).map(Link::Default)
    }

    fn preview(&self, object: u64) -> Option<String> {
        self.shortened_repr(object)
    }

    fn defined(&self, object: u64) -> Option<Frame> {
        self.definition(object)
    }

    fn may_be_defined(&self, info: &TypeInfo) -> bool {
        can_be_defined(info)
    }

    fn counted(&self, object: u64, _found: u64) -> Option<u64> {
        match self.reference_count(object).ok()? {
            ReferenceCount::Counted(count) => Some(count),
            ReferenceCount::Immortal => None,
        }
    }
}
