//! Reading memory: the one small trait through which `python` and `heap` see bytes.
//!
//! They never know whether the bytes come from a live process, from a capture taken in a pause, or from a
//! test's random data. Everything read is hostile until checked: a length or a pointer from the target may be
//! anything, so every helper here takes a bound from the caller.

mod cached;

use crate::obstacle::{Obstacle, Obstructed, Obstruction};
pub use cached::Cached;

/// Bytes of a page. (True of all x86-64; aarch64 kernels with larger pages would need a query.)
pub const PAGE: u64 = 4096;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such memory in the target (any more).
    #[error("no readable memory at {address:#x} ({length} bytes)")]
    Unmapped {
        /// Where the read began.
        address: u64,
        /// How many bytes were asked for.
        length: usize,
    },
    /// The process ended.
    #[error("the process has ended")]
    Ended,
    /// The process runs another program (`execve`): what was there is gone.
    #[error("the process has replaced its program")]
    Replaced,
    /// The kernel refuses to let us read.
    #[error("reading its memory is not permitted")]
    Denied,
    /// A length read from the target is beyond what its kind of object can have.
    #[error("implausible length {length} at {address:#x}")]
    Implausible {
        /// The address of the object with that length.
        address: u64,
        /// The length it claims.
        length: u64,
    },
}

impl Obstructed for ReadError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            ReadError::Ended => Obstacle::Ended.of_target(),
            ReadError::Replaced => Obstacle::Replaced.of_target(),
            ReadError::Denied => Obstacle::Denied.of_target(),
            ReadError::Unmapped { .. } | ReadError::Implausible { .. } => None,
        }
    }
}

impl ReadError {
    /// Whether the error may come from a change during the read, so that another try may succeed.
    pub fn may_pass(self) -> bool {
        matches!(self, ReadError::Unmapped { .. } | ReadError::Implausible { .. })
    }
}

/// A source of bytes by address.
pub trait Memory {
    /// Fills `buffer` with the bytes at `address`, all of them or an error.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError>;

    /// Borrows a piece of memory without copying it, where this memory can lend it.
    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        let _ = (address, length);
        None
    }

    /// Announces that some bytes will soon be read: memory that can lend them may prefetch the first and the
    /// last into the CPU caches.
    fn prefetch(&self, address: u64, length: usize) {
        let _ = (address, length);
    }

    /// The `N` bytes at `address`.
    fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], ReadError>
    where
        Self: Sized,
    {
        if let Some(bytes) = self.lend(address, N).and_then(|bytes| bytes.try_into().ok()) {
            return Ok(bytes);
        }
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// An unsigned byte.
    fn u8(&self, address: u64) -> Result<u8, ReadError>
    where
        Self: Sized,
    {
        Ok(self.array::<1>(address)?[0])
    }

    /// A little-endian `u32`.
    fn u32(&self, address: u64) -> Result<u32, ReadError>
    where
        Self: Sized,
    {
        Ok(u32::from_le_bytes(self.array(address)?))
    }

    /// A little-endian `i32`.
    fn i32(&self, address: u64) -> Result<i32, ReadError>
    where
        Self: Sized,
    {
        Ok(i32::from_le_bytes(self.array(address)?))
    }

    /// A little-endian `u64`, or a pointer.
    fn u64(&self, address: u64) -> Result<u64, ReadError>
    where
        Self: Sized,
    {
        Ok(u64::from_le_bytes(self.array(address)?))
    }

    /// `length` bytes at `address`; an error if `length` is more than `most`.
    fn bytes(&self, address: u64, length: u64, most: usize) -> Result<Vec<u8>, ReadError>
    where
        Self: Sized,
    {
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= most)
            .ok_or(ReadError::Implausible { address, length })?;
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes before the first NUL at `address`, at most `most` of them. Reads up to page ends
    /// only, so that a string just before unmapped memory is still readable.
    fn c_string(&self, address: u64, most: usize) -> Result<Vec<u8>, ReadError>
    where
        Self: Sized,
    {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < most {
            let mut piece = [0; 256];
            let to_page_end = (PAGE - at % PAGE) as usize;
            let length = piece.len().min(to_page_end).min(most - text.len());
            self.read(at, &mut piece[..length])?;
            match piece[..length].iter().position(|&byte| byte == 0) {
                Some(end) => {
                    text.extend_from_slice(&piece[..end]);
                    return Ok(text);
                }
                None => text.extend_from_slice(&piece[..length]),
            }
            at = at.wrapping_add(length as u64);
        }
        Ok(text)
    }
}

impl<M: Memory + ?Sized> Memory for &M {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        (**self).read(address, buffer)
    }

    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        (**self).lend(address, length)
    }
}

/// A little-endian `u64` at `offset` in bytes already read; `None` beyond their end.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let piece = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(piece.try_into().ok()?))
}

/// A little-endian `u32` at `offset` in bytes already read; `None` beyond their end.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let piece = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(piece.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that begin at address 4096 - 8, as if the next page were absent.
    struct LastBytesOfAPage([u8; 8]);

    impl Memory for LastBytesOfAPage {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let error = ReadError::Unmapped { address, length: buffer.len() };
            let start = address.checked_sub(4088).ok_or(error)? as usize;
            let end = start.checked_add(buffer.len()).ok_or(error)?;
            buffer.copy_from_slice(self.0.get(start..end).ok_or(error)?);
            Ok(())
        }
    }

    #[test]
    fn a_c_string_may_end_just_before_unmapped_memory() {
        let memory = LastBytesOfAPage(*b"..abcde\0");
        assert_eq!(memory.c_string(4090, 100), Ok(b"abcde".to_vec()));
        assert_eq!(memory.c_string(4090, 3), Ok(b"abc".to_vec()));
    }

    #[test]
    fn no_buffer_is_sized_by_an_unchecked_length() {
        let memory = LastBytesOfAPage([7; 8]);
        assert_eq!(memory.bytes(4088, 8, 8), Ok(vec![7; 8]));
        let error = ReadError::Implausible { address: 4088, length: u64::MAX };
        assert_eq!(memory.bytes(4088, u64::MAX, 1 << 20), Err(error));
    }
}
