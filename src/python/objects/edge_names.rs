//! What the objects of a heap are to each other, in Python's words, wherever that is known from.
//!
//! [`EdgeNames`] is what the analyses ask. A [`Reader`] answers out of captured memory; a snapshot file, in which
//! there is no memory, has kept the answers. What follows from them (the words for a whole path, how much of
//! a key may be told) is written here once, so that both say the same.

use std::fmt;

use super::disclosure::Disclosure;
use super::edges::{Role, Search, SearchSeveral};
use super::links::Link;
use super::previews::LEVELS;
use super::reader::Reader;
use super::reference_count::ReferenceCount;
use super::steps::{Step, closure_name, default_name};
use super::visit::Visit;
use crate::memory::Memory;

/// What the objects of a heap are to each other. Objects are called by their addresses.
pub trait EdgeNames: fmt::Debug {
    /// Adds everything that an object refers to, with its role, to `found`. Of an object that cannot be
    /// read to its end that is what could be. An object that is referred to several times is there as often,
    /// its roles in the order in which they are found; other than that the order means nothing.
    fn roles(&self, object: u64, found: &mut Vec<(u64, Role)>);

    /// Adds everything that a frame of a thread's stack refers to, with its role, to `found`.
    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>);

    /// The words for a role, with keys that may be names: short text and small numbers.
    fn words(&self, role: Role) -> Option<Link>;

    /// The variable of a function that is at this place in its `__closure__`.
    fn closure_variable(&self, function: u64, index: u64) -> Option<Link>;

    /// The argument of a function whose default value is at this place in its `__defaults__`.
    fn default_argument(&self, function: u64, index: u64) -> Option<Link>;

    /// An object's value, shortened; `None` if it is of a type that has none to show, or values are not known.
    fn preview(&self, object: u64) -> Option<String>;

    /// An object's reference count; `None` for one that is immortal. `found` is how many references to it
    /// there are in objects and frames: a file keeps the counts that are others.
    fn counted(&self, object: u64, found: u64) -> Option<u64>;

    /// How much may be told at most: what was not to be told when a file was written is not told later.
    fn most_disclosed(&self) -> Disclosure {
        Disclosure::Values
    }

    /// What one object is to another that refers to it.
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

    /// How one object refers to another, with as much of a key as may be told; `None` where it does not,
    /// or cannot be read.
    fn link(&self, parent: u64, child: u64, disclosure: Disclosure) -> Option<Link> {
        self.disclosed(self.role(parent, child)?, disclosure)
    }

    /// [`link`](Self::link) to each of several objects, in one walk over what the first refers to.
    fn links(&self, parent: u64, children: &[u64], disclosure: Disclosure) -> Vec<Option<Link>> {
        let roles = self.roles_of(parent, children);
        roles.into_iter().map(|role| self.disclosed(role?, disclosure)).collect()
    }

    /// What each of several objects is to another, in one walk over what that refers to.
    fn roles_of(&self, parent: u64, children: &[u64]) -> Vec<Option<Role>> {
        let mut search = SearchSeveral::new(children);
        let mut found = Vec::new();
        self.roles(parent, &mut found);
        for (object, role) in found {
            search.look_at(object, role);
        }
        children.iter().map(|child| search.found.get(child).copied().flatten()).collect()
    }

    /// The words for a role, with as much of a key as may be told.
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

    /// An object's value, shortened, if values may be told and it has one.
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

    /// The steps along these objects, of which each refers to the next. The first is where the path
    /// begins. It ends early where one does not refer to the next, or cannot be read.
    ///
    /// Between what a programmer sees as holder and held there are objects that only the interpreter needs:
    /// the dict of an instance, the tuple and the cell of a closure, the frame of a generator. A path leaves
    /// them out.
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

/// The first step along these objects, and how many of them it takes.
fn step<N: EdgeNames + ?Sized>(names: &N, objects: &[u64]) -> Option<(Link, usize)> {
    // What the object after this one is to it.
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
    // Variables that functions share are in cells.
    let is_variable = matches!(link, Link::Local(_) | Link::Closure(_));
    let is_cell = role_at(taken) == Some(Role::Field("cell_contents"));
    Some((link, if is_variable && is_cell { taken + 1 } else { taken }))
}

/// Of all roles of an object the one that says most.
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
        // What was found before something unreadable counts.
        let _ = Visit::of(self.memory, &self.types.context, info, parent, &mut search);
        search.found
    }

    fn roles_of(&self, parent: u64, children: &[u64]) -> Vec<Option<Role>> {
        let mut search = SearchSeveral::new(children);
        if let Ok(info) = self.type_of(parent) {
            // What was found before something unreadable counts.
            let _ = Visit::of(self.memory, &self.types.context, info, parent, &mut search);
        }
        children.iter().map(|child| search.found.get(child).copied().flatten()).collect()
    }

    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>) {
        // What was found before something unreadable counts.
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
        self.preview_to(object, LEVELS)
    }

    fn counted(&self, object: u64, _found: u64) -> Option<u64> {
        match self.reference_count(object).ok()? {
            ReferenceCount::Counted(count) => Some(count),
            ReferenceCount::Immortal => None,
        }
    }
}
