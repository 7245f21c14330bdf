//! Finding tracemalloc's tables without symbols: in stripped builds up to 3.11.
//!
//! They are recognized by their contents. One word of the interpreter's writable memory points to a hash
//! table whose entries are traces: their tracebacks have a plausible number of frames, and the first frame's
//! file is a `str`. The table of domains points to tables with the same functions as that one.

use rustc_hash::FxHashSet;

use super::tables::{Table, Tables, words};
use super::{TracesError, Tracing};
use crate::memory::{Memory, u64_at};
use crate::python::layout::FrameCount;
use crate::python::objects::type_of;
use crate::python::{Python, at};

/// The largest segment that is searched, in bytes.
const LARGEST_SEGMENT: u64 = 64 << 20;
/// The most entries of a table that are checked.
const SAMPLES: usize = 64;

impl Python {
    /// Searches the interpreter's writable memory for the tables. If more than one candidate matches, none is
    /// chosen.
    pub fn search_traces<M: Memory>(
        &self,
        memory: &M,
        tracing: Tracing,
    ) -> Result<Option<Tables>, TracesError> {
        let Some(text) = self.image.symbol("PyUnicode_Type") else { return Ok(None) };
        let tables = self.hash_tables(memory)?;
        let traces = tables.iter().filter(|(_, table)| {
            all_of(memory, table, |trace| self.is_trace(memory, trace, tracing, text.address))
        });
        let traces: Vec<_> = traces.collect();
        let [(address, own)] = traces.as_slice() else { return Ok(None) };
        let domains = tables.iter().find(|(other, table)| {
            other != address
                && all_of(memory, table, |value| {
                    let inner = Table::read(memory, &self.layout.tracemalloc.table, value);
                    inner.is_ok_and(|inner| inner.functions == own.functions)
                })
        });
        let domains = domains.map(|(address, _)| *address);
        Ok(Some(Tables { traces: *address, domains, traced_memory: None }))
    }

    /// The hash tables that words of the interpreter's writable memory point to, each once.
    fn hash_tables<M: Memory>(&self, memory: &M) -> Result<Vec<(u64, Table)>, TracesError> {
        let mut seen = FxHashSet::default();
        let mut tables = Vec::new();
        let writable = self.image.segments().iter().filter(|segment| segment.writable);
        for segment in writable.filter(|segment| segment.size <= LARGEST_SEGMENT) {
            let bytes = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT as usize)?;
            for word in bytes.as_chunks::<8>().0 {
                let address = u64::from_le_bytes(*word);
                let aligned = address != 0 && address.is_multiple_of(16);
                if !aligned || segment.contains(address) || !seen.insert(address) {
                    continue;
                }
                let table = Table::read(memory, &self.layout.tracemalloc.table, address);
                let [first, second, ..] = table.map(|table| table.functions).unwrap_or_default();
                if let Ok(table) = table
                    && table.entries > 0
                    && self.image.is_code(first)
                    && self.image.is_code(second)
                {
                    tables.push((address, table));
                }
            }
        }
        Ok(tables)
    }

    /// Whether there is a trace at this address.
    fn is_trace<M: Memory>(&self, memory: &M, trace: u64, tracing: Tracing, text: u64) -> bool {
        let layout = &self.layout.tracemalloc.traceback;
        let is_trace = || {
            let [_, traceback] = words(memory, trace).ok()?;
            let kept = match layout.count {
                FrameCount::Int(place) => memory.u32(at(traceback, place)).ok()?,
                FrameCount::Shorts(place) => memory.u32(at(traceback, place)).ok()? & 0xffff,
            };
            let frame: [u8; 8] = memory.array(at(traceback, layout.frames)).ok()?;
            let kind = type_of(memory, &self.layout, u64_at(&frame, 0)?).ok()?;
            Some(kind == text && (1..=tracing.most_frames).contains(&kept))
        };
        is_trace().unwrap_or(false)
    }
}

/// Whether `holds` is true for the values of a table's first entries.
fn all_of<M: Memory>(memory: &M, table: &Table, holds: impl Fn(u64) -> bool) -> bool {
    let mut samples = 0;
    let mut all = true;
    let outcome = table.for_each(memory, |entry| {
        all &= holds(entry.value);
        samples += 1;
        let enough = !all || samples == SAMPLES;
        if enough { Err(TracesError::NotFound) } else { Ok(()) }
    });
    all && samples > 0 && matches!(outcome, Ok(()) | Err(TracesError::NotFound))
}
