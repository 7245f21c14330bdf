//! Offsets in tracemalloc's tables (`Modules/_tracemalloc.c`, from 3.12 on `Python/tracemalloc.c`).
//!
//! Structures that never changed are in the code instead: a trace is {size, traceback}, a frame {filename,
//! u32 line} packed into 12 bytes.

/// tracemalloc's state, its hash tables and its tracebacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracemalloc {
    /// Where its state is.
    pub place: TracemallocPlace,
    /// `_Py_hashtable_t` and its entries.
    pub table: HashTable,
    /// `traceback_t`.
    pub traceback: Traceback,
    /// What a frame's `filename` points to.
    pub filename: TraceFilename,
}

/// Where tracemalloc's state is. It begins with the configuration: the ints `initialized`, `tracing`,
/// `max_nframe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracemallocPlace {
    /// The configuration is the variable `_Py_tracemalloc_config`, which is a dynamic symbol; the other
    /// variables are named only in the full symbol table (up to 3.11).
    Static,
    /// In `_PyRuntime` (from 3.12 on). Its offset there drifts within minor versions, but these distances do
    /// not.
    Runtime {
        /// The distance from `_PyRuntime.gilstate.autoInterpreterState` to the configuration.
        behind_interpreter: usize,
        /// `traced_memory`. This and the next two are from the configuration.
        traced_memory: usize,
        /// `traces`.
        traces: usize,
        /// `domains`.
        domains: usize,
    },
}

/// `_Py_hashtable_t`: its buckets, a power of two in number, are heads of chains of entries {next, hash, …}.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTable {
    /// The number of buckets.
    pub bucket_count: usize,
    /// The number of entries.
    pub entry_count: usize,
    /// The pointer to the buckets.
    pub buckets: usize,
    /// The first of the functions that determine the kind of table.
    pub functions: usize,
    /// The number of those functions, one word each.
    pub function_count: usize,
    /// The places of key and value in an entry.
    pub entry: HashEntry,
}

/// The places of key and value in an entry of a `_Py_hashtable_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashEntry {
    /// Both inside the entry, with sizes stored in the table (3.8). The key is an address, or {address, u32
    /// domain} in 12 bytes; the value is the trace.
    Inside {
        /// `key_size` of the table.
        key_size: usize,
        /// The key in an entry.
        key: usize,
    },
    /// Two words (from 3.9 on). The key is an address; the value points to the trace.
    Words {
        /// The key in an entry.
        key: usize,
        /// The value in an entry.
        value: usize,
    },
}

/// `traceback_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceback {
    /// The number of frames that it has, and that there were.
    pub count: FrameCount,
    /// The frames, newest first.
    pub frames: usize,
}

/// How a traceback stores the number of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameCount {
    /// `nframe`, an int (3.8).
    Int(usize),
    /// `nframe` and `total_nframe`, two bytes each (from 3.9 on): the frames that were kept, and all that
    /// there were.
    Shorts(usize),
}

/// What a frame's `filename` points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFilename {
    /// A `str` object.
    String,
    /// UTF-8 that ends with NUL (from 3.15 on).
    Utf8,
}
