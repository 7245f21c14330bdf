//! From raw frames to functions, files and lines; the line table of each code object is read once.
//!
//! This happens outside the pause, when a function that was made for one task may be gone, and its code object with
//! it. The memory of both, and of their names, then has other contents. So names are read each time, and count
//! only if the code object is still in use afterwards: that costs four small reads per frame.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::Python;
use super::frame::Frame;
use super::lines::{Columns, columns_at, line_at};
use super::objects::{bytes, can_be_reference_count, is_built_in, string};
use super::stack::{RawFrame, RawStack};
use crate::memory::{Memory, ReadError, u32_at, u64_at};

/// Beyond this many code objects the cache is cleared: a target may make them without end.
const MOST_ENTRIES: usize = 200_000;
/// The most bytes that are read of a code object.
const CODE_SPAN: usize = 512;

/// Code objects by address.
#[derive(Debug, Default)]
pub struct CodeCache {
    entries: FxHashMap<u64, Entry>,
    texts: FxHashSet<Arc<str>>,
}

/// A stack with names and lines, innermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The frames, innermost first.
    pub frames: Vec<Frame>,
    /// Whether all frames are there.
    pub complete: bool,
}

#[derive(Debug)]
struct Entry {
    identity: Identity,
    function: Arc<str>,
    file: Arc<str>,
    lines: Vec<u8>,
}

/// The words that identify a code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    filename: u64,
    name: u64,
    line_table: u64,
    first_line: i32,
    first_traceable: i32,
}

impl CodeCache {
    /// An empty cache.
    pub fn new() -> CodeCache {
        CodeCache::default()
    }

    /// The function, file and line of a raw frame; `None` for a frame that has not begun to run, which
    /// CPython's own tracebacks leave out too (from 3.11 on).
    pub fn resolve<M: Memory>(
        &mut self,
        memory: &M,
        python: &Python,
        frame: &RawFrame,
    ) -> Result<Option<Frame>, ReadError> {
        let identity = Identity::read(memory, python, frame.code)?;
        if !frame.generator && frame.instruction < identity.first_traceable.saturating_mul(2) {
            return Ok(None);
        }
        let layout = &python.layout;
        let function = string(memory, layout, identity.name)?;
        let file = string(memory, layout, identity.filename)?;
        let is_known = |entry: &Entry| {
            entry.identity == identity && *entry.function == *function && *entry.file == *file
        };
        let lines = match self.entries.get(&frame.code).is_some_and(is_known) {
            true => None,
            false => Some(bytes(memory, layout, identity.line_table)?),
        };
        if Identity::read(memory, python, frame.code)? != identity {
            return Err(ReadError::Implausible { address: frame.code, length: identity.name });
        }
        if let Some(lines) = lines {
            self.add(frame.code, identity, [function, file], lines);
        }
        let entry = self.entries.get(&frame.code);
        let format = python.layout.code.line_format;
        Ok(entry.map(|entry| {
            let line = line_at(format, &entry.lines, identity.first_line, frame.instruction);
            Frame::new(Arc::clone(&entry.function), Arc::clone(&entry.file), line)
        }))
    }

    /// The columns of a frame that has just been [resolved](Self::resolve), where its version has them.
    pub fn columns(&self, python: &Python, frame: &RawFrame) -> Option<Columns> {
        let entry = self.entries.get(&frame.code)?;
        let format = python.layout.code.line_format;
        columns_at(format, &entry.lines, entry.identity.first_line, frame.instruction)
    }

    /// All frames of a stack. Those that cannot be read (their code is gone, or the stack was torn)
    /// are left out, and the stack is not `complete`.
    pub fn resolve_stack<M: Memory>(
        &mut self,
        memory: &M,
        python: &Python,
        raw: &RawStack,
    ) -> Stack {
        self.resolve_frames(memory, python, &raw.frames, raw.complete)
    }

    /// The same for copied raw frames; `complete` says whether the outermost is among them.
    pub fn resolve_frames<M: Memory>(
        &mut self,
        memory: &M,
        python: &Python,
        frames: &[RawFrame],
        complete: bool,
    ) -> Stack {
        let mut stack = Stack { frames: Vec::with_capacity(frames.len()), complete };
        for frame in frames {
            match self.resolve(memory, python, frame) {
                Ok(frame) => stack.frames.extend(frame),
                Err(_) => stack.complete = false,
            }
        }
        stack
    }

    fn add(
        &mut self,
        code: u64,
        identity: Identity,
        [function, file]: [String; 2],
        lines: Vec<u8>,
    ) {
        if self.entries.len() >= MOST_ENTRIES {
            *self = CodeCache::new();
        }
        let (function, file) = (self.text(function), self.text(file));
        self.entries.insert(code, Entry { identity, function, file, lines });
    }

    /// The shared copy of this text: all functions of a file share its name.
    fn text(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.texts.get(text.as_str()) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

impl Identity {
    /// Those of a code object that is in use.
    fn read<M: Memory>(memory: &M, python: &Python, code: u64) -> Result<Identity, ReadError> {
        let layout = &python.layout;
        let fields = &layout.code;
        let end = [fields.filename, fields.name, fields.line_table, fields.first_line]
            .into_iter()
            .chain(fields.first_traceable)
            .fold(layout.object.kind, usize::max)
            .saturating_add(8);
        let bytes = memory.bytes(code, end as u64, CODE_SPAN)?;
        let word = |offset| u64_at(&bytes, offset).unwrap_or_default();
        let int = |offset| u32_at(&bytes, offset).unwrap_or_default() as i32;
        let (count, kind) = (word(0), word(layout.object.kind));
        let is_in_use = can_be_reference_count(count) || is_built_in(count);
        if kind != python.types.code || !is_in_use {
            return Err(ReadError::Implausible { address: code, length: kind });
        }
        Ok(Identity {
            filename: word(fields.filename),
            name: word(fields.name),
            line_table: word(fields.line_table),
            first_line: int(fields.first_line),
            first_traceable: fields.first_traceable.map_or(i32::MIN, int),
        })
    }
}
