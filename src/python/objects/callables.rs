//! Functions and suspended code by name: which function an object is or runs, and where it waits.

use super::edge_names::EdgeNames;
use super::edges::Role;
use super::frames::TAG;
use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use super::values::{bytes, string};
use crate::memory::Memory;
use crate::python::layout::records::Field;
use crate::python::layout::{Frames, Generators};
use crate::python::lines::line_at;
use crate::python::{Frame, at};

/// The fields that lead from an object to the function or coroutine behind it: of a method, of a
/// `functools.partial`, of an `asyncio.Task`.
const BEHIND: [&str; 3] = ["__func__", "func", "coro"];
/// How many of them are followed.
const MOST_BEHIND: usize = 8;
/// The fields with the code of a function, and of a suspended one (up to 3.11).
const CODE: [&str; 4] = ["__code__", "gi_code", "cr_code", "ag_code"];
/// The fields with the frame of a suspended function (up to 3.10).
const FRAME: [&str; 3] = ["gi_frame", "cr_frame", "ag_frame"];

/// Whether objects of a type can be functions or run one: all others have no [`definition`](Reader::definition).
pub fn can_be_defined(info: &TypeInfo) -> bool {
    let leads = |field: &Field| BEHIND.contains(&field.name) || CODE.contains(&field.name);
    info.body == Body::Generator || info.fields.iter().any(leads)
}

impl<M: Memory> Reader<'_, M> {
    /// The function that an object is or runs, at the line on which it is defined: that of a function, a bound
    /// method, a `functools.partial`, a generator, a coroutine, an `asyncio.Task`.
    pub fn definition(&self, object: u64) -> Option<Frame> {
        let object = self.behind(object);
        let code = self.code_of(object)?;
        self.frame(object, code, None)
    }

    /// Where a generator or coroutine is suspended; `None` if it runs or has ended.
    pub fn suspension(&self, object: u64) -> Option<Frame> {
        let (code, instruction) = self.suspended_at(object)?;
        self.frame(object, code, Some(instruction))
    }

    /// What a suspended coroutine waits for, or the generator that a suspended one delegates to.
    pub fn awaited(&self, object: u64) -> Option<u64> {
        self.suspended_at(object)?;
        let mut roles = Vec::new();
        self.roles(self.one_of(object, &FRAME).unwrap_or(object), &mut roles);
        roles.iter().rev().find(|(_, role)| *role == Role::Stack).map(|(object, _)| *object)
    }

    /// The coroutine of an `asyncio.Task`, the function of a method or of a `functools.partial`; the object
    /// itself if it is none of these.
    pub fn behind(&self, mut object: u64) -> u64 {
        for _ in 0..MOST_BEHIND {
            match self.one_of(object, &BEHIND) {
                Some(behind) => object = behind,
                None => break,
            }
        }
        object
    }

    /// The code of a function, a generator or a coroutine.
    fn code_of(&self, object: u64) -> Option<u64> {
        if let Some(code) = self.one_of(object, &CODE) {
            return Some(code);
        }
        let (Generators::Inside { frame, .. }, Frames::Interpreter(frames)) =
            (self.layout().generators, self.layout().frames)
        else {
            return None;
        };
        self.type_of(object).ok().filter(|info| info.body == Body::Generator)?;
        Some(self.memory.u64(at(at(object, frame), frames.code)).ok()? & !TAG)
    }

    /// The code of a suspended function, and the offset of the instruction that it is at.
    fn suspended_at(&self, object: u64) -> Option<(u64, i32)> {
        let layout = self.layout();
        self.type_of(object).ok().filter(|info| info.body == Body::Generator)?;
        let word = |address| self.memory.u64(address).ok();
        match (layout.generators, layout.frames) {
            (Generators::Inside { frame, state, cleared, .. }, Frames::Interpreter(frames)) => {
                let state = self.memory.u8(at(object, state)).ok()? as i8;
                if state >= cleared {
                    return None;
                }
                let frame = at(object, frame);
                let code = word(at(frame, frames.code))? & !TAG;
                let start = at(code, layout.code.instructions?);
                let offset = word(at(frame, frames.instruction))?.wrapping_sub(start);
                Some((code, i32::try_from(offset as i64).ok()?))
            }
            (_, Frames::Objects(frames)) => {
                let frame = self.one_of(object, &FRAME)?;
                let last = self.memory.i32(at(frame, frames.last_instruction)).ok()?;
                let offset = last.saturating_mul(frames.instruction_unit);
                Some((word(at(frame, frames.code))?, offset))
            }
            _ => None,
        }
    }

    /// A function at an instruction of its code, or at its definition.
    fn frame(&self, object: u64, code: u64, instruction: Option<i32>) -> Option<Frame> {
        let (memory, layout) = (self.memory, self.layout());
        if self.type_of(code).ok()?.name != "code" {
            return None;
        }
        let fields = &layout.code;
        let text = |offset| string(memory, layout, memory.u64(at(code, offset)).ok()?).ok();
        let name = self.attribute_of(object, "__qualname__").and_then(|name| self.text(name));
        let first = memory.i32(at(code, fields.first_line)).ok()?;
        let line = match instruction {
            None => u32::try_from(first).ok(),
            Some(offset) => {
                let table = memory.u64(at(code, fields.line_table)).ok()?;
                let table = bytes(memory, layout, table).ok()?;
                line_at(fields.line_format, &table, first, offset)
            }
        };
        let function = name.or_else(|| text(fields.name))?;
        Some(Frame::new(function, text(fields.filename)?, line))
    }

    /// The object in one of these fields, whichever there is.
    fn one_of(&self, object: u64, names: &[&str]) -> Option<u64> {
        let info = self.type_of(object).ok()?;
        let field = info.fields.iter().find(|field| names.contains(&field.name))?;
        self.memory.u64(at(object, field.offset)).ok().filter(|&word| word != 0)
    }
}
