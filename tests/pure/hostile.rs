//! Random bytes in place of a target's memory: whatever is asked, the answer is a value or an error,
//! never a panic, and never for ever.

use std::sync::{Arc, LazyLock};

use leakspy::memory::{Memory, ReadError};
use leakspy::process::{Image, Process};
use leakspy::python::debug_offsets::DebugOffsets;
use leakspy::python::dicts::{attribute, entries, get};
use leakspy::python::layout::{HashEntry, Layout, TABLES};
use leakspy::python::objects::{
    Disclosure, Edges, Reader, TypeTable, bytes, small_int, string, type_name,
};
use leakspy::python::tracemalloc::{Tables, Traces, Tracing};
use leakspy::python::{CodeCache, Python, RawFrame, RawStack, Types, Version};
use proptest::prelude::*;

/// Memory without a hole, or with many: the same few words over and over, so that pointers that are
/// followed lead to other such words and chains close into rings.
#[derive(Debug, Clone)]
struct Junk {
    words: Vec<u64>,
    holes: bool,
}

impl Memory for Junk {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        if self.holes && address >> 12 & 3 == 3 {
            return Err(ReadError::Unmapped { address, length: buffer.len() });
        }
        let (mut at, mut rest) = (address, buffer);
        while !rest.is_empty() {
            let word = self.words[(at / 8) as usize % self.words.len()].to_le_bytes();
            let word = &word[(at % 8) as usize..];
            let (piece, after) = rest.split_at_mut(word.len().min(rest.len()));
            piece.copy_from_slice(&word[..piece.len()]);
            at = at.wrapping_add(piece.len() as u64);
            rest = after;
        }
        Ok(())
    }
}

/// Words such as a target has: small numbers, addresses close by, extremes, anything.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..64,
        4 => (0_u64..512).prop_map(|word| 0x7f00_0000_0000 + 8 * word),
        1 => Just(u64::MAX),
        1 => Just(i64::MAX as u64),
        2 => any::<u64>(),
    ]
}

fn junk() -> impl Strategy<Value = Junk> {
    (proptest::collection::vec(word(), 1..400), any::<bool>())
        .prop_map(|(words, holes)| Junk { words, holes })
}

/// Junk with one type in it, to which every object claims to belong.
#[derive(Debug, Clone)]
struct OfOneType {
    junk: Junk,
    layout: &'static Layout,
    name: &'static str,
    flags: u64,
    sizes: [u64; 3],
}

/// Where that type is, its name, and an object of it.
const THE_TYPE: u64 = 0x7e00_0000_0000;
const AN_OBJECT: u64 = 0x7f00_0000_0000;
const ITS_NAME: u64 = THE_TYPE + 4096;

/// Lays bytes that are at `at` over a buffer that was read at `address`.
fn lay_over(address: u64, buffer: &mut [u8], at: u64, bytes: &[u8]) {
    for (at, byte) in (at..).zip(bytes) {
        let place = at.checked_sub(address).and_then(|place| usize::try_from(place).ok());
        if let Some(slot) = place.and_then(|place| buffer.get_mut(place)) {
            *slot = *byte;
        }
    }
}

impl Memory for OfOneType {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.junk.read(address, buffer)?;
        let mut write = |at: u64, bytes: &[u8]| lay_over(address, buffer, at, bytes);
        let types = &self.layout.types;
        let [basic_size, item_size, dict_offset] = self.sizes;
        let fields = [
            (self.layout.object.kind, THE_TYPE),
            (types.name, ITS_NAME),
            (types.basic_size, basic_size),
            (types.item_size, item_size),
            (types.flags, self.flags | 1 << 31),
            (types.dict_offset, dict_offset),
            (types.base, 0),
        ];
        for (offset, value) in fields {
            write(THE_TYPE + offset as u64, &value.to_le_bytes());
        }
        write(ITS_NAME, self.name.as_bytes());
        write(ITS_NAME + self.name.len() as u64, &[0]);
        Ok(())
    }
}

/// Junk with the head of one hash table in it, and buckets of which only the first holds anything.
#[derive(Debug, Clone)]
struct OfOneTable {
    junk: Junk,
    layout: &'static Layout,
    entries: u64,
    buckets: u64,
    key_size: u64,
    first: u64,
}

/// Where that table is, and its buckets.
const THE_TABLE: u64 = 0x7d00_0000_0000;
const ITS_BUCKETS: u64 = THE_TABLE + 4096;

impl Memory for OfOneTable {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.junk.read(address, buffer)?;
        let table = &self.layout.tracemalloc.table;
        let mut fields = vec![
            (table.bucket_count, self.buckets),
            (table.entry_count, self.entries),
            (table.buckets, ITS_BUCKETS),
        ];
        if let HashEntry::Inside { key_size, .. } = table.entry {
            fields.extend([(key_size, self.key_size), (key_size + 8, 16)]);
        }
        for (offset, value) in fields {
            lay_over(address, buffer, THE_TABLE + offset as u64, &value.to_le_bytes());
        }
        lay_over(address, buffer, ITS_BUCKETS, &vec![0; 8 * self.buckets as usize]);
        lay_over(address, buffer, ITS_BUCKETS, &self.first.to_le_bytes());
        Ok(())
    }
}

fn of_one_table() -> impl Strategy<Value = OfOneTable> {
    let key_size = prop_oneof![Just(8), Just(12), word()];
    (junk(), 0..TABLES.len(), 0_u64..40, 3..8, key_size, word()).prop_map(
        |(junk, version, entries, power, key_size, first)| {
            let layout = &TABLES[version][0].layout;
            OfOneTable { junk, layout, entries, buckets: 1_u64 << power, key_size, first }
        },
    )
}

/// Types that are read in a way of their own.
const NAMES: &[&str] = &[
    "int",
    "str",
    "bytes",
    "list",
    "tuple",
    "dict",
    "collections.OrderedDict",
    "set",
    "collections.deque",
    "code",
    "frame",
    "generator",
    "type",
    "module",
    "function",
    "hamt_bitmap_node",
    "hamt_array_node",
    "datetime.datetime",
    "itertools._tee_dataobject",
    "functools._lru_cache_wrapper",
    "xml.etree.ElementTree.Element",
    "bytearray",
    "array.array",
    "numpy.ndarray",
    "_io.BytesIO",
    "_io.StringIO",
    "_io.BufferedReader",
    "_queue.SimpleQueue",
    "mmap.mmap",
    "nobody knows",
];

fn of_one_type() -> impl Strategy<Value = OfOneType> {
    let sizes = proptest::array::uniform3(word());
    (junk(), 0..TABLES.len(), proptest::sample::select(NAMES), 0..1_u64 << 32, sizes).prop_map(
        |(junk, version, name, flags, sizes)| {
            let layout = &TABLES[version][0].layout;
            OfOneType { junk, layout, name, flags, sizes }
        },
    )
}

fn layouts() -> impl Iterator<Item = (u8, &'static Layout)> {
    TABLES.iter().copied().flatten().map(|table| (table.minor, &table.layout))
}

/// How much memory the reader is told that there is.
const EXTENT: u64 = 1 << 16;

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0x7f00_0000_0000), word()]
}

/// An interpreter that is nothing of the kind.
fn python(minor: u8, layout: Layout, runtime: u64, code: u64) -> Python {
    static OWN_IMAGE: LazyLock<Arc<Image>> = LazyLock::new(|| {
        let process = Process::open(std::process::id() as i32).expect("we are there");
        let maps = process.maps().expect("our maps can be read");
        Arc::new(Image::open(process.pid(), &maps[0]).expect("our file is an image"))
    });
    Python {
        version: Version { major: 3, minor, micro: 1 },
        layout: Arc::new(layout),
        runtime,
        types: Types { kind: runtime, code, module: runtime },
        image: Arc::clone(&OWN_IMAGE),
        disagreements: Vec::new(),
    }
}

proptest! {
    #[test]
    fn an_interpreter(memory in junk(), runtime in address(), code in address()) {
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, runtime, code);
            let _ = python.validate(&memory);
            let _ = python.interpreters(&memory);
            let _ = python.gil_holders(&memory);
            let _ = python.allocators(&memory);
            if let Ok(threads) = python.thread_states(&memory) {
                prop_assert!(threads.len() <= 100_000);
            }
            let _ = python.thread_names(&memory);
        }
    }

    #[test]
    fn a_stack(memory in junk(), thread in address()) {
        let mut raw = RawStack::default();
        let mut cache = CodeCache::new();
        for (minor, layout) in layouts() {
            // Some word is taken for the type of code, so that some frames are looked at closely.
            let python = python(minor, *layout, thread, memory.words[0]);
            let _ = python.copy_stack(&memory, thread, &mut raw);
            prop_assert!(raw.frames.len() <= 100_000);
            raw.frames.truncate(200);
            cache.resolve_stack(&memory, &python, &raw);
        }
    }

    #[test]
    fn a_frame(memory in junk(), code in address(), instruction: i32, generator: bool) {
        for (minor, layout) in layouts() {
            let kind = memory.u64(code.wrapping_add(layout.object.kind as u64)).unwrap_or(0);
            let python = python(minor, *layout, 0, kind);
            let frame = RawFrame { code, instruction, generator };
            let _ = CodeCache::new().resolve(&memory, &python, &frame);
        }
    }

    #[test]
    fn objects(memory in junk(), object in address()) {
        for (_, layout) in layouts() {
            if let Ok(text) = string(&memory, layout, object) {
                prop_assert!(text.chars().count() <= 4096);
            }
            let _ = bytes(&memory, layout, object);
            let _ = small_int(&memory, layout, object);
            let _ = type_name(&memory, layout, object);
        }
    }

    #[test]
    fn descriptions(memory in junk(), object in address(), kind in address(), child in word()) {
        let mut edges = Edges::new();
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, kind, kind);
            let types = TypeTable::new(&memory, &python, EXTENT);
let reader = Reader::new(&memory, &types);
            let _ = reader.describe(object, &mut edges);
            prop_assert!(edges.shown.len() + edges.held.len() < EXTENT as usize);
            let _ = reader.link(object, child, Disclosure::Values);
        }
    }

    #[test]
    fn descriptions_of_every_type(mut memory in of_one_type(), child in word()) {
        let kind = memory.layout.object.kind as u64;
        let place = ((AN_OBJECT + kind) / 8) as usize % memory.junk.words.len();
        memory.junk.words[place] = THE_TYPE;
        let python = python(8, *memory.layout, THE_TYPE, THE_TYPE);
        let types = TypeTable::new(&memory, &python, EXTENT);
let reader = Reader::new(&memory, &types);
        let mut edges = Edges::new();
        let described = reader.describe(AN_OBJECT, &mut edges);
        prop_assert_eq!(types.count(), 1, "{:?}", described);
        for child in edges.shown.iter().chain(&edges.held).take(3).chain([&child]) {
            let _ = reader.link(AN_OBJECT, *child, Disclosure::Values);
        }
    }

    #[test]
    fn traces(memory in of_one_table(), most_frames in 1_u32..70_000, domains in address()) {
        let tracing = Tracing { most_frames };
        for domains in [None, Some(THE_TABLE), Some(domains)] {
            let tables = Tables { traces: THE_TABLE, domains, traced_memory: None };
            if let Ok(traces) = Traces::read(&memory, memory.layout, &tables, tracing) {
                prop_assert!(traces.iter().len() <= memory.entries as usize * 1025);
                for trace in traces.iter() {
                    prop_assert!(traces.traceback(trace.traceback).frames().count() > 0);
                }
            }
        }
    }

    #[test]
    fn the_state_of_tracemalloc(memory in junk(), runtime in address()) {
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, runtime, 0);
            let _ = python.traces(&memory);
            let _ = python.search_traces(&memory, Tracing { most_frames: 25 });
        }
    }

    #[test]
    fn dicts(memory in junk(), object in address()) {
        for (_, layout) in layouts() {
            let _ = entries(&memory, layout, object);
            let _ = get(&memory, layout, object, "key");
            let _ = attribute(&memory, layout, object, "name");
        }
    }

    #[test]
    fn offsets_that_the_target_publishes(
        mut memory in junk(),
        minor in 12_u8..18,
        thread in address(),
    ) {
        memory.holes = false;
        memory.words.resize(400, 8);
        memory.words[0] = u64::from_le_bytes(*b"xdebugpy");
        memory.words[1] = 0x0300_01f0 | u64::from(minor) << 16;
        let runtime = 400 * 8 * 1000;
        if let Some(offsets) = DebugOffsets::read(&memory, runtime).expect("no holes") {
            let mut layout = TABLES[7][0].layout;
            offsets.apply(&mut layout);
            let python = python(minor, layout, runtime, memory.words[2]);
            let _ = python.validate(&memory);
            let _ = python.thread_states(&memory);
            let mut raw = RawStack::default();
            let _ = python.copy_stack(&memory, thread, &mut raw);
            raw.frames.truncate(200);
            CodeCache::new().resolve_stack(&memory, &python, &raw);
        }
    }
}
