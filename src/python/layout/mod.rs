//! CPython's layout: a record of named offsets, with one table per minor version.
//!
//! Layouts are data. The code that reads frames or strings is written once, in terms of a [`Layout`]; a
//! difference between versions is a number here or, where the structure itself changed, a variant of a small
//! enum. All offsets are in bytes and for 64-bit little-endian builds with a GIL.
//!
//! Offsets drift within minor versions too (the collector's list heads moved by four bytes between 3.13.0 and
//! 3.13.5), so a minor version can have several [`Table`]s. They are tried in the order of [`candidates`]
//! until [validation](super::validate) accepts one. From 3.13 on the interpreter publishes many offsets
//! itself (`_Py_DebugOffsets`): those override the table, and disagreements are reported.
//!
//! `docs/new-python.md` is the recipe for a new version.
//!
//! Longer than other files, because it is one list: every part of a [`Layout`], with one line and one source
//! per field.

mod frames;
mod objects;
pub mod opcodes;
mod printable;
pub mod records;
mod traces;
mod types;
pub mod v3_10;
pub mod v3_11;
pub mod v3_12;
pub mod v3_13;
pub mod v3_14;
pub mod v3_15;
pub mod v3_8;
pub mod v3_9;

pub use frames::*;
pub use objects::*;
pub use opcodes::{Opcodes, Operation};
pub use printable::Printable;
use records::Records;
pub use traces::*;
pub use types::*;

use super::version::Version;

/// The oldest minor version of Python 3 with a table.
pub const OLDEST_MINOR: u8 = 8;
/// The newest minor version of Python 3 with a table.
pub const NEWEST_MINOR: u8 = 15;

/// Every offset that leakspy uses, for one layout of the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `_PyRuntimeState`.
    pub runtime: Runtime,
    /// `PyInterpreterState`.
    pub interpreter: Interpreter,
    /// `PyThreadState`.
    pub thread: Thread,
    /// `_gil_runtime_state`, and where it is.
    pub gil: Gil,
    /// `_gc_runtime_state`, and where it is.
    pub gc: Gc,
    /// Python frames.
    pub frames: Frames,
    /// `PyCodeObject`.
    pub code: Code,
    /// `PyObject` and `PyVarObject`.
    pub object: Object,
    /// `PyTypeObject` and `PyHeapTypeObject`.
    pub types: Type,
    /// The attributes of an instance.
    pub attributes: Attributes,
    /// `PyUnicodeObject` and its compact forms.
    pub unicode: Unicode,
    /// `PyBytesObject`.
    pub bytes: Bytes,
    /// `PyLongObject`.
    pub int: Int,
    /// `PyDictObject`.
    pub dict: Dict,
    /// `PyDictKeysObject`.
    pub keys: DictKeys,
    /// `PyModuleObject`.
    pub module: Module,
    /// Generators, coroutines, asynchronous generators.
    pub generators: Generators,
    /// The variable parts of other objects.
    pub objects: Objects,
    /// The references at fixed offsets in objects.
    pub records: Records,
    /// The tables of allocator functions.
    pub allocators: Allocators,
    /// The arenas of pymalloc.
    pub pymalloc: Pymalloc,
    /// The traces of tracemalloc.
    pub tracemalloc: Tracemalloc,
}

/// `_PyRuntimeState`, the variable `_PyRuntime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    /// `interpreters.head`: the newest interpreter.
    pub interpreters_head: usize,
    /// `interpreters.main`.
    pub interpreters_main: usize,
}

/// `PyInterpreterState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interpreter {
    /// `next`: the next older interpreter.
    pub next: usize,
    /// `id`, a signed 64-bit number.
    pub id: usize,
    /// Its newest thread state.
    pub threads_head: usize,
    /// The dict `sys.modules`.
    pub modules: usize,
    /// The dict of the module `sys`.
    pub sys_dict: usize,
    /// `cached_objects.interned_strings`: the dict of interned strings (from 3.12 on).
    pub interned: Option<usize>,
}

/// `PyThreadState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// The next older thread state of the same interpreter.
    pub next: usize,
    /// Its interpreter.
    pub interpreter: usize,
    /// `thread_id`: the `pthread_t`.
    pub pthread: usize,
    /// `native_thread_id`: the kernel's id, from 3.11 on.
    pub native_id: Option<usize>,
    /// How to find the newest frame.
    pub frame: FrameLink,
    /// `datastack_chunk` and `datastack_top`, from 3.11 on.
    pub data_stack: Option<DataStack>,
    /// `holds_gil`, from 3.14 on.
    pub holds_gil: Option<usize>,
}

/// How to find the newest frame of a thread state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameLink {
    /// A pointer in the thread state (`frame` up to 3.10, `current_frame` from 3.13 on).
    Direct(usize),
    /// Through the `_PyCFrame` of 3.11 and 3.12: its pointer, and `current_frame` inside it.
    CFrame {
        /// `PyThreadState.cframe`.
        pointer: usize,
        /// `_PyCFrame.current_frame`.
        current: usize,
    },
}

/// The stack of Python frames of a thread, in `_PyStackChunk`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataStack {
    /// `PyThreadState.datastack_chunk`: the newest chunk.
    pub chunk: usize,
    /// `PyThreadState.datastack_top`: the end of the used part of that chunk.
    pub top: usize,
    /// `_PyStackChunk.previous`.
    pub previous: usize,
    /// `_PyStackChunk.size`: bytes of the whole chunk.
    pub size: usize,
}

/// `_gil_runtime_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gil {
    /// One for the process, inside `_PyRuntime` (up to 3.11).
    Process {
        /// `last_holder`, from the start of `_PyRuntime`.
        last_holder: usize,
        /// `locked`, an `int`, from the start of `_PyRuntime`.
        locked: usize,
    },
    /// One per interpreter, behind a pointer; interpreters may share one (from 3.12 on).
    Interpreter {
        /// `PyInterpreterState.ceval.gil`.
        pointer: usize,
        /// `last_holder` inside it.
        last_holder: usize,
        /// `locked`, an `int`, inside it.
        locked: usize,
    },
}

/// `_gc_runtime_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gc {
    /// Where it is.
    pub place: GcPlace,
    /// Three list heads (`_gc_next`, `_gc_prev`), 24 bytes apart, youngest first; from the start of
    /// the collector's state.
    pub generations: usize,
    /// The list head of the objects that `gc.freeze()` moved away. This and the next four are from the same
    /// start.
    pub permanent: usize,
    /// `collecting`, an `int`.
    pub collecting: usize,
    /// `enabled`, an `int`.
    pub enabled: usize,
    /// `debug`, an `int`.
    pub debug: usize,
    /// `garbage`: the list `gc.garbage`.
    pub garbage: usize,
    /// The results of collections.
    pub statistics: GcStatistics,
}

/// What the collector records about its collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcStatistics {
    /// Sums for each generation, from this offset in its state on (up to 3.14).
    Sums(usize),
    /// The last collections of each generation, behind the pointer at this offset (3.15).
    Rings(usize),
}

/// Where the collector's state begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcPlace {
    /// At this offset in `_PyRuntime` (3.8).
    Runtime(usize),
    /// At this offset in `PyInterpreterState`.
    Interpreter(usize),
}

/// `PyObject` and `PyVarObject`. They begin with `ob_refcnt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// How many bytes of `ob_refcnt` are the count: all 8 up to 3.11, the lower 4 from 3.12 on. If those 4
    /// bytes are a negative number, the object is immortal and its references are not counted.
    pub reference_count: u8,
    /// `ob_type`.
    pub kind: usize,
    /// `ob_size`, of objects that have one.
    pub size: usize,
}

/// `PyASCIIObject`, `PyCompactUnicodeObject`, `PyUnicodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unicode {
    /// Which characters `repr` does not escape.
    pub printable: Printable,
    /// `length` in characters.
    pub length: usize,
    /// `state`: bits 2 to 4 are the bytes per character, bit 5 means compact, bit 6 ASCII.
    pub state: usize,
    /// Where the characters of a compact ASCII string begin.
    pub ascii_data: usize,
    /// Where the characters of any other compact string begin.
    pub compact_data: usize,
    /// The pointer to the characters of a string that is not compact.
    pub data_pointer: usize,
    /// `utf8`: the pointer to the encoded copy, of strings that are not compact ASCII.
    pub utf8: usize,
    /// `utf8_length`, in bytes.
    pub utf8_length: usize,
    /// `wstr` and `wstr_length`: the wide-character copy (up to 3.11).
    pub wide: Option<[usize; 2]>,
    /// Bytes of a `PyUnicodeObject`.
    pub size: usize,
}

/// `PyBytesObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// `ob_size`.
    pub length: usize,
    /// `ob_sval`.
    pub data: usize,
}

/// `PyLongObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int {
    /// `ob_size`, which has the sign of the number (up to 3.11), or `lv_tag`.
    pub size: usize,
    /// Whether that is `lv_tag`, with the sign in its low three bits (from 3.12 on).
    pub tagged: bool,
    /// The 30-bit digits, lowest first.
    pub digits: usize,
    /// The number of digits that `sys.getsizeof` counts for zero.
    pub least_digits: u64,
}

/// `PyDictObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dict {
    /// `ma_keys`.
    pub keys: usize,
    /// `ma_values`, null unless the dict shares its keys.
    pub values: usize,
    /// Where the pointers begin in the block that `ma_values` points to.
    pub values_first: usize,
    /// `ma_used`: the number of entries.
    pub used: usize,
}

/// `PyDictKeysObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictKeys {
    /// How the size of the index table is stored.
    pub size: DictKeysSize,
    /// `dk_nentries`.
    pub entries: usize,
    /// `dk_indices`: the index table, then the entries.
    pub indices: usize,
    /// `dk_refcnt`.
    pub references: usize,
    /// `dk_usable`: the number of entries that can still be added.
    pub usable: usize,
}

/// How a `PyDictKeysObject` stores the size of its index table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictKeysSize {
    /// `dk_size` slots, and `dk_lookup`, the function that looks keys up (up to 3.10). Entries are
    /// {hash, key, value}.
    Slots {
        /// `dk_size`.
        count: usize,
        /// `dk_lookup`.
        lookup: usize,
    },
    /// As the power of 2 given by a byte (from 3.11 on). Entries are {hash, key, value} if the byte `dk_kind`
    /// is 0, else {key, value}.
    Logarithm {
        /// `dk_log2_size`: the number of slots.
        slots: usize,
        /// `dk_log2_index_bytes`.
        bytes: usize,
        /// `dk_kind`.
        kind: usize,
    },
}

/// The tables of allocator functions, each {ctx, malloc, calloc, realloc, free}.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocators {
    /// The static variables `_PyMem_Raw`, `_PyMem` and `_PyObject` (up to 3.11).
    Static,
    /// `_PyRuntime.allocators.standard` (from 3.12 on).
    Runtime {
        /// The raw domain.
        raw: usize,
        /// The mem domain.
        mem: usize,
        /// The object domain.
        object: usize,
    },
}

/// The arenas of pymalloc, CPython's own allocator of small blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pymalloc {
    /// Where it keeps the list of arenas.
    pub place: PymallocPlace,
    /// Bytes of an arena.
    pub arena_size: u64,
    /// Bytes of a pool, a power of two.
    pub pool_size: u64,
}

/// Where pymalloc keeps the list of its arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PymallocPlace {
    /// In the static variables `arenas` and `maxarenas` (up to 3.11).
    Static,
    /// In a struct `_obmalloc_state` at this offset in `PyInterpreterState` (3.12).
    Embedded(usize),
    /// In one behind the pointer at this offset in `PyInterpreterState` (from 3.13 on).
    Pointer(usize),
}

/// A layout, and the builds it was taken from.
#[derive(Debug)]
pub struct Table {
    /// The N of 3.N.
    pub minor: u8,
    /// The oldest micro version that is known to have it.
    pub first_micro: u8,
    /// Sizes of the symbol `_PyRuntime` in builds with this layout.
    pub runtime_sizes: &'static [u64],
    /// The offsets.
    pub layout: Layout,
}

/// All tables, oldest first.
pub static TABLES: &[&[Table]] = &[
    &v3_8::TABLES,
    &v3_9::TABLES,
    &v3_10::TABLES,
    &v3_11::TABLES,
    &v3_12::TABLES,
    &v3_13::TABLES,
    &v3_14::TABLES,
    &v3_15::TABLES,
];

/// The tables that may fit this version, the likeliest first: those with a known size of `_PyRuntime`, then
/// the newest micro version not beyond this one, then the others.
pub fn candidates(version: Version, runtime_size: u64) -> Vec<&'static Table> {
    let of_minor = TABLES.iter().copied().flatten().filter(|table| table.minor == version.minor);
    let mut tables: Vec<&Table> = of_minor.collect();
    tables.sort_by_key(|table| {
        let known_size = table.runtime_sizes.contains(&runtime_size);
        let too_new = table.first_micro > version.micro;
        (!known_size, too_new, table.first_micro.abs_diff(version.micro))
    });
    tables
}

/// The minor version whose builds have a `_PyRuntime` of this size, if there is one. Needed up to 3.10, where
/// the version is stored only in strings.
pub fn minor_of_runtime_size(size: u64) -> Option<u8> {
    let mut tables = TABLES.iter().copied().flatten();
    tables.find(|table| table.runtime_sizes.contains(&size)).map(|table| table.minor)
}
