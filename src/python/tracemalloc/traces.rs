//! All traces at one moment, by the addresses of their blocks.

use rustc_hash::{FxHashMap, FxHashSet};

use super::tables::{Entry, Table, Tables, words};
use super::tracebacks::{Reader, Traceback, TracebackId, Tracebacks};
use super::{TracesError, Tracing};
use crate::memory::Memory;
use crate::python::layout::Layout;

/// The most domains that are read.
const MOST_DOMAINS: u64 = 1024;
/// Blocks are looked up by page: by their address without this many low bits.
const PAGE_BITS: u32 = 12;

/// What tracemalloc knows of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Where the block begins. An object's block begins before the object, by its
    /// [`header`](crate::python::objects::Shape::header).
    pub address: u64,
    /// Bytes requested.
    pub size: u64,
    /// The stack that allocated it.
    pub traceback: TracebackId,
    /// Its domain: 0 is the interpreter itself, others belong to extension modules.
    pub domain: u32,
}

/// All traces at one moment.
#[derive(Debug)]
pub struct Traces {
    /// The settings that they were made with.
    pub tracing: Tracing,
    /// By domain, and then by address.
    traces: Vec<Trace>,
    /// The traces of domain 0 in each page of addresses: the index of the first, and one past the last.
    pages: FxHashMap<u64, (u32, u32)>,
    tracebacks: Tracebacks,
}

impl Traces {
    /// Reads all traces of these tables.
    pub fn read<M: Memory>(
        memory: &M,
        layout: &Layout,
        tables: &Tables,
        tracing: Tracing,
    ) -> Result<Traces, TracesError> {
        let table = &layout.tracemalloc.table;
        let mut traces = Vec::new();
        let mut sum = 0_u64;
        let mut reader = Reader::new(memory, layout, tracing);
        let mut take = |entry: Entry, domain| {
            let [size, traceback] = words(memory, entry.value)?;
            let traceback = reader.read(traceback)?;
            traces.push(Trace { address: entry.key, size, traceback, domain });
            sum = sum.wrapping_add(size);
            Ok(())
        };
        let own = Table::read(memory, table, tables.traces)?;
        own.for_each(memory, |entry| take(entry, entry.domain))?;
        if let Some(domains) = tables.domains {
            let domains = Table::read(memory, table, domains)?;
            let mut seen = FxHashSet::default();
            if domains.entries > MOST_DOMAINS {
                return Err(TracesError::Torn("there are more domains than can be"));
            }
            domains.for_each(memory, |domain| {
                if !seen.insert(domain.value) {
                    return Err(TracesError::Torn("two domains have the same table"));
                }
                let others = Table::read(memory, table, domain.value)?;
                others.for_each(memory, |entry| take(entry, domain.key as u32))
            })?;
        }
        if tables.traced_memory.is_some_and(|all| all != sum) {
            return Err(TracesError::Torn("sizes do not add up to the memory traced"));
        }
        traces.sort_unstable_by_key(|trace| (trace.domain, trace.address));
        traces.shrink_to_fit();
        let pages = pages(&traces);
        Ok(Traces { tracing, traces, pages, tracebacks: reader.into_tracebacks() })
    }

    /// All of them: by domain, and then by address.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Trace> + Clone {
        self.traces.iter()
    }

    /// How many different tracebacks there are.
    pub fn traceback_count(&self) -> usize {
        self.tracebacks.len()
    }

    /// A trace's traceback.
    pub fn traceback(&self, id: TracebackId) -> Traceback<'_> {
        self.tracebacks.get(id)
    }

    /// The trace of the interpreter's own block that begins at this address.
    pub fn trace_of(&self, block: u64) -> Option<&Trace> {
        let &(start, end) = self.pages.get(&(block >> PAGE_BITS))?;
        let page = self.traces.get(start as usize..end as usize)?;
        let place = page.binary_search_by_key(&block, |trace| trace.address).ok()?;
        page.get(place)
    }

    /// The stack that allocated the block that begins at this address.
    pub fn traceback_of(&self, block: u64) -> Option<Traceback<'_>> {
        Some(self.traceback(self.trace_of(block)?.traceback))
    }
}

/// The traces of domain 0 in each page; `traces` must be sorted.
fn pages(traces: &[Trace]) -> FxHashMap<u64, (u32, u32)> {
    let mut pages = FxHashMap::default();
    let own = traces.iter().take_while(|trace| trace.domain == 0);
    for (trace, index) in own.zip(0_u32..) {
        let page = pages.entry(trace.address >> PAGE_BITS).or_insert((index, index));
        page.1 = index + 1;
    }
    pages
}
