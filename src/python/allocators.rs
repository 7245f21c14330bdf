//! The addresses of the functions that Python allocates through.
//!
//! CPython calls its allocators through tables of pointers {ctx, malloc, calloc, realloc, free}, one table
//! per domain (raw, mem, object). From 3.12 on the tables are in `_PyRuntime`; before that, in static
//! variables that only the full symbol table names. In stripped builds they are found by their contents:
//! pointers to the interpreter's own functions.
//!
//! Not every allocation *calls* these functions. A build with profile-guided and link-time optimisation
//! (Debian's, python.org's recipe `--enable-optimizations --with-lto`) inlines pymalloc at hundreds of
//! places, each behind a check that the pointer in the table is pymalloc's: there the word in the table is
//! read, but the function is not called. All builds have that read in common.

use super::layout::Allocators as Place;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::image::Part;
use crate::process::{Image, references};

/// Bytes that the debugging allocator (`PYTHONMALLOC=debug`) puts before a block.
pub const DEBUG_HEAD: u64 = 16;
/// Bytes of a table: the words ctx, malloc, calloc, realloc, free.
const TABLE_SIZE: usize = 40;
/// The largest segment that is searched, in bytes.
const LARGEST_SEGMENT: u64 = 64 << 20;
/// A function that is not inlined has its address taken only where tables are filled and compared: at most 5
/// times in builds without link-time optimisation, against 195 to 283 times in Debian's 3.11 to 3.15.
const MOST_MENTIONS: usize = 20;

/// The functions of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocatorFunctions {
    /// Where the table is. Every allocation of the domain reads it, even where the function has been inlined;
    /// the function pointers are at [`MALLOC`](Self::MALLOC) and so on.
    pub table: u64,
    /// The `ctx` argument of the functions; null for CPython's own, unless hooks are installed.
    pub context: u64,
    /// `malloc(ctx, size)`.
    pub malloc: u64,
    /// `calloc(ctx, count, size)`.
    pub calloc: u64,
    /// `realloc(ctx, block, size)`.
    pub realloc: u64,
    /// `free(ctx, block)`.
    pub free: u64,
}

impl AllocatorFunctions {
    /// The offset of the pointer to `malloc` in a table, in bytes.
    pub const MALLOC: u64 = 8;
    /// The offset of the pointer to `calloc`.
    pub const CALLOC: u64 = 16;
    /// The offset of the pointer to `realloc`.
    pub const REALLOC: u64 = 24;
    /// The offset of the pointer to `free`.
    pub const FREE: u64 = 32;

    /// Whether the same calls go to the same functions with the same context.
    pub fn same_as(&self, other: &AllocatorFunctions) -> bool {
        AllocatorFunctions { table: other.table, ..*self } == *other
    }
}

/// The functions of the three domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocators {
    /// The raw domain, used without the GIL.
    pub raw: AllocatorFunctions,
    /// The mem domain: buffers, such as a list's items.
    pub mem: AllocatorFunctions,
    /// The object domain.
    pub object: AllocatorFunctions,
    /// Whether the object domain is pymalloc itself: the interpreter's own functions, without a hook
    /// (tracemalloc, the debug allocator) in front, shared with the mem domain but not with raw.
    pub is_pymalloc: bool,
}

/// Why the allocators are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocatorError {
    /// The tables could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No table was found in a stripped build.
    #[error("the interpreter's allocator tables are not in its writable memory")]
    NotFound,
    /// The tables do not point to code.
    #[error("the interpreter's allocator tables hold {0:#x}, which is not a function")]
    NotCode(u64),
}

impl Obstructed for AllocatorError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            AllocatorError::Read(error) => error.obstacle(),
            AllocatorError::NotFound | AllocatorError::NotCode(_) => None,
        }
    }
}

impl Python {
    /// The functions that allocations go through now. They change when tracemalloc starts or stops.
    pub fn allocators<M: Memory>(&self, memory: &M) -> Result<Allocators, AllocatorError> {
        let image = &self.image;
        let tables = match self.layout.allocators {
            Place::Runtime { raw, mem, object } => {
                Some([raw, mem, object].map(|offset| at(self.runtime, offset)))
            }
            Place::Static => match ["_PyMem_Raw", "_PyMem", "_PyObject"].map(|n| image.symbol(n)) {
                [Some(raw), Some(mem), Some(object)] => Some([raw, mem, object].map(|s| s.address)),
                _ => search(memory, image)?,
            },
        };
        let [raw, mem, object] = tables.ok_or(AllocatorError::NotFound)?;
        let raw = read_table(memory, raw)?;
        let mem = read_table(memory, mem)?;
        let object = read_table(memory, object)?;
        for function in [object.malloc, object.calloc, object.realloc, object.free] {
            if function == 0 {
                return Err(AllocatorError::NotCode(function));
            }
        }
        let is_pymalloc = object.context == 0
            && image.is_code(object.malloc)
            && object.same_as(&mem)
            && object.malloc != raw.malloc;
        Ok(Allocators { raw, mem, object, is_pymalloc })
    }

    /// Whether the compiler has inlined the allocator's `function` at its calls, so that the function itself
    /// is hardly ever reached.
    pub fn is_copied<M: Memory>(&self, memory: &M, function: u64) -> bool {
        let code = self.image.segments().iter().filter(|segment| segment.executable);
        let mentions = |segment: &Part| {
            let code = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT as usize);
            code.map_or(0, |code| references::count(&code, segment.address, function))
        };
        code.map(mentions).sum::<usize>() > MOST_MENTIONS
    }
}

fn read_table<M: Memory>(memory: &M, table: u64) -> Result<AllocatorFunctions, ReadError> {
    let bytes: [u8; TABLE_SIZE] = memory.array(table)?;
    let word = |index: usize| u64_at(&bytes, 8 * index).unwrap_or_default();
    Ok(AllocatorFunctions {
        table,
        context: word(0),
        malloc: word(1),
        calloc: word(2),
        realloc: word(3),
        free: word(4),
    })
}

/// Searches the interpreter's writable memory for the tables of a stripped build up to 3.11, and returns the
/// addresses of those of raw, mem and object.
///
/// `_PyObject` is followed by `_PyMem`, which has the same functions whatever hooks are installed;
/// `_PyMem_Raw` is near, before or after them. `_PyMem_Debug` has tables too, and is recognized by the letter
/// before each. If more than one pair matches, the result is `None`.
pub fn search<M: Memory>(memory: &M, image: &Image) -> Result<Option<[u64; 3]>, ReadError> {
    /// Bytes from one table to the next: back to back, or each aligned to 32 bytes.
    const STRIDES: [usize; 2] = [40, 64];
    /// How far away `_PyMem_Raw` may be, in bytes.
    const NEAR: usize = 1024;
    let mut pairs = Vec::new();
    let writable = image.segments().iter().filter(|segment| segment.writable);
    for segment in writable.filter(|segment| segment.size <= LARGEST_SEGMENT) {
        let bytes = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT as usize)?;
        let tables: Vec<usize> = (0..bytes.len().saturating_sub(TABLE_SIZE))
            .step_by(8)
            .filter(|&offset| is_table(&bytes, offset, image))
            .collect();
        let functions = |offset: usize| bytes.get(offset + 8..offset + TABLE_SIZE);
        for &object in &tables {
            let second = STRIDES.map(|stride| object + stride).into_iter().find(|second| {
                tables.binary_search(second).is_ok() && functions(object) == functions(*second)
            });
            let Some(mem) = second else { continue };
            let others = tables.iter().filter(|&&other| other != object && other != mem);
            let raw = others.min_by_key(|other| other.abs_diff(mem));
            if let Some(&raw) = raw.filter(|raw| raw.abs_diff(mem) <= NEAR) {
                pairs.push([raw, mem, object].map(|offset| at(segment.address, offset)));
            }
        }
    }
    // With PYTHONMALLOC=malloc all three tables have the same functions, so they make two pairs.
    match pairs.as_slice() {
        [tables] => Ok(Some(*tables)),
        [first, second] if first[1] == second[2] => Ok(Some(*first)),
        _ => Ok(None),
    }
}

/// Whether the words at `offset` look like a table: a word that is not a function, then four different
/// functions of the image, with no letter of `_PyMem_Debug` before them.
fn is_table(bytes: &[u8], offset: usize, image: &Image) -> bool {
    let word = |index: usize| u64_at(bytes, offset + 8 * index);
    let [Some(context), Some(malloc), Some(calloc), Some(realloc), Some(free)] =
        [0, 1, 2, 3, 4].map(word)
    else {
        return false;
    };
    let functions = [malloc, calloc, realloc, free];
    let distinct = functions
        .iter()
        .enumerate()
        .all(|(index, function)| !functions.iter().skip(index + 1).any(|other| other == function));
    let letter = offset.checked_sub(8).and_then(|before| u64_at(bytes, before));
    let is_letter = [b'r', b'm', b'o'].iter().any(|&name| letter == Some(name.into()));
    distinct
        && !is_letter
        && !image.is_code(context)
        && functions.iter().all(|&function| image.is_code(function))
}
