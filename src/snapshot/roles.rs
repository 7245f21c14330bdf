//! The names of references: roles with codes of their own, keys, variables of functions; and those of functions.

use rustc_hash::FxHashMap;

use super::columns;
use super::container::{Column, Encoding, FileError, Writer};
use super::records::RoleRecord;
use super::write::json;
use crate::heap::Graph;
use crate::heap::ids::NodeId;
use crate::heap::names::kept::code;
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link, Role, can_be_defined};

/// The maximum number of a function's variables of one kind.
const MOST_VARIABLES: u64 = 255;

/// The roles with codes of their own.
#[derive(Debug, Default)]
pub(super) struct Roles {
    codes: FxHashMap<Role, u32>,
    roles: Vec<Role>,
}

impl Roles {
    /// The code of a role, which gets one if it has none yet.
    pub fn code(&mut self, role: Role) -> u32 {
        let next = code::FIRST + self.roles.len() as u32;
        *self.codes.entry(role).or_insert_with(|| {
            self.roles.push(role);
            next
        })
    }

    /// The roles, in the order of their codes.
    pub fn records(&self, names: impl EdgeNames) -> Vec<RoleRecord> {
        self.roles.iter().map(|&role| RoleRecord::of(role, names.words(role))).collect()
    }
}

/// The functions that have closure variables or default values.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// In order.
    nodes: Vec<NodeId>,
}

impl Functions {
    /// Adds a function, unless it was the last one added.
    pub fn add(&mut self, node: NodeId) {
        if self.nodes.last() != Some(&node) {
            self.nodes.push(node);
        }
    }

    /// Writes their variables.
    pub fn write(
        &self,
        out: &mut Writer,
        graph: &Graph,
        names: impl EdgeNames,
    ) -> Result<(), FileError> {
        let nodes = self.nodes.iter().map(|node| u64::from(node.0));
        out.numbers(columns::FUNCTION_NODE, Encoding::Differences, nodes)?;
        let mut counts = [
            Column::new(columns::FUNCTION_CLOSURE, Encoding::Numbers)?,
            Column::new(columns::FUNCTION_DEFAULTS, Encoding::Numbers)?,
        ];
        let mut places = Column::new(columns::FUNCTION_NAME, Encoding::Numbers)?;
        let mut lengths = Column::new(columns::NAME_LENGTH, Encoding::Numbers)?;
        let mut texts = Column::new(columns::NAME_TEXT, Encoding::Bytes)?;
        let mut known: FxHashMap<String, u64> = FxHashMap::default();
        for &node in &self.nodes {
            let function = graph.address(node).unwrap_or_default();
            let variable = |index| match names.closure_variable(function, index)? {
                Link::Closure(name) => Some(name),
                _ => None,
            };
            let argument = |index| match names.default_argument(function, index)? {
                Link::Default(name) => Some(name),
                _ => None,
            };
            let found: [Vec<String>; 2] = [
                (0..MOST_VARIABLES).map_while(variable).collect(),
                (0..MOST_VARIABLES).map_while(argument).collect(),
            ];
            for (count, found) in counts.iter_mut().zip(found) {
                count.push(found.len() as u64)?;
                for name in found {
                    let next = known.len() as u64;
                    let place = match known.get(&name) {
                        Some(place) => *place,
                        None => {
                            lengths.push(name.len() as u64)?;
                            texts.extend(name.as_bytes())?;
                            known.insert(name, next);
                            next
                        }
                    };
                    places.push(place)?;
                }
            }
        }
        for column in counts.into_iter().chain([places, lengths, texts]) {
            out.add(column)?;
        }
        Ok(())
    }
}

/// Writes which functions objects are or run.
pub(super) fn write_definitions(
    out: &mut Writer,
    graph: &Graph,
    names: impl EdgeNames,
) -> Result<(), FileError> {
    let mut nodes = Column::new(columns::DEFINED_NODE, Encoding::Differences)?;
    let mut by = Column::new(columns::DEFINED_BY, Encoding::Numbers)?;
    let mut functions = Vec::new();
    let mut known: FxHashMap<Frame, u64> = FxHashMap::default();
    for node in graph.objects().filter(|&node| graph.type_info(node).is_some_and(can_be_defined)) {
        let address = graph.address(node);
        let Some(function) = address.and_then(|object| names.defined(object)) else { continue };
        let next = functions.len() as u64;
        let index = *known.entry(function).or_insert_with_key(|function| {
            functions.push(function.clone());
            next
        });
        nodes.push(node.0.into())?;
        by.push(index)?;
    }
    json(out, columns::DEFINITIONS, &functions)?;
    out.add(nodes)?;
    out.add(by)
}

/// Writes the words for objects as keys: of those that may not be shown, only the types.
pub(super) fn write_keys(
    out: &mut Writer,
    graph: &Graph,
    names: impl EdgeNames,
    keys: impl Iterator<Item = NodeId>,
    is_told: impl Fn(NodeId) -> bool,
) -> Result<(), FileError> {
    let mut nodes = Column::new(columns::KEY_NODE, Encoding::Differences)?;
    let mut forms = Column::new(columns::KEY_FORM, Encoding::Numbers)?;
    let mut lengths = Column::new(columns::KEY_LENGTH, Encoding::Numbers)?;
    let mut texts = Column::new(columns::KEY_TEXT, Encoding::Bytes)?;
    for node in keys {
        let Some(key) = graph.address(node) else { continue };
        let link = names.words(Role::Value(key));
        let link = if is_told(node) { link } else { link.map(Link::redacted) };
        let (form, text) = match (link, names.attribute(key)) {
            // The text itself, without the quotes of a key.
            (Some(Link::Key(_)), Some(name)) => (1, name),
            (Some(Link::Key(number)), None) => (2, number),
            (Some(Link::KeyOf(kind)), _) => (0, kind),
            _ => continue,
        };
        nodes.push(node.0.into())?;
        forms.push(form)?;
        lengths.push(text.len() as u64)?;
        texts.extend(text.as_bytes())?;
    }
    for column in [nodes, forms, lengths, texts] {
        out.add(column)?;
    }
    Ok(())
}

/// Writes the values of objects, if values may be shown.
pub(super) fn write_values(
    out: &mut Writer,
    graph: &Graph,
    names: impl EdgeNames,
    disclosure: Disclosure,
) -> Result<(), FileError> {
    let mut nodes = Column::new(columns::VALUE_NODE, Encoding::Differences)?;
    let mut lengths = Column::new(columns::VALUE_LENGTH, Encoding::Numbers)?;
    let mut texts = Column::new(columns::VALUE_TEXT, Encoding::Bytes)?;
    for node in graph.objects().filter(|_| disclosure == Disclosure::Values) {
        let address = graph.address(node);
        let Some(text) = address.and_then(|object| names.preview(object)) else { continue };
        nodes.push(node.0.into())?;
        lengths.push(text.len() as u64)?;
        texts.extend(text.as_bytes())?;
    }
    for column in [nodes, lengths, texts] {
        out.add(column)?;
    }
    Ok(())
}
