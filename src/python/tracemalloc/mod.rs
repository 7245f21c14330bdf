//! tracemalloc, read from outside: the size and the stack of every block that it has seen allocated and that
//! is not freed yet. It is exact, but works only if the target runs with `-X tracemalloc` or has called
//! `tracemalloc.start()`.
//!
//! A *trace* of a block is its size and a *traceback*, which is shared by all blocks allocated by the same
//! stack. Traces are in hash tables keyed by address: one for the interpreter's own blocks, and one for each
//! *domain* of blocks that extension modules track themselves.
//!
//! A block may be freed without the GIL, so even a pause can fall into a change of the tables. So everything
//! is checked: each entry must be in the bucket of its hash, and counts and sizes must add up to the
//! interpreter's own totals. A disagreement [`is passing`](TracesError::is_passing).

mod search;
mod tables;
mod tracebacks;
mod traces;

pub use tables::Tables;
pub use tracebacks::{TraceFrame, Traceback, TracebackId};
pub use traces::{Trace, Traces};

use super::layout::TracemallocPlace;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};
use crate::obstacle::{Obstructed, Obstruction};

/// The largest plausible `max_nframe` (`MAX_NFRAME` from 3.9 on is the largest two-byte number; 3.8 has no
/// limit that matters).
const MOST_FRAMES: u32 = 1 << 16;
/// The largest plausible part of `_PyRuntime` before its main interpreter, in bytes.
const LARGEST_RUNTIME: usize = 1 << 20;

/// Why traces cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TracesError {
    /// Their memory cannot be read.
    #[error("tracemalloc's tables cannot be read: {0}")]
    Read(#[from] ReadError),
    /// They are not where they should be, or (in a stripped build up to 3.11) not found.
    #[error("tracemalloc's tables are not found in the interpreter's memory")]
    NotFound,
    /// They are just changing.
    #[error("tracemalloc's tables do not agree with themselves: {0}")]
    Torn(&'static str),
}

impl Obstructed for TracesError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            TracesError::Read(error) => error.obstacle(),
            TracesError::NotFound | TracesError::Torn(_) => None,
        }
    }
}

impl TracesError {
    /// Whether another capture may well succeed.
    pub fn is_passing(&self) -> bool {
        !matches!(self, TracesError::Read(ReadError::Ended | ReadError::Denied))
    }
}

/// How tracemalloc traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    /// How many frames of a stack it keeps: the N of `-X tracemalloc=N`.
    pub most_frames: u32,
}

impl Python {
    /// Whether tracemalloc is on, and how; `None`: it is off.
    pub fn tracing<M: Memory>(&self, memory: &M) -> Result<Option<Tracing>, TracesError> {
        let (_, tracing) = self.tracemalloc(memory)?;
        Ok(tracing)
    }

    /// All traces; `None`: tracemalloc is off. From memory that does not change, such as a capture, they are
    /// exact; from a running process they are either exact or an error that
    /// [passes](TracesError::is_passing).
    pub fn traces<M: Memory>(&self, memory: &M) -> Result<Option<Traces>, TracesError> {
        let (state, tracing) = self.tracemalloc(memory)?;
        let Some(tracing) = tracing else { return Ok(None) };
        let tables = match self.layout.tracemalloc.place {
            TracemallocPlace::Runtime { traced_memory, traces, domains, .. } => Tables {
                traces: memory.u64(at(state, traces))?,
                domains: Some(memory.u64(at(state, domains))?),
                traced_memory: Some(memory.u64(at(state, traced_memory))?),
            },
            TracemallocPlace::Static => {
                self.static_tables(memory, tracing)?.ok_or(TracesError::NotFound)?
            }
        };
        Traces::read(memory, &self.layout, &tables, tracing).map(Some)
    }

    /// The address of the configuration, and its contents.
    fn tracemalloc<M: Memory>(&self, memory: &M) -> Result<(u64, Option<Tracing>), TracesError> {
        match self.layout.tracemalloc.place {
            TracemallocPlace::Static => {
                let symbol = self.image.symbol("_Py_tracemalloc_config");
                let address = symbol.ok_or(TracesError::NotFound)?.address;
                Ok((address, configuration(memory, address)?.ok_or(TracesError::NotFound)?))
            }
            TracemallocPlace::Runtime { behind_interpreter, .. } => {
                self.find_in_runtime(memory, behind_interpreter)?.ok_or(TracesError::NotFound)
            }
        }
    }

    /// Finds the state by what precedes it: the int `check_enabled` and the main interpreter's address. Other
    /// words hold that address too, but none of them has a plausible state at that distance.
    fn find_in_runtime<M: Memory>(
        &self,
        memory: &M,
        behind_interpreter: usize,
    ) -> Result<Option<(u64, Option<Tracing>)>, TracesError> {
        let place = self.layout.runtime.interpreters_main;
        let main = memory.u64(at(self.runtime, place))?;
        // The main interpreter is part of `_PyRuntime`, and the state is before it.
        let length = main.wrapping_sub(self.runtime);
        let bytes = memory.bytes(self.runtime, length, LARGEST_RUNTIME)?;
        for offset in (place + 8..bytes.len()).step_by(8) {
            let enabled = u64_at(&bytes, offset.saturating_sub(8));
            if u64_at(&bytes, offset) != Some(main) || enabled.is_none_or(|flag| flag > 1) {
                continue;
            }
            let state = at(self.runtime, offset.saturating_add(behind_interpreter));
            if let Some(tracing) = configuration(memory, state)? {
                return Ok(Some((state, tracing)));
            }
        }
        Ok(None)
    }

    /// The tables of a version that has them in static variables.
    fn static_tables<M: Memory>(
        &self,
        memory: &M,
        tracing: Tracing,
    ) -> Result<Option<Tables>, TracesError> {
        let variable = |name| self.image.symbol(name).map(|symbol| memory.u64(symbol.address));
        match variable("tracemalloc_traces").transpose()? {
            Some(traces) => Ok(Some(Tables {
                traces,
                domains: variable("tracemalloc_domains").transpose()?,
                traced_memory: variable("tracemalloc_traced_memory").transpose()?,
            })),
            None => self.search_traces(memory, tracing),
        }
    }
}

/// The contents of the configuration at this address; `None` if it is not one.
fn configuration<M: Memory>(
    memory: &M,
    address: u64,
) -> Result<Option<Option<Tracing>>, ReadError> {
    let [initialized, tracing, most_frames] =
        [0, 4, 8].map(|offset| memory.u32(at(address, offset)));
    let (initialized, tracing, most_frames) = (initialized?, tracing?, most_frames?);
    let plausible = initialized <= 2 && tracing <= 1 && (1..=MOST_FRAMES).contains(&most_frames);
    Ok(plausible.then(|| (tracing == 1).then_some(Tracing { most_frames })))
}
