//! Code objects, frames, and generators with the frames inside them.

use super::context::Context;
use super::edges::{Role, Sink};
use super::view::{View, each};
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;
use crate::python::layout::{
    CodeLocals, FrameObject, Frames, Generators, InterpreterFrame, LastCode, Layout, StackEnd,
};

/// The low bits of a reference in a frame (from 3.14 on): whether it is counted, and whether it is a
/// reference at all.
pub(super) const TAG: u64 = 3;
/// The tag of a small integer that is not an object.
const INTEGER: u64 = 3;
/// `FRAME_OWNED_BY_FRAME_OBJECT`.
const OWNED_BY_FRAME_OBJECT: u8 = 2;
/// The most locals and values that a frame can plausibly have.
const MOST_SLOTS: u64 = 1 << 24;
/// Bytes of an entry of `co_opcache` (3.8 to 3.10).
const CACHE_ENTRY: u64 = 32;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// `code`: its references are fields.
    pub fn code(&mut self) -> Result<Size, ReadError> {
        let size = self.plain_size()?.shallow;
        match self.context.layout.code.locals {
            CodeLocals::Tuples { names: [_, cells, _], code, cell_arguments, cache, .. } => {
                let length = |tuple| {
                    let tuple = self.view.u64(tuple)?;
                    self.memory.u64(at(tuple, self.context.layout.object.size))
                };
                let [caches, count] = cache;
                let arguments = match self.view.u64(cell_arguments)? {
                    0 => 0,
                    _ => length(cells)?.saturating_mul(8),
                };
                let cached = match self.view.u64(caches)? {
                    0 => 0,
                    _ => (length(code)? / 2)
                        .saturating_add(u64::from(self.view.u8(count)?) * CACHE_ENTRY),
                };
                Ok(Size::shallow(size.saturating_add(arguments).saturating_add(cached)))
            }
            CodeLocals::Together { .. } => {
                Ok(Size::shallow(size.checked_next_multiple_of(8).unwrap_or(size)))
            }
        }
    }

    /// `frame`: up to 3.10 with its own locals, later with a frame that is elsewhere until it ends.
    pub fn frame(&mut self) -> Result<Size, ReadError> {
        match self.context.layout.frames {
            Frames::Objects(layout) => self.frame_object(&layout),
            Frames::Interpreter(layout) => {
                let frame = self.view.u64(layout.object.pointer)?;
                let view = View::new(self.memory, frame, layout.size)?;
                if view.u8(layout.owner)? == OWNED_BY_FRAME_OBJECT {
                    self.interpreter_frame(&layout, &view)?;
                }
                let size = self.frame_size(&layout, &view)?;
                Ok(Size::shallow(size.saturating_add(layout.object.data as u64)))
            }
        }
    }

    /// The locals and values of a frame object, up to 3.10.
    fn frame_object(&mut self, layout: &FrameObject) -> Result<Size, ReadError> {
        let start = self.at(layout.locals);
        let values = self.view.u64(layout.value_stack)?;
        let locals = values.wrapping_sub(start) / 8;
        let depth = match layout.stack_end {
            StackEnd::Pointer(end) => match self.view.u64(end)? {
                0 => 0,
                end => end.wrapping_sub(values) / 8,
            },
            StackEnd::Depth(depth) | StackEnd::Count(depth) => {
                self.view.i32(depth)?.try_into().unwrap_or_default()
            }
        };
        let code = self.view.u64(layout.code)?;
        self.slots(start, locals, depth, code, 0)?;
        // The first slot is included in the basic size. A reused frame may have more slots.
        let slots = self.room_of(code)?.saturating_sub(1);
        Ok(Size::shallow(self.info.basic_size.saturating_add(slots.saturating_mul(8))))
    }

    /// `generator`, `coroutine`, `async_generator`.
    pub fn generator(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout;
        let (Generators::Inside { frame, state, cleared, last_code }, Frames::Interpreter(frames)) =
            (layout.generators, layout.frames)
        else {
            return self.plain_size();
        };
        let view = View::new(self.memory, self.at(frame), frames.size)?;
        if (self.view.u8(state)? as i8) < cleared {
            self.interpreter_frame(&frames, &view)?;
        } else if last_code != LastCode::Gone {
            let code = view.u64(frames.code)? & !TAG;
            self.sink.reference(code, Role::Field("code"), last_code == LastCode::Shown);
        }
        let size = self.frame_size(&frames, &view)?;
        Ok(Size::shallow(size.saturating_add(frame as u64)))
    }

    /// What a frame refers to, from 3.11 on.
    fn interpreter_frame(
        &mut self,
        layout: &InterpreterFrame,
        frame: &View<'_, M>,
    ) -> Result<(), ReadError> {
        frame_references(self.memory, self.context, layout, frame, self.sink, false)
    }

    /// Locals, and the values after them.
    fn slots(
        &mut self,
        start: u64,
        locals: u64,
        values: u64,
        code: u64,
        tag: u64,
    ) -> Result<(), ReadError> {
        let count = locals.saturating_add(values);
        slots(self.memory, self.context, start, count, code, tag, self.sink)
    }

    /// How many locals, cells and free variables a code object has.
    fn count_of_locals(&self, code: u64) -> Result<u64, ReadError> {
        count_of_locals(self.memory, &self.context.layout, code)
    }

    /// The size of a frame with room for all locals and values.
    fn frame_size(&self, layout: &InterpreterFrame, frame: &View<'_, M>) -> Result<u64, ReadError> {
        let slots = self.room_of(frame.u64(layout.code)? & !TAG)?;
        Ok((layout.size as u64).saturating_add(slots.saturating_mul(8)))
    }

    /// The most locals and values that a frame of this code can have.
    fn room_of(&self, code: u64) -> Result<u64, ReadError> {
        let values = self.memory.i32(at(code, self.context.layout.code.stack_size))?;
        Ok(self.count_of_locals(code)?.saturating_add(values.try_into().unwrap_or_default()))
    }
}

/// What a frame refers to, from 3.11 on. If the frame may be running, its locals are read in any case.
pub(super) fn frame_references<M: Memory, S: Sink>(
    memory: &M,
    context: &Context,
    layout: &InterpreterFrame,
    frame: &View<'_, M>,
    sink: &mut S,
    may_run: bool,
) -> Result<(), ReadError> {
    let code = frame.u64(layout.code)? & !TAG;
    let function = frame.u64(layout.function)? & !TAG;
    let namespace = frame.u64(layout.namespace)?;
    let object = frame.u64(layout.frame_object)?;
    sink.reference(code, Role::Field("f_code"), true);
    sink.reference(function, Role::Field("function"), true);
    sink.reference(namespace, Role::Field("f_locals"), true);
    sink.reference(object, Role::Field("frame"), true);
    let start = at(frame.address(), layout.size);
    let mut count = match layout.stack_end {
        StackEnd::Pointer(end) => match frame.u64(end)? {
            0 => 0,
            end => end.wrapping_sub(start) / 8,
        },
        StackEnd::Count(count) | StackEnd::Depth(count) => {
            frame.i32(count)?.try_into().unwrap_or_default()
        }
    };
    if may_run {
        count = count.max(count_of_locals(memory, &context.layout, code)?);
    }
    slots(memory, context, start, count, code, TAG, sink)
}

/// `count` locals and values at an address. The bits in `tag` are not part of an address.
fn slots<M: Memory, S: Sink>(
    memory: &M,
    context: &Context,
    start: u64,
    count: u64,
    code: u64,
    tag: u64,
    sink: &mut S,
) -> Result<(), ReadError> {
    if count > MOST_SLOTS {
        return Err(ReadError::Implausible { address: start, length: count });
    }
    let named = match S::WANTS_ROLES {
        true => count_of_locals(memory, &context.layout, code).unwrap_or_default(),
        false => 0,
    };
    each(memory, start, count, context.extent, |number, [word]| {
        if tag == 0 || word & TAG != INTEGER {
            let role = if number < named { Role::Local(code, number) } else { Role::Stack };
            sink.reference(word & !tag, role, true);
        }
    })
}

/// How many locals, cells and free variables a code object has.
fn count_of_locals<M: Memory>(memory: &M, layout: &Layout, code: u64) -> Result<u64, ReadError> {
    let int = |offset| memory.i32(at(code, offset));
    let count = match layout.code.locals {
        CodeLocals::Together { count, .. } => int(count)?.into(),
        CodeLocals::Tuples { count, names: [_, cells, free], .. } => {
            let mut sum = i64::from(int(count)?);
            for names in [cells, free] {
                let names = memory.u64(at(code, names))?;
                sum = sum.saturating_add(memory.u64(at(names, layout.object.size))? as i64);
            }
            sum
        }
    };
    Ok(count.try_into().unwrap_or_default())
}
