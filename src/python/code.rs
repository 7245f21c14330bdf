//! From raw frames to functions, files and lines; each code object is read once.
//!
//! An address can be reused by another code object, so each use of an entry checks the words that identify a
//! code object: its type, the addresses of its strings and line table, its first line. That costs one small
//! read per frame, outside the pause.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::Python;
use super::frame::Frame;
use super::layout::Layout;
use super::lines::line_at;
use super::objects::{bytes, string};
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
    kind: u64,
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
        let identity = Identity::read(memory, &python.layout, frame.code)?;
        if identity.kind != python.types.code {
            return Err(ReadError::Implausible { address: frame.code, length: identity.kind });
        }
        if !frame.generator && frame.instruction < identity.first_traceable.saturating_mul(2) {
            return Ok(None);
        }
        if self.entries.get(&frame.code).is_none_or(|entry| entry.identity != identity) {
            self.add(memory, &python.layout, frame.code, identity)?;
        }
        let entry = self.entries.get(&frame.code);
        let format = python.layout.code.line_format;
        Ok(entry.map(|entry| Frame {
            function: Arc::clone(&entry.function),
            file: Arc::clone(&entry.file),
            line: line_at(format, &entry.lines, identity.first_line, frame.instruction),
        }))
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

    fn add<M: Memory>(
        &mut self,
        memory: &M,
        layout: &Layout,
        code: u64,
        identity: Identity,
    ) -> Result<(), ReadError> {
        if self.entries.len() >= MOST_ENTRIES {
            *self = CodeCache::new();
        }
        let function = self.text(string(memory, layout, identity.name)?);
        let file = self.text(string(memory, layout, identity.filename)?);
        let lines = bytes(memory, layout, identity.line_table)?;
        self.entries.insert(code, Entry { identity, function, file, lines });
        Ok(())
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
    fn read<M: Memory>(memory: &M, layout: &Layout, code: u64) -> Result<Identity, ReadError> {
        let fields = &layout.code;
        let end = [fields.filename, fields.name, fields.line_table, fields.first_line]
            .into_iter()
            .chain(fields.first_traceable)
            .fold(layout.object.kind, usize::max)
            .saturating_add(8);
        let bytes = memory.bytes(code, end as u64, CODE_SPAN)?;
        let word = |offset| u64_at(&bytes, offset).unwrap_or_default();
        let int = |offset| u32_at(&bytes, offset).unwrap_or_default() as i32;
        Ok(Identity {
            kind: word(layout.object.kind),
            filename: word(fields.filename),
            name: word(fields.name),
            line_table: word(fields.line_table),
            first_line: int(fields.first_line),
            first_traceable: fields.first_traceable.map_or(i32::MIN, int),
        })
    }
}
