//! What the bytecode of a function loads, stores and deletes, by name and in order.
//!
//! Only as much as shows which code removes from a collection, and from which size on. The interpreter may
//! replace instructions while they are read (from 3.11 on), by others that do the same.

use super::edge_names::EdgeNames;
use super::links::{local, tuple_item, tuple_length};
use super::reader::Reader;
use super::values::{bytes, string};
use crate::memory::Memory;
use crate::python::at;
use crate::python::layout::{CodeLocals, Operation};
use crate::python::lines::line_at;

/// The longest code that is read, in bytes.
const LONGEST_CODE: u64 = 64 << 10;
/// The most constants of a function that are looked at.
const MOST_CONSTANTS: u64 = 10_000;
/// An instruction and its argument, in bytes.
const UNIT: usize = 2;

/// What an instruction does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Loads a variable.
    Load(String),
    /// Loads an attribute or a method of what was loaded before.
    LoadAttribute(String),
    /// Stores to a global variable or an attribute.
    Store(String),
    /// Stores to a local variable.
    StoreLocal(String),
    /// Loads this number.
    Number(f64),
    /// Compares the two values loaded last.
    Compare,
    /// Deletes an item: `del x[y]`.
    DeleteItem,
    /// Anything else.
    Other,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    /// What it does.
    pub action: Action,
    /// Its offset in the code, in bytes.
    pub offset: i32,
}

impl<M: Memory> Reader<'_, M> {
    /// The instructions of a code object; nothing if they cannot be read.
    pub fn instructions(&self, code: u64) -> Vec<Instruction> {
        self.try_instructions(code).unwrap_or_default()
    }

    /// The code of comprehensions, generator expressions and lambdas in a function. (From 3.12 on, most comprehensions
    /// are part of the function's own code.)
    pub fn nested_code(&self, code: u64) -> Vec<u64> {
        let (memory, layout) = (self.memory, self.layout());
        let constants = self.attribute_of(code, "co_consts");
        let count = constants.and_then(|it| tuple_length(memory, layout, it)).unwrap_or_default();
        let items = (0..count.min(MOST_CONSTANTS))
            .filter_map(|it| tuple_item(memory, layout, constants?, it));
        let is_code = |item: &u64| self.type_of(*item).is_ok_and(|info| info.name == "code");
        let is_unnamed = |item: &u64| {
            let name = self.code_place(*item).map(|(name, ..)| name).unwrap_or_default();
            name.rsplit('.').next().is_some_and(|last| last.starts_with('<'))
        };
        items.filter(is_code).filter(is_unnamed).collect()
    }

    /// The line of an instruction of a code object.
    pub fn line_of(&self, code: u64, offset: i32) -> Option<u32> {
        let fields = &self.layout().code;
        let table = self.memory.u64(at(code, fields.line_table)).ok()?;
        let table = bytes(self.memory, self.layout(), table).ok()?;
        let first = self.memory.i32(at(code, fields.first_line)).ok()?;
        line_at(fields.line_format, &table, first, offset)
    }

    /// The name (qualified from 3.11 on), the file and the first line of a code object.
    pub fn code_place(&self, code: u64) -> Option<(String, String, u32)> {
        let (memory, layout) = (self.memory, self.layout());
        let fields = &layout.code;
        let text = |offset| string(memory, layout, memory.u64(at(code, offset)).ok()?).ok();
        let first = u32::try_from(memory.i32(at(code, fields.first_line)).ok()?).ok()?;
        Some((text(fields.name)?, text(fields.filename)?, first))
    }

    fn try_instructions(&self, code: u64) -> Option<Vec<Instruction>> {
        let units = self.code_bytes(code)?;
        let opcodes = self.layout().code.opcodes;
        let mut found = Vec::new();
        let (mut place, mut upper) = (0, 0_u64);
        while let Some(&[opcode, low]) =
            units.get(place..place + UNIT).and_then(|it| it.first_chunk())
        {
            let offset = i32::try_from(place).ok()?;
            place += UNIT * (1 + usize::from(opcodes.caches(opcode)));
            let argument = upper << 8 | u64::from(low);
            upper = 0;
            match opcodes.operation(opcode) {
                Some(Operation::ExtendedArg) => upper = argument & u64::from(u32::MAX),
                operation => self.add_actions(code, operation, argument, |action| {
                    found.push(Instruction { action, offset });
                }),
            }
        }
        Some(found)
    }

    /// The bytes of the instructions.
    fn code_bytes(&self, code: u64) -> Option<Vec<u8>> {
        let (memory, layout) = (self.memory, self.layout());
        match (layout.code.locals, layout.code.instructions) {
            (_, Some(start)) => {
                let units = memory.u64(at(code, layout.object.size)).ok()?;
                let length = units.checked_mul(UNIT as u64).filter(|it| *it <= LONGEST_CODE)?;
                memory.bytes(at(code, start), length, LONGEST_CODE as usize).ok()
            }
            (CodeLocals::Tuples { code: object, .. }, None) => {
                bytes(memory, layout, memory.u64(at(code, object)).ok()?).ok()
            }
            (CodeLocals::Together { .. }, None) => None,
        }
    }

    fn add_actions(
        &self,
        code: u64,
        operation: Option<Operation>,
        argument: u64,
        mut add: impl FnMut(Action),
    ) {
        let opcodes = self.layout().code.opcodes;
        let name = |number| self.name_in(code, "co_names", number).unwrap_or_default();
        let variable = |number| {
            let name = local(self.memory, self.layout(), code, number);
            name.and_then(|it| self.text(it)).unwrap_or_default()
        };
        let pair = || (variable(argument >> 4), variable(argument & 15));
        match operation {
            None | Some(Operation::ExtendedArg) => add(Action::Other),
            Some(Operation::DeleteItem) => add(Action::DeleteItem),
            Some(Operation::Compare) => add(Action::Compare),
            Some(Operation::SmallInt) => add(Action::Number(argument as f64)),
            Some(Operation::Constant) => add(self.constant(code, argument)),
            Some(Operation::StoreName) => add(Action::Store(name(argument))),
            Some(Operation::Name) => add(Action::Load(name(argument))),
            Some(Operation::Global) => add(Action::Load(name(argument >> opcodes.global_shift))),
            Some(Operation::Attribute) => {
                add(Action::LoadAttribute(name(argument >> opcodes.attribute_shift)));
            }
            Some(Operation::StoreLocal) => add(Action::StoreLocal(variable(argument))),
            Some(Operation::Local) => add(Action::Load(variable(argument))),
            Some(Operation::TwoLocals) => {
                let (first, second) = pair();
                add(Action::Load(first));
                add(Action::Load(second));
            }
            Some(Operation::StoreLoad) => {
                let (first, second) = pair();
                add(Action::StoreLocal(first));
                add(Action::Load(second));
            }
            Some(Operation::Cell) => add(Action::Load(variable(self.cell(code, argument)))),
        }
    }

    /// The number of a cell among all variables. Up to 3.10 cells are counted from the end of the other locals.
    fn cell(&self, code: u64, argument: u64) -> u64 {
        match self.layout().code.locals {
            CodeLocals::Together { .. } => argument,
            CodeLocals::Tuples { count, .. } => {
                let others = self.memory.i32(at(code, count)).unwrap_or_default();
                argument.saturating_add(u64::try_from(others).unwrap_or_default())
            }
        }
    }

    /// A text in one of the tuples of a code object.
    fn name_in(&self, code: u64, tuple: &str, number: u64) -> Option<String> {
        self.text(self.item_in(code, tuple, number)?)
    }

    fn item_in(&self, code: u64, tuple: &str, number: u64) -> Option<u64> {
        let tuple = self.attribute_of(code, tuple)?;
        tuple_item(self.memory, self.layout(), tuple, number)
    }

    fn constant(&self, code: u64, number: u64) -> Action {
        let value = self.item_in(code, "co_consts", number);
        value.and_then(|it| self.number(it)).map_or(Action::Other, Action::Number)
    }

    /// The value of an `int` or a `float`.
    pub fn number(&self, object: u64) -> Option<f64> {
        let kind = &*self.type_of(object).ok()?.name;
        matches!(kind, "int" | "float").then(|| self.preview(object))??.parse().ok()
    }
}
