//! Tracebacks, each read once however many blocks share it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{TracesError, Tracing};
use crate::memory::{Memory, u32_at, u64_at};
use crate::python::at;
use crate::python::layout::{FrameCount, Layout, TraceFilename};
use crate::python::objects::{LONGEST_STRING, string};

/// Bytes of a frame {filename, u32 line}.
const FRAME_SIZE: usize = 12;
/// The most frames in all tracebacks together, and the most files.
const MOST_FRAMES: usize = 1 << 28;
const MOST_FILES: usize = 1 << 20;

/// The number of a traceback, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TracebackId(pub(super) u32);

/// The stack that allocated a block.
#[derive(Debug, Clone, Copy)]
pub struct Traceback<'a> {
    /// The number of outer frames that were not kept; `None` where it is not known (3.8).
    pub missing: Option<u32>,
    frames: &'a [Place],
    files: &'a [Arc<str>],
}

/// A frame of a traceback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceFrame<'a> {
    /// The file, `co_filename`; `<unknown>` where there was no Python frame.
    pub file: &'a Arc<str>,
    /// The line; `None` where it is not known.
    pub line: Option<u32>,
}

impl<'a> Traceback<'a> {
    /// Its frames, the innermost first.
    pub fn frames(self) -> impl Iterator<Item = TraceFrame<'a>> {
        self.frames.iter().filter_map(move |place| {
            let line = Some(place.line).filter(|&line| line > 0);
            Some(TraceFrame { file: self.files.get(place.file as usize)?, line })
        })
    }
}

/// A line of a file, by the file's number.
#[derive(Debug, Clone, Copy)]
struct Place {
    file: u32,
    line: u32,
}

/// A traceback's part of the list of all frames.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: u32,
    length: u32,
    missing: Option<u32>,
}

/// All tracebacks.
#[derive(Debug, Default)]
pub struct Tracebacks {
    parts: Vec<Part>,
    frames: Vec<Place>,
    files: Vec<Arc<str>>,
}

impl Tracebacks {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// The traceback with this number; one without frames if there is none.
    pub fn get(&self, id: TracebackId) -> Traceback<'_> {
        let part = self.parts.get(id.0 as usize);
        let frames = part.and_then(|part| {
            let start = part.start as usize;
            self.frames.get(start..start + part.length as usize)
        });
        let missing = part.and_then(|part| part.missing);
        Traceback { missing, frames: frames.unwrap_or_default(), files: &self.files }
    }
}

/// Reads tracebacks, and remembers which it has read.
#[derive(Debug)]
pub struct Reader<'a, M> {
    memory: &'a M,
    layout: &'a Layout,
    tracing: Tracing,
    found: Tracebacks,
    ids: FxHashMap<u64, TracebackId>,
    files: FxHashMap<u64, u32>,
}

impl<'a, M: Memory> Reader<'a, M> {
    /// A reader that has read nothing yet.
    pub fn new(memory: &'a M, layout: &'a Layout, tracing: Tracing) -> Reader<'a, M> {
        let found = Tracebacks::default();
        Reader {
            memory,
            layout,
            tracing,
            found,
            ids: FxHashMap::default(),
            files: FxHashMap::default(),
        }
    }

    /// The tracebacks that were read.
    pub fn into_tracebacks(self) -> Tracebacks {
        self.found
    }

    /// The traceback at this address.
    pub fn read(&mut self, address: u64) -> Result<TracebackId, TracesError> {
        if let Some(id) = self.ids.get(&address) {
            return Ok(*id);
        }
        let (length, missing) = self.count(address)?;
        let start = self.found.frames.len();
        if start + length > MOST_FRAMES {
            return Err(TracesError::Torn("there are more frames than can be"));
        }
        let frames = at(address, self.layout.tracemalloc.traceback.frames);
        let size = length * FRAME_SIZE;
        let bytes;
        let bytes = match self.memory.lend(frames, size) {
            Some(bytes) => bytes,
            None => {
                bytes = self.memory.bytes(frames, size as u64, size)?;
                &bytes
            }
        };
        for frame in bytes.as_chunks::<FRAME_SIZE>().0 {
            let file = self.file(u64_at(frame, 0).unwrap_or_default())?;
            let line = u32_at(frame, 8).unwrap_or_default();
            self.found.frames.push(Place { file, line });
        }
        let id = TracebackId(self.found.parts.len() as u32);
        self.found.parts.push(Part { start: start as u32, length: length as u32, missing });
        self.ids.insert(address, id);
        Ok(id)
    }

    /// The number of frames in a traceback, and of those missing.
    fn count(&self, address: u64) -> Result<(usize, Option<u32>), TracesError> {
        let (kept, missing) = match self.layout.tracemalloc.traceback.count {
            FrameCount::Int(place) => (self.memory.u32(at(address, place))?, None),
            FrameCount::Shorts(place) => {
                let both = self.memory.u32(at(address, place))?;
                let (kept, all) = (both & 0xffff, both >> 16);
                (kept, Some(all.saturating_sub(kept)))
            }
        };
        let plausible = (1..=self.tracing.most_frames).contains(&kept);
        let count = plausible.then_some((kept as usize, missing));
        count.ok_or(TracesError::Torn("a traceback has an impossible number of frames"))
    }

    /// The number of the file whose name is at this address.
    fn file(&mut self, address: u64) -> Result<u32, TracesError> {
        if let Some(file) = self.files.get(&address) {
            return Ok(*file);
        }
        if self.found.files.len() >= MOST_FILES {
            return Err(TracesError::Torn("there are more files than can be"));
        }
        let name = match self.layout.tracemalloc.filename {
            TraceFilename::String => string(self.memory, self.layout, address)?,
            TraceFilename::Utf8 => {
                let name = self.memory.c_string(address, LONGEST_STRING as usize)?;
                String::from_utf8_lossy(&name).into_owned()
            }
        };
        let file = self.found.files.len() as u32;
        self.found.files.push(name.into());
        self.files.insert(address, file);
        Ok(file)
    }
}
