//! The names of objects in the live view: role and type.
//!
//! Many objects share a name, so names are cached by their parts, and no text is read or built twice.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::heap::{Analysis, Names, NodeId, ReferenceChain, RootNames};
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link, Role, TypeInfo};

/// What an object that only the interpreter needs says about its referents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// Nothing: it is an ordinary object.
    Plain,
    /// It is the dict of an instance or a class: values are attributes.
    Attributes,
    /// It is the dict of a module: values are global variables.
    Globals,
    /// It is the tuple of cells of the function at this address.
    Closure(u64),
    /// It holds the default values of arguments of the function at this address.
    Defaults(u64),
    /// It holds the default values of keyword-only arguments.
    KeywordDefaults,
    /// It is the cell of a variable that has already been named.
    Cell,
}

/// Where an object is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// With its referrer.
    Hidden(Context),
    /// On a branch with this name.
    Named(Arc<str>, Context),
    /// On a branch for its type, below one with the name of a variable.
    Variable(Arc<str>, Context),
}

/// How an object is held, without its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Only the interpreter needs it.
    Hidden(Context),
    /// As the contents of a cell.
    Contents,
    /// In these words.
    Named(Arc<str>),
    /// By a variable of this name.
    Variable(Arc<str>, Context),
}

/// An object to be named.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its address.
    pub address: Option<u64>,
    /// Its type.
    pub info: Option<&'a TypeInfo>,
    /// Whether it has a name of its own among its siblings.
    pub heavy: bool,
}

/// The names made so far.
#[derive(Debug, Default)]
pub struct Naming {
    indices: bool,
    disclosure: Disclosure,
    types: FxHashMap<u64, Arc<str>>,
    links: FxHashMap<(Context, Role), Arc<str>>,
    together: FxHashMap<(Arc<str>, u64), Arc<str>>,
}

/// The name of the type of cells.
pub const CELL: &str = "cell";
/// The name of an object whose type could not be read.
const UNREADABLE: &str = "(unreadable)";
/// Stands for any index, any key, any place in an object of unknown type.
const ANY: &str = "[…]";
const ANY_FIELD: &str = "C field";

impl Naming {
    /// `indices` says whether a heavy object in a sequence is named by its index, `disclosure` how much of
    /// keys may be shown.
    pub fn new(indices: bool, disclosure: Disclosure) -> Naming {
        Naming { indices, disclosure, ..Naming::default() }
    }

    /// Finds the place of an object by its role in the one at `parent`.
    pub fn place(
        &mut self,
        edges: Names<'_>,
        context: Context,
        parent: u64,
        role: Role,
        object: Object<'_>,
    ) -> Place {
        match self.held(edges, context, parent, role, object) {
            Held::Hidden(context) => Place::Hidden(context),
            Held::Contents => Place::Named(self.kind(edges, object), Context::Plain),
            Held::Named(link) => self.together(edges, link, object),
            Held::Variable(link, context) => Place::Variable(link, context),
        }
    }

    /// How an object is held; the arguments are those of [`place`](Self::place).
    pub fn held(
        &mut self,
        edges: Names<'_>,
        context: Context,
        parent: u64,
        role: Role,
        object: Object<'_>,
    ) -> Held {
        let Object { info, heavy, .. } = object;
        let name = info.map_or("", |info| info.name.as_str());
        let after = match name {
            CELL => Context::Cell,
            _ => Context::Plain,
        };
        match (context, role) {
            (Context::Cell, Role::Field("cell_contents")) => Held::Contents,
            (_, Role::Field("__dict__")) if name == "dict" => Held::Hidden(Context::Attributes),
            (_, Role::Field("__closure__")) => Held::Hidden(Context::Closure(parent)),
            (_, Role::Field("__defaults__")) => Held::Hidden(Context::Defaults(parent)),
            (_, Role::Field("__kwdefaults__")) => Held::Hidden(Context::KeywordDefaults),
            (_, Role::Field("gi_frame" | "cr_frame" | "ag_frame")) => Held::Hidden(Context::Plain),
            (Context::Globals | Context::KeywordDefaults, Role::Value(_))
            | (Context::Closure(_) | Context::Defaults(_), Role::Index(_))
            | (_, Role::Local(..)) => Held::Variable(self.link(edges, context, role), after),
            (Context::Attributes, Role::Value(_)) => Held::Named(self.link(edges, context, role)),
            (_, Role::Value(_)) if !heavy => Held::Named(ANY.into()),
            (_, Role::Index(_)) if !(heavy && self.indices) => Held::Named(ANY.into()),
            (_, Role::Unknown(_)) => Held::Named(ANY_FIELD.into()),
            _ => Held::Named(self.link(edges, Context::Plain, role)),
        }
    }

    /// The name of a type.
    pub fn type_name(&mut self, info: Option<&TypeInfo>) -> Arc<str> {
        match info {
            None => UNREADABLE.into(),
            Some(info) => {
                let name = self.types.entry(info.address);
                Arc::clone(name.or_insert_with(|| info.name.as_str().into()))
            }
        }
    }

    /// The kind of an object: its type, and the function that it is or runs, at its definition.
    pub fn kind(&mut self, edges: Names<'_>, object: Object<'_>) -> Arc<str> {
        let kind = self.type_name(object.info);
        match function(edges, object) {
            Some(function) => format!("{kind} {function}").into(),
            None => kind,
        }
    }

    /// The words of a path from a root, or from an object within a path.
    pub fn lineage(
        &self,
        heap: &Analysis<'_>,
        names: &RootNames,
        nodes: &[NodeId],
    ) -> Vec<Arc<str>> {
        let lineage = ReferenceChain::of(heap, names, nodes, self.disclosure);
        // A root with a branch of its own is not named again.
        let is_inside = nodes.first().is_some_and(|&first| first != NodeId::ROOT);
        let root = Some(lineage.root).filter(|root| !is_inside && !root.is_empty());
        let frame = lineage.frame.map(|frame| frame.to_string());
        root.into_iter().chain(frame).chain(lineage.path).map(Arc::from).collect()
    }

    /// A link and a kind: `.rows list`, `.on_close function Hub.closed (chat.py:20)`.
    fn together(&mut self, edges: Names<'_>, link: Arc<str>, object: Object<'_>) -> Place {
        let name = self.type_name(object.info);
        if let Some(function) = function(edges, object) {
            return Place::Named(format!("{link} {name} {function}").into(), Context::Plain);
        }
        let key = (link, object.info.map_or(0, |info| info.address));
        let text = match self.together.get(&key) {
            Some(text) => Arc::clone(text),
            None => {
                let text: Arc<str> = format!("{} {name}", key.0).into();
                self.together.insert(key, Arc::clone(&text));
                text
            }
        };
        Place::Named(text, Context::Plain)
    }

    /// The words for a role.
    fn link(&mut self, edges: Names<'_>, context: Context, role: Role) -> Arc<str> {
        if let Some(known) = self.links.get(&(context, role)) {
            return Arc::clone(known);
        }
        let name = |key| match edges.words(Role::Attribute(key)) {
            Some(Link::Attribute(name)) => Some(name),
            _ => None,
        };
        let words = match (context, role) {
            (Context::Globals, Role::Value(key)) => name(key),
            (Context::Attributes, Role::Value(key)) => name(key).map(|name| format!(".{name}")),
            (Context::KeywordDefaults, Role::Value(key)) => {
                name(key).map(|name| Link::Default(name).to_string())
            }
            (Context::Closure(function), Role::Index(index)) => {
                edges.closure_variable(function, index).map(|link| link.to_string())
            }
            (Context::Defaults(function), Role::Index(index)) => {
                edges.default_argument(function, index).map(|link| link.to_string())
            }
            _ => {
                let words = edges.disclosed(role, self.disclosure);
                words.map(|link| link.to_string())
            }
        };
        let words: Arc<str> = words.map_or(ANY.into(), Arc::from);
        self.links.insert((context, role), Arc::clone(&words));
        words
    }
}

/// The function that an object is or runs.
fn function(edges: Names<'_>, object: Object<'_>) -> Option<Frame> {
    object.info.filter(|info| edges.may_be_defined(info))?;
    edges.defined(object.address?)
}
