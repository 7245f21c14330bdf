//! The bytes of an object and of its tables: borrowed from the memory where possible, else read once.
//!
//! Nothing here allocates. A field beyond the bytes at hand is read separately, and a table is walked in
//! pieces, after a check that its length is plausible.

use crate::memory::{Memory, ReadError, u32_at, u64_at};
use crate::python::at;

/// The most bytes of an object that are read at once; most objects are smaller.
const SPAN: usize = 256;
/// The most bytes of a table that are read at once: a multiple of every entry size.
const PIECE: usize = 3072;

/// The first bytes of an object.
pub(super) struct View<'m, M> {
    memory: &'m M,
    address: u64,
    bytes: Bytes<'m>,
}

#[expect(clippy::large_enum_variant, reason = "it lives on the stack, for as long as one object")]
enum Bytes<'m> {
    Lent(&'m [u8]),
    Read([u8; SPAN], usize),
}

impl<'m, M: Memory> View<'m, M> {
    /// Reads or borrows up to `length` bytes; fields beyond them can be read too.
    #[inline]
    pub fn new(memory: &'m M, address: u64, length: usize) -> Result<View<'m, M>, ReadError> {
        if let Some(bytes) = memory.lend(address, length) {
            return Ok(View { memory, address, bytes: Bytes::Lent(bytes) });
        }
        let length = length.min(SPAN);
        let mut buffer = [0; SPAN];
        memory.read(address, buffer.get_mut(..length).unwrap_or_default())?;
        Ok(View { memory, address, bytes: Bytes::Read(buffer, length) })
    }

    /// The bytes at hand.
    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Lent(bytes) => bytes,
            Bytes::Read(buffer, length) => buffer.get(..*length).unwrap_or_default(),
        }
    }

    /// Where the object is.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// A word.
    #[inline]
    pub fn u64(&self, offset: usize) -> Result<u64, ReadError> {
        match u64_at(self.bytes(), offset) {
            Some(word) => Ok(word),
            None => self.memory.u64(at(self.address, offset)),
        }
    }

    /// A half word.
    #[inline]
    pub fn u32(&self, offset: usize) -> Result<u32, ReadError> {
        match u32_at(self.bytes(), offset) {
            Some(word) => Ok(word),
            None => self.memory.u32(at(self.address, offset)),
        }
    }

    /// A signed half word.
    pub fn i32(&self, offset: usize) -> Result<i32, ReadError> {
        Ok(self.u32(offset)? as i32)
    }

    /// A byte.
    #[inline]
    pub fn u8(&self, offset: usize) -> Result<u8, ReadError> {
        match self.bytes().get(offset) {
            Some(byte) => Ok(*byte),
            None => self.memory.u8(at(self.address, offset)),
        }
    }
}

/// Passes the entries of a table, of `N` words each, to `take` with their index.
///
/// `extent` is the number of bytes of memory in all: a larger table is implausible.
#[inline]
pub(super) fn each<const N: usize, M: Memory>(
    memory: &M,
    address: u64,
    count: u64,
    extent: u64,
    mut take: impl FnMut(u64, [u64; N]),
) -> Result<(), ReadError> {
    let size = 8 * N;
    let implausible = ReadError::Implausible { address, length: count };
    let length = count.checked_mul(size as u64).filter(|&length| length <= extent);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(implausible)?;
    let mut number = 0;
    let mut take_all = |bytes: &[u8]| {
        for entry in bytes.chunks_exact(size) {
            let mut words = [0; N];
            for (word, bytes) in words.iter_mut().zip(entry.chunks_exact(8)) {
                *word = u64_at(bytes, 0).unwrap_or_default();
            }
            take(number, words);
            number += 1;
        }
    };
    if let Some(bytes) = memory.lend(address, length) {
        take_all(bytes);
        return Ok(());
    }
    let mut buffer = [0; PIECE];
    let (mut address, mut rest) = (address, length);
    while rest > 0 {
        let piece = buffer.get_mut(..rest.min(PIECE - PIECE % size)).unwrap_or_default();
        memory.read(address, piece)?;
        take_all(piece);
        address = address.wrapping_add(piece.len() as u64);
        rest = rest.saturating_sub(piece.len().max(1));
    }
    Ok(())
}
