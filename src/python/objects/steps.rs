//! Steps of paths along references, and the names of variables in a function's tuples.

use super::links::{Link, short_text, tuple_item, tuple_length};
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

/// The name of a variable in the closure of a function: closure variables are the last in its code's names.
pub(super) fn closure_name<M: Memory>(
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

/// The name of an argument that has a default: these are the last of the positional arguments.
pub(super) fn default_name<M: Memory>(
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
