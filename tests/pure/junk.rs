//! Junk memory: the same few words over and over, alone or around one well-formed structure.
//! The fuzz targets use it too.

use std::sync::{Arc, LazyLock};

use leakspy::memory::{Memory, ReadError};
use leakspy::process::{Image, Process};
use leakspy::python::layout::{HashEntry, Layout};
use leakspy::python::{Python, Types, Version};

/// Memory with many holes, or none: the same few words over and over, so that pointers lead to other such
/// words and chains close into rings.
#[derive(Debug, Clone)]
pub struct Junk {
    pub words: Vec<u64>,
    pub holes: bool,
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

/// Junk with a single type in it, which is the type of every object.
#[derive(Debug, Clone)]
pub struct OfOneType {
    pub junk: Junk,
    pub layout: &'static Layout,
    pub name: &'static str,
    pub flags: u64,
    pub sizes: [u64; 3],
}

/// The addresses of that type, its name, and an object of it.
pub const THE_TYPE: u64 = 0x7e00_0000_0000;
pub const AN_OBJECT: u64 = 0x7f00_0000_0000;
pub const ITS_NAME: u64 = THE_TYPE + 4096;

/// Copies the bytes at address `at` into a buffer that was read at `address`.
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

/// Junk with the head of one hash table in it, and buckets of which only the first is used.
#[derive(Debug, Clone)]
pub struct OfOneTable {
    pub junk: Junk,
    pub layout: &'static Layout,
    pub entries: u64,
    pub buckets: u64,
    pub key_size: u64,
    pub first: u64,
}

/// The addresses of that table and its buckets.
pub const THE_TABLE: u64 = 0x7d00_0000_0000;
pub const ITS_BUCKETS: u64 = THE_TABLE + 4096;

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

/// Types that have readers of their own.
pub const NAMES: &[&str] = &[
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

/// The size of the memory that the reader is given.
pub const EXTENT: u64 = 1 << 16;

/// An interpreter with nothing real behind it.
pub fn python(minor: u8, layout: Layout, runtime: u64, code: u64) -> Python {
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
        arenas_word: Arc::default(),
    }
}
