//! Paths along references that read like Python.
//!
//! Between two objects that a programmer sees as connected there are objects that only the interpreter needs:
//! the dict of an instance, the tuple and the cell of a closure, the frame of a generator. A path leaves them
//! out.

use super::edges::Role;
use super::links::{Link, short_text, tuple_item, tuple_length};
use super::reader::Reader;
use crate::memory::Memory;
use crate::python::at;
use crate::python::layout::{CodeLocals, Layout, records};

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How the object before holds this one.
    pub link: Link,
    /// The address of the object that the step leads to.
    pub object: u64,
}

impl<M: Memory> Reader<'_, M> {
    /// The steps along these objects, of which each refers to the next. The first is where the path
    /// begins. It ends early where one does not refer to the next, or cannot be read.
    pub fn path(&self, objects: &[u64]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut rest = objects;
        while let Some((link, taken)) = self.step(rest) {
            rest = rest.get(taken..).unwrap_or_default();
            let Some(object) = rest.first() else { break };
            steps.push(Step { link, object: *object });
        }
        steps
    }

    /// The first step along these objects, and how many of them it takes.
    fn step(&self, objects: &[u64]) -> Option<(Link, usize)> {
        let first = self.role_at(objects, 0)?;
        let second = self.role_at(objects, 1);
        let (memory, layout) = (self.memory, self.layout());
        let together = match (first, second) {
            (Role::Field("__dict__"), Some(Role::Value(key))) => {
                short_text(memory, layout, key).map(Link::Attribute)
            }
            (Role::Field("gi_frame" | "cr_frame" | "ag_frame"), Some(local @ Role::Local(..))) => {
                Link::of(memory, layout, local)
            }
            (Role::Field("__closure__"), Some(Role::Index(index))) => {
                closure_name(memory, layout, *objects.first()?, index).map(Link::Closure)
            }
            (Role::Field("__defaults__"), Some(Role::Index(index))) => {
                default_name(memory, layout, *objects.first()?, index).map(Link::Default)
            }
            (Role::Field("__kwdefaults__"), Some(Role::Value(key))) => {
                short_text(memory, layout, key).map(Link::Default)
            }
            _ => None,
        };
        let (link, taken) = match together {
            Some(link) => (link, 2),
            None => (Link::of(memory, layout, first)?, 1),
        };
        // Variables that functions share are in cells.
        let is_variable = matches!(link, Link::Local(_) | Link::Closure(_));
        let is_cell = self.role_at(objects, taken) == Some(Role::Field("cell_contents"));
        Some((link, if is_variable && is_cell { taken + 1 } else { taken }))
    }

    /// What the object after this one is to it.
    fn role_at(&self, objects: &[u64], number: usize) -> Option<Role> {
        match objects.get(number..)? {
            [parent, child, ..] => self.role(*parent, *child),
            _ => None,
        }
    }

    /// The variable of a function that is at this place in its `__closure__`.
    pub fn closure_variable(&self, function: u64, index: u64) -> Option<Link> {
        closure_name(self.memory, self.layout(), function, index).map(Link::Closure)
    }

    /// The argument of a function whose default value is at this place in its `__defaults__`.
    pub fn default_argument(&self, function: u64, index: u64) -> Option<Link> {
        default_name(self.memory, self.layout(), function, index).map(Link::Default)
    }
}

/// The name of a variable in the closure of a function: they are the last of its code's.
fn closure_name<M: Memory>(
    memory: &M,
    layout: &Layout,
    function: u64,
    index: u64,
) -> Option<String> {
    let code = code_of(memory, layout, function)?;
    let name = match layout.code.locals {
        CodeLocals::Tuples { names: [_, _, free], .. } => {
            let names = memory.u64(at(code, free)).ok()?;
            tuple_item(memory, layout, names, index)?
        }
        CodeLocals::Together { names, .. } => {
            let names = memory.u64(at(code, names)).ok()?;
            let closure =
                tuple_length(memory, layout, field(memory, layout, function, "__closure__")?)?;
            let others = tuple_length(memory, layout, names)?.checked_sub(closure)?;
            tuple_item(memory, layout, names, others.checked_add(index)?)?
        }
    };
    short_text(memory, layout, name)
}

/// The name of an argument that has a default: they are the last of those by position.
fn default_name<M: Memory>(
    memory: &M,
    layout: &Layout,
    function: u64,
    index: u64,
) -> Option<String> {
    let code = code_of(memory, layout, function)?;
    let defaults = field(memory, layout, function, "__defaults__")?;
    let arguments = u64::from(memory.u32(at(code, layout.code.arguments)).ok()?);
    let without = arguments.checked_sub(tuple_length(memory, layout, defaults)?)?;
    let (CodeLocals::Tuples { names: [names, _, _], .. } | CodeLocals::Together { names, .. }) =
        layout.code.locals;
    let names = memory.u64(at(code, names)).ok()?;
    short_text(memory, layout, tuple_item(memory, layout, names, without.checked_add(index)?)?)
}

/// The code of a function.
fn code_of<M: Memory>(memory: &M, layout: &Layout, function: u64) -> Option<u64> {
    field(memory, layout, function, "__code__")
}

/// A field of a function.
fn field<M: Memory>(memory: &M, layout: &Layout, function: u64, name: &str) -> Option<u64> {
    let record = records::find(layout.records, "function")?;
    let field = record.fields.iter().find(|field| field.name == name)?;
    memory.u64(at(function, field.offset)).ok()
}
