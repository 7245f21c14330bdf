//! The links between the objects of a heap, as kept in a snapshot file.
//!
//! Roles are kept by edge, as short codes: most are a field or an attribute that thousands of objects have,
//! the next index of a sequence, or the value for a key of a dict. Words are kept for objects that may be
//! keys and for those that have names in the interpreter. Nothing else is known about an object.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::heap::graph::object_graph::Graph;
use crate::heap::graph::search::Flow;
use crate::heap::ids::NodeId;
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link, Role, TypeInfo};

/// Codes of roles.
pub(crate) mod code {
    /// The role is unknown.
    pub const NONE: u32 = 0;
    /// The index after that of the previous edge; the first is 0.
    pub const NEXT: u32 = 1;
    /// The value for a key, which is kept separately.
    pub const VALUE: u32 = 2;
    /// The first of the roles in the dictionary.
    pub const FIRST: u32 = 3;
}

/// How many rows share one entry of [`KeptNames::key_starts`].
pub(crate) const KEY_ROWS: usize = 64;

/// The contents of the file.
#[derive(Debug, Default)]
pub(crate) struct KeptNames {
    /// The most that may be shown.
    pub disclosure: Disclosure,
    /// The code of each edge, in the order of the containers.
    pub codes: Vec<u32>,
    /// The keys of the edges with [`code::VALUE`], in the same order; [`NodeId::NONE`] for a key that is not
    /// an object.
    pub keys: Vec<NodeId>,
    /// The number of keys before the edges of every 64th container.
    pub key_starts: Vec<u32>,
    /// The roles with codes of their own, each with its words if those cannot be found without the target's
    /// memory.
    pub roles: Vec<(Role, Option<Link>)>,
    /// The same words by role.
    pub words: FxHashMap<Role, Link>,
    /// For each frame, the objects that it refers to, with codes.
    pub frames: FxHashMap<u64, Vec<(NodeId, u32)>>,
    /// The words for objects as keys.
    pub key_words: Texts<KeyForm>,
    /// The variables of functions.
    pub functions: FxHashMap<NodeId, FunctionNames>,
    /// The functions that objects are or run.
    pub definitions: Definitions,
    /// Reference counts that differ from the references found; `None` for immortal objects.
    pub counts: FxHashMap<NodeId, Option<u64>>,
    /// The values of objects.
    pub values: Texts<()>,
}

/// How a key is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// Only by its type, which the text names.
    Type,
    /// As this text.
    Text,
    /// As this number.
    Number,
}

/// The variables of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FunctionNames {
    pub closure: Vec<Arc<str>>,
    pub defaults: Vec<Arc<str>>,
}

/// The functions that some objects are or run, at their definitions.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    /// The objects, in order.
    pub nodes: Vec<NodeId>,
    /// The index of the function of each.
    pub by: Vec<u32>,
    /// The functions.
    pub functions: Vec<Frame>,
}

impl Definitions {
    fn get(&self, node: NodeId) -> Option<&Frame> {
        let index = self.nodes.binary_search(&node).ok()?;
        self.functions.get(*self.by.get(index)? as usize)
    }
}

/// The texts of some objects.
#[derive(Debug)]
pub(crate) struct Texts<F> {
    /// The objects, in order.
    pub nodes: Vec<NodeId>,
    /// The form of each text.
    pub forms: Vec<F>,
    /// Where each text ends.
    pub ends: Vec<u32>,
    /// All texts, one after the other.
    pub text: Vec<u8>,
}

impl<F> Default for Texts<F> {
    fn default() -> Self {
        Texts { nodes: Vec::new(), forms: Vec::new(), ends: Vec::new(), text: Vec::new() }
    }
}

impl<F: Copy> Texts<F> {
    fn get(&self, node: NodeId) -> Option<(F, String)> {
        let index = self.nodes.binary_search(&node).ok()?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let text = self.text.get(start as usize..*self.ends.get(index)? as usize)?;
        Some((*self.forms.get(index)?, String::from_utf8_lossy(text).into_owned()))
    }
}

/// The links that a file has kept for this graph.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    pub(crate) names: &'a KeptNames,
    pub(crate) graph: &'a Graph,
}

impl Kept<'_> {
    /// Where the keys of a container begin.
    fn first_key(&self, row: usize) -> usize {
        let start = self.names.key_starts.get(row / KEY_ROWS).map_or(0, |&start| start as usize);
        let first = row / KEY_ROWS * KEY_ROWS;
        let edges = |row| self.graph.edges_of_row(row);
        let before = edges(first).start..edges(row).start;
        let codes = self.names.codes.get(before).unwrap_or_default();
        start + codes.iter().filter(|&&code| code == code::VALUE).count()
    }

    /// The role with this code of its own.
    fn role_of_code(&self, code: u32) -> Option<Role> {
        let index = code.checked_sub(code::FIRST)? as usize;
        self.names.roles.get(index).map(|(role, _)| *role)
    }

    /// The words for an object as a key.
    fn key(&self, key: u64) -> Option<(KeyForm, String)> {
        self.names.key_words.get(self.graph.node(key)?)
    }

    fn function(&self, function: u64) -> Option<&FunctionNames> {
        self.names.functions.get(&self.graph.node(function)?)
    }
}

impl EdgeNames for Kept<'_> {
    fn roles(&self, object: u64, found: &mut Vec<(u64, Role)>) {
        let Some(node) = self.graph.node(object).filter(|&node| node < self.graph.first_leaf())
        else {
            return;
        };
        let Some(row) = self.graph.object_index(node) else { return };
        let edges = self.graph.edges_of_row(row);
        let codes = self.names.codes.get(edges).unwrap_or_default();
        let mut keys = None;
        let mut next = 0;
        for (&target, &code) in self.graph.successors(node).iter().zip(codes) {
            let Some(address) = self.graph.address(target) else { continue };
            let role = match code {
                code::NONE => continue,
                code::NEXT => Role::Index(next),
                code::VALUE => {
                    let place = keys.get_or_insert_with(|| self.first_key(row));
                    let key = self.names.keys.get(*place).copied();
                    *place += 1;
                    let address = key.and_then(|key| self.graph.address(key));
                    Role::Value(address.unwrap_or_default())
                }
                code => match self.role_of_code(code) {
                    Some(role) => role,
                    None => continue,
                },
            };
            if let Role::Index(index) = role {
                next = index.saturating_add(1);
            }
            found.push((address, role));
        }
    }

    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>) {
        for &(node, code) in self.names.frames.get(&frame).into_iter().flatten() {
            let address = self.graph.address(node);
            found.extend(address.zip(self.role_of_code(code)));
        }
    }

    fn words(&self, role: Role) -> Option<Link> {
        if let Some(link) = role.plain_words() {
            return Some(link);
        }
        match role {
            Role::Value(key) => Some(match self.key(key)? {
                (KeyForm::Type, text) => Link::KeyOf(text),
                (KeyForm::Text, text) => Link::text_key(&text),
                (KeyForm::Number, text) => Link::Key(text),
            }),
            Role::Attribute(name) => match self.names.words.get(&role) {
                Some(link) => Some(link.clone()),
                None => match self.key(name)? {
                    (KeyForm::Text, text) => Some(Link::Attribute(text)),
                    _ => None,
                },
            },
            role => self.names.words.get(&role).cloned(),
        }
    }

    fn closure_variable(&self, function: u64, index: u64) -> Option<Link> {
        let name = self.function(function)?.closure.get(usize::try_from(index).ok()?)?;
        Some(Link::Closure(name.to_string()))
    }

    fn default_argument(&self, function: u64, index: u64) -> Option<Link> {
        let name = self.function(function)?.defaults.get(usize::try_from(index).ok()?)?;
        Some(Link::Default(name.to_string()))
    }

    fn preview(&self, object: u64) -> Option<String> {
        self.names.values.get(self.graph.node(object)?).map(|(_, text)| text)
    }

    fn defined(&self, object: u64) -> Option<Frame> {
        self.names.definitions.get(self.graph.node(object)?).cloned()
    }

    fn may_be_defined(&self, _: &TypeInfo) -> bool {
        !self.names.definitions.nodes.is_empty()
    }

    fn counted(&self, object: u64, found: u64) -> Option<u64> {
        let node = self.graph.node(object)?;
        self.names.counts.get(&node).copied().unwrap_or(Some(found))
    }

    fn most_disclosed(&self) -> Disclosure {
        self.names.disclosure
    }
}
