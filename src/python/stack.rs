//! A thread's stack as raw addresses: the part that must be read while the thread is stopped.
//!
//! Only code addresses and instruction offsets are copied here; [`CodeCache`](super::code::CodeCache)
//! resolves names and lines while the thread runs again.
//!
//! From 3.11 on frames are contiguous on the thread's data stack, so its newest chunk is read in one go and
//! the links are followed within the copy. Frames elsewhere (inside generators, the interpreter's entry
//! frames on the C stack) cost a read each, as does every frame up to 3.10.

use super::layout::{DataStack, FrameLink, FrameObject, Frames, InterpreterFrame, Thread};
use super::links::RingGuard;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u32_at, u64_at};

/// The most frames of a stack that are followed.
pub const MOST_FRAMES: usize = 100_000;

/// The most bytes that are read of a thread state.
const THREAD_SPAN: usize = 512;
/// The most bytes that are read of a frame.
const FRAME_SPAN: usize = 128;
/// The smallest chunk of a data stack (`DATA_STACK_CHUNK_SIZE`, Python/pystate.c).
const CHUNK: u64 = 16 << 10;
/// The most bytes of a data stack that are read at once.
const LARGEST_WINDOW: u64 = 1 << 20;

/// A frame as found in memory: its code, and the position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RawFrame {
    /// The address of the code object.
    pub code: u64,
    /// The offset of the current instruction in the bytecode, in bytes; negative before the first.
    pub instruction: i32,
    /// Whether the frame belongs to a generator or coroutine (known only from 3.11 on).
    pub generator: bool,
}

/// A stack of raw frames, innermost first, and the buffer it was read with: reuse it.
#[derive(Debug, Clone, Default)]
pub struct RawStack {
    /// The frames, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the outermost frame was reached.
    pub complete: bool,
    window: Window,
}

/// A copied piece of the data stack.
#[derive(Debug, Clone, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn fill<M: Memory>(&mut self, memory: &M, start: u64, length: u64) {
        self.start = start;
        self.bytes.clear();
        self.bytes.resize(length.min(LARGEST_WINDOW) as usize, 0);
        if memory.read(start, &mut self.bytes).is_err() {
            self.bytes.clear();
        }
    }

    fn get(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

impl Python {
    /// Copies the stack of a thread state into `stack`. The thread must not run meanwhile, or the stack may
    /// be torn; even then this terminates. An error means that the thread state itself could not be read; a
    /// stack that could be followed only in part is not `complete`.
    pub fn copy_stack<M: Memory>(
        &self,
        memory: &M,
        thread: u64,
        stack: &mut RawStack,
    ) -> Result<(), ReadError> {
        stack.frames.clear();
        stack.complete = false;
        let layout = &self.layout.thread;
        let state = read_thread(memory, layout, thread)?;
        let pointer = |offset| {
            u64_at(&state, offset)
                .ok_or(ReadError::Implausible { address: thread, length: offset as u64 })
        };
        let newest = match layout.frame {
            FrameLink::Direct(frame) => pointer(frame)?,
            FrameLink::CFrame { pointer: cframe, current } => {
                memory.u64(at(pointer(cframe)?, current))?
            }
        };
        match &self.layout.frames {
            Frames::Objects(layout) => follow_objects(memory, layout, newest, stack),
            Frames::Interpreter(layout) => {
                let data_stack = self.layout.thread.data_stack;
                if let Some(data_stack) = data_stack {
                    let (chunk, top) = (pointer(data_stack.chunk)?, pointer(data_stack.top)?);
                    stack.window.fill(memory, chunk, top.saturating_sub(chunk));
                    // This is a link to an old frame: the new one is not linked yet.
                    if newest != 0 && newest >= top && newest.wrapping_sub(chunk) < CHUNK {
                        return Ok(());
                    }
                }
                let code_start = self.layout.code.instructions.unwrap_or_default();
                let walk = Walk { layout, code_start, data_stack };
                walk.follow(memory, newest, stack);
            }
        }
        Ok(())
    }
}

impl Python {
    /// The addresses of a thread's frames, innermost first: of frame objects up to 3.10, of
    /// `_PyInterpreterFrame`s from 3.11 on, without the interpreter's own entries. The list ends where memory
    /// cannot be read.
    pub fn frame_addresses<M: Memory>(&self, memory: &M, thread: u64) -> Vec<u64> {
        let word = |address| memory.u64(address).unwrap_or_default();
        let mut frame = match self.layout.thread.frame {
            FrameLink::Direct(offset) => word(at(thread, offset)),
            FrameLink::CFrame { pointer, current } => word(at(word(at(thread, pointer)), current)),
        };
        let mut found = Vec::new();
        let mut guard = RingGuard::default();
        for _ in 0..MOST_FRAMES {
            if frame == 0 || guard.closes_at(frame) {
                break;
            }
            frame = match &self.layout.frames {
                Frames::Objects(layout) => {
                    found.push(frame);
                    word(at(frame, layout.back))
                }
                Frames::Interpreter(layout) => {
                    let owner = memory.u8(at(frame, layout.owner));
                    if owner.is_ok_and(|owner| owner < InterpreterFrame::FIRST_SHIM) {
                        found.push(frame);
                    }
                    word(at(frame, layout.previous))
                }
            };
        }
        found
    }
}

/// The bytes of a thread state up to the last field that leads to its frames.
fn read_thread<M: Memory>(memory: &M, layout: &Thread, thread: u64) -> Result<Vec<u8>, ReadError> {
    let frame = match layout.frame {
        FrameLink::Direct(offset) | FrameLink::CFrame { pointer: offset, .. } => offset,
    };
    let top = layout.data_stack.map_or(0, |stack| stack.chunk.max(stack.top));
    let span = frame.max(top).saturating_add(8);
    memory.bytes(thread, span as u64, THREAD_SPAN)
}

/// Follows `f_back` (up to 3.10).
///
/// Where the thread runs meanwhile, a frame can be freed, or made, while its caller's is read: a dead frame has no
/// `f_back` and looks like the outermost one. So each must be in use, and the last one must still be there in the
/// end.
fn follow_objects<M: Memory>(memory: &M, layout: &FrameObject, newest: u64, stack: &mut RawStack) {
    let mut frame = newest;
    let mut last = None;
    let mut guard = RingGuard::default();
    while stack.frames.len() < MOST_FRAMES {
        if frame == 0 {
            stack.complete = last.is_none_or(|(address, frame)| {
                ObjectFrame::read(memory, layout, address)
                    .is_some_and(|again| again.is_same(&frame) && again.back == 0)
            });
            return;
        }
        if guard.closes_at(frame) {
            return;
        }
        let Some(found) = ObjectFrame::read(memory, layout, frame) else { return };
        if found.references == 0 || last.is_some_and(|(_, other)| found.kind != other.kind) {
            return;
        }
        let ObjectFrame { code, instruction, .. } = found;
        stack.frames.push(RawFrame { code, instruction, generator: false });
        last = Some((frame, found));
        frame = found.back;
    }
}

/// The fields of a frame object (up to 3.10).
#[derive(Clone, Copy)]
struct ObjectFrame {
    references: u64,
    kind: u64,
    code: u64,
    instruction: i32,
    back: u64,
}

impl ObjectFrame {
    /// `ob_refcnt` and `ob_type`, the first fields of every object up to 3.10.
    const REFERENCES: usize = 0;
    const KIND: usize = 8;

    fn read<M: Memory>(memory: &M, layout: &FrameObject, frame: u64) -> Option<ObjectFrame> {
        let mut bytes = [0; FRAME_SPAN];
        memory.read(frame, &mut bytes).ok()?;
        let last = u32_at(&bytes, layout.last_instruction)? as i32;
        Some(ObjectFrame {
            references: u64_at(&bytes, ObjectFrame::REFERENCES)?,
            kind: u64_at(&bytes, ObjectFrame::KIND)?,
            code: u64_at(&bytes, layout.code)?,
            instruction: last.saturating_mul(layout.instruction_unit),
            back: u64_at(&bytes, layout.back)?,
        })
    }

    /// Whether another reading found the same frame, in use.
    fn is_same(&self, other: &ObjectFrame) -> bool {
        self.references != 0 && (self.kind, self.code) == (other.kind, other.code)
    }
}

/// How to follow frames from 3.11 on.
struct Walk<'a> {
    layout: &'a InterpreterFrame,
    code_start: usize,
    data_stack: Option<DataStack>,
}

impl Walk<'_> {
    fn follow<M: Memory>(&self, memory: &M, newest: u64, stack: &mut RawStack) {
        let mut frame = newest;
        let mut guard = RingGuard::default();
        // Shims are not stored, so count the steps.
        for _ in 0..MOST_FRAMES {
            if frame == 0 {
                stack.complete = true;
                return;
            }
            if guard.closes_at(frame) {
                return;
            }
            let Some((raw, previous)) = self.frame_at(memory, frame, &mut stack.window) else {
                return;
            };
            stack.frames.extend(raw);
            frame = previous;
        }
    }

    /// The frame at this address, if it is Python code and not a shim, and the address of its
    /// caller's. `None` where it cannot be read.
    fn frame_at<M: Memory>(
        &self,
        memory: &M,
        frame: u64,
        window: &mut Window,
    ) -> Option<(Option<RawFrame>, u64)> {
        let size = self.layout.size.min(FRAME_SPAN);
        if window.get(frame, size).is_none() {
            self.turn_to_previous_chunk(memory, frame, window);
        }
        let mut own = [0; FRAME_SPAN];
        let bytes = match window.get(frame, size) {
            Some(bytes) => bytes,
            None => {
                let own = own.get_mut(..size)?;
                memory.read(frame, own).ok()?;
                own
            }
        };
        let previous = u64_at(bytes, self.layout.previous)?;
        let owner = *bytes.get(self.layout.owner)?;
        if owner >= InterpreterFrame::FIRST_SHIM {
            return Some((None, previous));
        }
        // The low two bits are a tag from 3.14 on, and objects are aligned to eight bytes.
        let code = u64_at(bytes, self.layout.code)? & !3;
        let pointer = u64_at(bytes, self.layout.instruction)?;
        let offset = pointer.wrapping_sub(at(code, self.code_start)) as i64;
        let instruction = offset.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let generator = owner == InterpreterFrame::OWNED_BY_GENERATOR;
        Some((Some(RawFrame { code, instruction, generator }), previous))
    }

    /// Moves the window to the previous chunk, if the frame is in it.
    fn turn_to_previous_chunk<M: Memory>(&self, memory: &M, frame: u64, window: &mut Window) {
        let link = self.data_stack.and_then(|layout| u64_at(&window.bytes, layout.previous));
        if let Some(previous) = link
            && frame.wrapping_sub(previous) < CHUNK
        {
            window.fill(memory, previous, CHUNK);
        }
    }
}
