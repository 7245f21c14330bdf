//! Reading a file.
//!
//! A file is hostile until checked. Everything read from it is first checked against its checksum; that finds
//! accidents, not intent, so nothing relies on it: lengths are compared with what is there, a block
//! decompresses into a buffer of bounded length, and all columns together are bounded by the memory that may
//! be used.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::Mmap;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};
use zstd::bulk::Decompressor;

use super::error::FileError;
use super::layout::{
    BLOCK, Cursor, Encoding, Entry, FORMAT_VERSION, HEAD, HEAD_MAGIC, TAIL, TAIL_MAGIC, entries,
};
use super::varint;

/// An open file.
#[derive(Debug)]
pub struct Reader {
    map: Mmap,
    entries: Vec<Entry>,
    /// The memory that the contents take, and the most that may be used, in bytes.
    needed: u64,
    allowed: u64,
}

impl Reader {
    /// Opens a file. Its contents may take up to `allowed` bytes of memory.
    ///
    /// # Errors
    /// It cannot be opened, is not a snapshot, is incomplete, damaged, of a later format, or too large.
    pub fn open(path: &Path, allowed: u64) -> Result<Reader, FileError> {
        // A pipe without a writer would otherwise block until there is one.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(FileError::Foreign);
        }
        // SAFETY: the mapping is only read. leakspy never changes a file that has its name, it renames a new
        // one over it. If someone else truncates the file while it is mapped, the kernel ends this process
        // with SIGBUS, which harms no other process.
        let map = unsafe { Mmap::map(&file)? };
        let entries = open(&map)?;
        let memory = |entry: &Entry| entry.count.saturating_mul(entry.encoding.width().into());
        let needed = entries.iter().map(memory).fold(0, u64::saturating_add);
        let reader = Reader { map, entries, needed, allowed };
        reader.afford(0)?;
        Ok(reader)
    }

    /// Checks that this many bytes of memory may be used besides those for the contents.
    ///
    /// # Errors
    /// That is too much.
    pub fn afford(&self, more: u64) -> Result<(), FileError> {
        let (needed, allowed) = (self.needed.saturating_add(more), self.allowed);
        match needed <= allowed {
            true => Ok(()),
            false => Err(FileError::TooLarge { needed, allowed }),
        }
    }

    /// The columns: the name, the number of elements and the bytes in the file of each.
    pub fn columns(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.entries.iter().map(|entry| {
            (entry.name.as_str(), entry.count, entry.place.end.saturating_sub(entry.place.start))
        })
    }

    /// The length of the file, in bytes.
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is a column.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// The numbers of a column, after its checksum has been verified.
    ///
    /// # Errors
    /// There is no such column, it is damaged, or has no numbers.
    pub fn numbers(&self, name: &'static str) -> Result<Values<'_>, FileError> {
        let (entry, stored) = self.column(name)?;
        if entry.encoding == Encoding::Bytes {
            return Err(FileError::contradiction(name, "has no numbers"));
        }
        Ok(Values {
            name,
            blocks: Blocks::new(name, stored)?,
            at: 0,
            left: entry.count,
            previous: 0,
            differences: entry.encoding == Encoding::Differences,
        })
    }

    /// The bytes of a column.
    ///
    /// # Errors
    /// There is no such column, or it is damaged.
    pub fn bytes(&self, name: &'static str) -> Result<Vec<u8>, FileError> {
        let (entry, stored) = self.column(name)?;
        if entry.encoding != Encoding::Bytes {
            return Err(FileError::contradiction(name, "has no bytes"));
        }
        let mut blocks = Blocks::new(name, stored)?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < entry.decoded {
            blocks.next()?;
            bytes.extend_from_slice(&blocks.buffer);
        }
        if bytes.len() as u64 != entry.decoded || !blocks.rest.0.is_empty() {
            return Err(FileError::damaged(format!("column `{name}`")));
        }
        Ok(bytes)
    }

    fn column(&self, name: &'static str) -> Result<(&Entry, &[u8]), FileError> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or(FileError::Missing(name))?;
        let damaged = || FileError::damaged(format!("column `{name}`"));
        let stored = part(&self.map, &entry.place).ok_or_else(damaged)?;
        match xxh3_64(stored) == entry.checksum {
            true => Ok((entry, stored)),
            false => Err(damaged()),
        }
    }
}

/// Checks everything around the columns of a file, and returns the columns.
fn open(file: &[u8]) -> Result<Vec<Entry>, FileError> {
    let head = file.get(..HEAD).filter(|head| head.starts_with(&HEAD_MAGIC));
    let head = match head {
        Some(head) => head,
        None if is_cut_off(file) => {
            return Err(FileError::Incomplete);
        }
        None => return Err(FileError::Foreign),
    };
    let version = Cursor(head.get(HEAD_MAGIC.len()..).unwrap_or_default()).u32();
    let version = version.unwrap_or_default();
    if version > FORMAT_VERSION {
        return Err(FileError::Newer { version });
    }
    let behind = file.len().checked_sub(TAIL).filter(|&at| at >= HEAD);
    let behind = behind.ok_or(FileError::Incomplete)?;
    let tail = file.get(behind..).filter(|tail| tail.ends_with(&TAIL_MAGIC));
    let mut tail = Cursor(tail.ok_or(FileError::Incomplete)?);
    let mut number = || tail.u64().unwrap_or_default();
    let (start, length, checksum) = (number(), number(), number());
    let damaged = || FileError::damaged("the directory");
    let end = start.checked_add(length).filter(|&end| end <= behind as u64).ok_or_else(damaged)?;
    let directory = part(file, &(start..end)).ok_or_else(damaged)?;
    let mut found = Xxh3::new();
    found.update(head);
    found.update(directory);
    if found.digest() != checksum {
        return Err(damaged());
    }
    entries(directory, HEAD as u64..start)
}

/// Whether a file ends within its head.
fn is_cut_off(file: &[u8]) -> bool {
    let (begins, ends) = (file.starts_with(&HEAD_MAGIC), HEAD_MAGIC.starts_with(file));
    !file.is_empty() && file.len() < HEAD && (begins || ends)
}

fn part<'a>(file: &'a [u8], place: &Range<u64>) -> Option<&'a [u8]> {
    file.get(usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?)
}

/// The blocks of a column, one after the other.
struct Blocks<'a> {
    name: &'static str,
    rest: Cursor<'a>,
    decompressor: Decompressor<'static>,
    /// The last block read.
    buffer: Vec<u8>,
}

impl<'a> Blocks<'a> {
    fn new(name: &'static str, stored: &'a [u8]) -> Result<Blocks<'a>, FileError> {
        let decompressor = Decompressor::new()?;
        Ok(Blocks { name, rest: Cursor(stored), decompressor, buffer: Vec::with_capacity(BLOCK) })
    }

    /// Decompresses the next block.
    fn next(&mut self) -> Result<(), FileError> {
        self.try_next().ok_or_else(|| FileError::damaged(format!("column `{}`", self.name)))
    }

    fn try_next(&mut self) -> Option<()> {
        let decoded = self.rest.u32()? as usize;
        let stored = self.rest.u32()? as usize;
        let bytes = self.rest.take(stored)?;
        if decoded == 0 || decoded > BLOCK {
            return None;
        }
        self.buffer.clear();
        // It never writes beyond the capacity of the buffer, which is that of a block.
        let found = self.decompressor.decompress_to_buffer(bytes, &mut self.buffer).ok()?;
        (found == decoded).then_some(())
    }
}

/// The numbers of a column, one after the other.
pub struct Values<'a> {
    name: &'static str,
    blocks: Blocks<'a>,
    at: usize,
    left: u64,
    previous: u64,
    differences: bool,
}

impl Values<'_> {
    /// How many are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next number.
    ///
    /// # Errors
    /// There are no more, or the column is damaged.
    #[inline]
    pub fn number(&mut self) -> Result<u64, FileError> {
        if self.left == 0 {
            return Err(FileError::contradiction(self.name, "has too few elements"));
        }
        if self.at >= self.blocks.buffer.len() {
            self.blocks.next()?;
            self.at = 0;
        }
        self.left -= 1;
        let read = varint::read(&self.blocks.buffer, &mut self.at);
        let number = read.ok_or_else(|| FileError::damaged(format!("column `{}`", self.name)))?;
        self.previous = match self.differences {
            true => varint::apply(self.previous, number),
            false => number,
        };
        Ok(self.previous)
    }

    /// The next number of a column whose numbers all fit in 32 bits.
    ///
    /// # Errors
    /// There are no more, it is larger, or the column is damaged.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, FileError> {
        let number = self.number()?;
        u32::try_from(number)
            .map_err(|_| FileError::contradiction(self.name, "has an element that is too large"))
    }

    /// The next number, as an index below `end`.
    ///
    /// # Errors
    /// There are no more, it is not below `end`, or the column is damaged.
    #[inline]
    pub fn below(&mut self, end: u32) -> Result<u32, FileError> {
        match self.u32()? {
            number if number < end => Ok(number),
            _ => Err(FileError::contradiction(self.name, "has an element that is out of range")),
        }
    }
}

impl Iterator for Values<'_> {
    type Item = Result<u64, FileError>;

    fn next(&mut self) -> Option<Result<u64, FileError>> {
        (self.left > 0).then(|| self.number())
    }
}
