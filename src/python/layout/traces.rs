//! Offsets in tracemalloc's tables (`Modules/_tracemalloc.c`, from 3.12 on `Python/tracemalloc.c`).
//!
//! Layouts that never changed are code, not data: a trace is {size, traceback}, a frame {filename, u32 line}
//! packed into 12 bytes.

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
    /// The configuration is the variable `_Py_tracemalloc_config`, which is a dynamic symbol; the rest
    /// are variables that only the full symbol table names (up to 3.11).
    Static,
    /// In `_PyRuntime` (from 3.12 on). Its place there drifts inside minor versions, but not this far.
    Runtime {
        /// From `_PyRuntime.gilstate.autoInterpreterState` to the configuration.
        behind_interpreter: usize,
        /// `traced_memory`, from the configuration.
        traced_memory: usize,
        /// `traces`, likewise.
        traces: usize,
        /// `domains`, likewise.
        domains: usize,
    },
}

/// `_Py_hashtable_t`: a power of two of buckets, each the head of a chain of entries {next, hash, …}.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTable {
    /// How many buckets there are.
    pub bucket_count: usize,
    /// How many entries there are.
    pub entry_count: usize,
    /// The pointer to the buckets.
    pub buckets: usize,
    /// The functions that make it a table of its kind: so many words from here on.
    pub functions: usize,
    /// How many words those are.
    pub function_count: usize,
    /// Where an entry has its key and its value.
    pub entry: HashEntry,
}

/// Where an entry of a `_Py_hashtable_t` has its key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashEntry {
    /// Both inside the entry, of sizes that the table tells (3.8). The key is an address, or {address,
    /// u32 domain} in 12 bytes; the value is the trace.
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
    /// How many frames it has, and how many there were.
    pub count: FrameCount,
    /// The frames, the newest first.
    pub frames: usize,
}

/// How a traceback tells the number of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameCount {
    /// `nframe`, an int (3.8).
    Int(usize),
    /// `nframe` and `total_nframe`, two bytes each (from 3.9 on): what was kept, and what there was.
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
