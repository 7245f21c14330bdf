//! References found in an object: addresses of other objects, and their roles.
//!
//! Decoders are written once, for any [`Sink`]. [`Edges`] collects only addresses, as fast as possible; a
//! list of pairs adds the [`Role`] of each; [`Search`] looks for one address and remembers its role,
//! [`SearchSeveral`] for several.

use rustc_hash::FxHashMap;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The objects that an object refers to, by their addresses, in no particular order. An address can
/// appear more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// Those that are shown to the collector (`tp_traverse`): what `gc.get_referents` returns.
    pub shown: Vec<u64>,
    /// Those that the object keeps alive without showing them: the names and constants of a code object, the
    /// text keys of a dict, everything that an object without `tp_traverse` holds.
    pub held: Vec<u64>,
    /// Words of an object of unknown type: those that are addresses of objects may well be references.
    pub candidates: Vec<u64>,
}

impl Edges {
    /// No references yet.
    pub fn new() -> Edges {
        Edges::default()
    }

    /// Forgets all addresses, but keeps the allocated memory.
    pub fn clear(&mut self) {
        self.shown.clear();
        self.held.clear();
        self.candidates.clear();
    }
}

/// The role of an object in the one that refers to it. [`EdgeNames::words`](super::EdgeNames::words)
/// describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A field at a fixed offset.
    Field(&'static str),
    /// An item of a sequence.
    Index(u64),
    /// An element of a set, or of another collection without a meaningful order.
    Element,
    /// A key of a dict.
    Key,
    /// The value of the key at this address.
    Value(u64),
    /// An attribute whose name is the text at this address.
    Attribute(u64),
    /// A slot whose name is the C string at this address.
    Slot(u64),
    /// A local variable of the code at this address, by its number.
    Local(u64, u64),
    /// A value on a frame's evaluation stack.
    Stack,
    /// Its type.
    Type,
    /// A word at this offset in an object of unknown type, or in a module's state.
    Unknown(u64),
}

/// The most field names that are kept, and the longest.
const MOST_FIELDS: usize = 4096;
const LONGEST_FIELD: usize = 128;

impl Role {
    /// The role of a field whose name was read from a file; `None` if there are too many names, or it is too
    /// long.
    pub(crate) fn field(name: &str) -> Option<Role> {
        /// There are few names, and they live as long as the program.
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(Role::Field(known));
        }
        if names.len() >= MOST_FIELDS || name.len() > LONGEST_FIELD {
            return None;
        }
        let name: &'static str = Box::leak(name.into());
        names.insert(name);
        Some(Role::Field(name))
    }

    /// Whether this role is more informative than the other: the first of several roles is taken, unless it
    /// is a mere type or key and another has a name.
    pub fn says_more_than(self, other: Role) -> bool {
        let is_vague =
            |role| matches!(role, Role::Type | Role::Key | Role::Stack | Role::Unknown(_));
        is_vague(other) && !is_vague(self)
    }
}

/// Receives what a decoder finds, but never null.
pub(super) trait Sink {
    /// Whether roles are used; if not, they need not be determined.
    const WANTS_ROLES: bool;

    /// A reference that `tp_traverse` visits.
    fn shown(&mut self, child: u64, role: Role);
    /// A reference that it does not visit.
    fn held(&mut self, child: u64, role: Role);
    /// A word that may be a reference.
    fn candidate(&mut self, word: u64, role: Role);

    /// A reference, visited or not.
    #[inline]
    fn reference(&mut self, child: u64, role: Role, is_shown: bool) {
        match child {
            0 => {}
            child if is_shown => self.shown(child, role),
            child => self.held(child, role),
        }
    }
}

impl Sink for Edges {
    const WANTS_ROLES: bool = false;

    #[inline]
    fn shown(&mut self, child: u64, _role: Role) {
        self.shown.push(child);
    }

    #[inline]
    fn held(&mut self, child: u64, _role: Role) {
        self.held.push(child);
    }

    #[inline]
    fn candidate(&mut self, word: u64, _role: Role) {
        self.candidates.push(word);
    }
}

/// A search for one object among those that another refers to.
pub(super) struct Search {
    wanted: u64,
    /// Its role, once it has been found.
    pub found: Option<Role>,
}

impl Search {
    /// A search for the object at this address.
    pub fn new(wanted: u64) -> Search {
        Search { wanted, found: None }
    }

    fn look_at(&mut self, child: u64, role: Role) {
        let better = self.found.is_none_or(|found| role.says_more_than(found));
        if child == self.wanted && better {
            self.found = Some(role);
        }
    }
}

impl Sink for Search {
    const WANTS_ROLES: bool = true;

    fn shown(&mut self, child: u64, role: Role) {
        self.look_at(child, role);
    }

    fn held(&mut self, child: u64, role: Role) {
        self.look_at(child, role);
    }

    fn candidate(&mut self, word: u64, role: Role) {
        self.look_at(word, role);
    }
}

/// A search for several objects among those that another refers to.
pub(super) struct SearchSeveral {
    /// The role of each, once it has been found.
    pub found: FxHashMap<u64, Option<Role>>,
}

impl SearchSeveral {
    /// A search for the objects at these addresses.
    pub fn new(wanted: &[u64]) -> SearchSeveral {
        SearchSeveral { found: wanted.iter().map(|&address| (address, None)).collect() }
    }

    pub fn look_at(&mut self, child: u64, role: Role) {
        if let Some(found) = self.found.get_mut(&child)
            && found.is_none_or(|found| role.says_more_than(found))
        {
            *found = Some(role);
        }
    }
}

impl Sink for SearchSeveral {
    const WANTS_ROLES: bool = true;

    fn shown(&mut self, child: u64, role: Role) {
        self.look_at(child, role);
    }

    fn held(&mut self, child: u64, role: Role) {
        self.look_at(child, role);
    }

    fn candidate(&mut self, word: u64, role: Role) {
        self.look_at(word, role);
    }
}

/// Everything that an object refers to, with its role. An address can appear more than once.
impl Sink for Vec<(u64, Role)> {
    const WANTS_ROLES: bool = true;

    fn shown(&mut self, child: u64, role: Role) {
        self.push((child, role));
    }

    fn held(&mut self, child: u64, role: Role) {
        self.push((child, role));
    }

    fn candidate(&mut self, word: u64, role: Role) {
        self.push((word, role));
    }
}
