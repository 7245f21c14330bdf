//! The parts of a file that are not columns, byte by byte. All numbers are little-endian.
//!
//! ```text
//! head       0  magic, 8 bytes
//!            8  version of the format, u32
//!           12  reserved, u32: 0
//! tail       0  where the directory begins, u64
//!            8  the bytes of the directory, u64
//!           16  checksum of head and directory, u64
//!           24  magic, 8 bytes
//! directory  0  number of columns, u32; then for each
//!               length of the name, u8; the name
//!               encoding, u8; codec, u8; width of an element in memory in bytes, u8
//!               number of elements, u64
//!               bytes when decompressed, u64
//!               where it begins in the file, u64
//!               bytes in the file, u64
//!               checksum of those bytes, u64
//! block      0  bytes when decompressed, u32: BLOCK at most
//!            4  bytes in the file, u32
//!            8  those bytes
//! ```
//!
//! Checksums are XXH3, 64 bits. A column is a sequence of blocks, each compressed by itself. No number
//! goes across the end of a block.

use std::ops::Range;

use super::error::FileError;

/// The version of the format that this leakspy writes, and the highest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The first bytes: not ASCII, and with line ends that a transfer as text would change.
pub(super) const HEAD_MAGIC: [u8; 8] = *b"\x89LSPY\r\n\x1a";
/// The last bytes.
pub(super) const TAIL_MAGIC: [u8; 8] = *b"LSPYEND\n";
pub(super) const HEAD: usize = 16;
pub(super) const TAIL: usize = 32;
/// The head of a block.
pub(super) const BLOCK_HEAD: usize = 8;
/// The maximum size of a decompressed block, in bytes.
pub(super) const BLOCK: usize = 1 << 20;
/// The maximum length of a column's name, in bytes.
pub(super) const LONGEST_NAME: usize = 255;
/// The maximum number of columns that are read.
const MOST_COLUMNS: u32 = 4096;

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes as they are.
    Bytes,
    /// Numbers, each in as few bytes as it needs (LEB128).
    Numbers,
    /// The difference of each number to the one before it, signs folded in (zigzag), the first to 0.
    Differences,
}

impl Encoding {
    fn from_byte(byte: u8) -> Option<Encoding> {
        Some(match byte {
            0 => Encoding::Bytes,
            1 => Encoding::Numbers,
            2 => Encoding::Differences,
            _ => return None,
        })
    }

    fn to_byte(self) -> u8 {
        match self {
            Encoding::Bytes => 0,
            Encoding::Numbers => 1,
            Encoding::Differences => 2,
        }
    }

    /// The size of an element in memory, in bytes.
    pub(super) fn width(self) -> u8 {
        match self {
            Encoding::Bytes => 1,
            Encoding::Numbers | Encoding::Differences => 8,
        }
    }
}

/// The codec of the blocks: zstd. There is no other yet.
const ZSTD: u8 = 1;

/// A column, as described by the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub encoding: Encoding,
    /// The number of elements.
    pub count: u64,
    /// The size when decompressed, in bytes.
    pub decoded: u64,
    /// Where it is in the file.
    pub place: Range<u64>,
    pub checksum: u64,
}

/// The head of a file.
pub(super) fn head() -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&HEAD_MAGIC);
    head[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    head
}

/// The tail of a file.
pub(super) fn tail(start: u64, length: u64, checksum: u64) -> [u8; TAIL] {
    let mut tail = [0; TAIL];
    tail[..8].copy_from_slice(&start.to_le_bytes());
    tail[8..16].copy_from_slice(&length.to_le_bytes());
    tail[16..24].copy_from_slice(&checksum.to_le_bytes());
    tail[24..].copy_from_slice(&TAIL_MAGIC);
    tail
}

/// The directory of these columns.
pub(super) fn directory(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = (entries.len() as u32).to_le_bytes().to_vec();
    for entry in entries {
        bytes.push(entry.name.len() as u8);
        bytes.extend_from_slice(entry.name.as_bytes());
        bytes.extend([entry.encoding.to_byte(), ZSTD, entry.encoding.width()]);
        let length = entry.place.end - entry.place.start;
        for number in [entry.count, entry.decoded, entry.place.start, length, entry.checksum] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes
}

/// The columns of a directory that this leakspy can read, in a file whose columns may take `space`.
///
/// # Errors
/// It is not a directory, or describes an impossible column.
pub(super) fn entries(bytes: &[u8], space: Range<u64>) -> Result<Vec<Entry>, FileError> {
    let damaged = || FileError::damaged("the directory");
    let mut cursor = Cursor(bytes);
    let count = cursor.u32().filter(|&count| count <= MOST_COLUMNS).ok_or_else(damaged)?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let length = cursor.u8().ok_or_else(damaged)?;
        let name = cursor.take(length.into()).ok_or_else(damaged)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let [encoding, codec, width] =
            cursor.take(3).and_then(|kind| kind.try_into().ok()).ok_or_else(damaged)?;
        let mut number = || cursor.u64().ok_or_else(damaged);
        let (count, decoded, start, stored) = (number()?, number()?, number()?, number()?);
        let checksum = number()?;
        let end = start.checked_add(stored).ok_or_else(damaged)?;
        if start < space.start || end > space.end {
            return Err(FileError::contradiction(&name, "lies outside the file"));
        }
        // A later leakspy may write columns in another way: they are skipped like unknown ones.
        let Some(encoding) = Encoding::from_byte(encoding).filter(|_| codec == ZSTD) else {
            continue;
        };
        if width != encoding.width() {
            continue;
        }
        if count > decoded || encoding == Encoding::Bytes && count != decoded {
            return Err(FileError::contradiction(&name, "has more elements than bytes"));
        }
        if entries.iter().any(|other| other.name == name) {
            return Err(FileError::contradiction(&name, "is there twice"));
        }
        entries.push(Entry { name, encoding, count, decoded, place: start..end, checksum });
    }
    Ok(entries)
}

/// Takes bytes off the front.
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}
