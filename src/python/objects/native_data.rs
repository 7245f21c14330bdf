//! Objects with data in blocks of their own that are no references: the digits of a large `Decimal`, the codes of a
//! `Struct`, the indices of combinations, the memory of a `ctypes` object. The same in 3.8 to 3.15.

use super::edges::Sink;
use super::own_buffers::c_data;
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// `PyDecObject.dec.flags`, the bits of which say that the digits are not its own, `alloc`, in words, and `data`.
mod decimal {
    pub const FLAGS: usize = 24;
    pub const NOT_ITS_OWN: u8 = 0x20 | 0x40 | 0x80;
    pub const ALLOCATED: usize = 56;
}

/// `PyStructObject.s_codes`: entries of {definition, offset, size, repeat}, the last with no definition.
mod codes {
    pub const CODES: usize = 32;
    pub const SIZE: u64 = 32;
    /// The most that are counted; a format is hardly longer than a page.
    pub const MOST: u64 = 1 << 16;
}

/// The pool of `itertools.product` and the like, a tuple.
const POOL: usize = 16;

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// `decimal.Decimal`: many digits are in a block of their own.
    pub fn decimal(&mut self) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        if self.view.u8(decimal::FLAGS)? & decimal::NOT_ITS_OWN != 0 {
            return Ok(size);
        }
        let digits = self.view.u64(decimal::ALLOCATED)?.saturating_mul(8);
        Ok(Size::shallow(size.shallow.saturating_add(digits)))
    }

    /// `struct.Struct`.
    pub fn format_codes(&mut self) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        let first = self.view.u64(codes::CODES)?;
        if first == 0 {
            return Ok(size);
        }
        let mut count = 0;
        while count < codes::MOST && self.memory.u64(first.wrapping_add(count * codes::SIZE))? != 0
        {
            count += 1;
        }
        Ok(Size::shallow(size.shallow.saturating_add((count + 1) * codes::SIZE)))
    }

    /// `itertools.product`, `permutations`, `combinations`: an index for each item of the pool if `of_pool`, and as
    /// many more as the word at `more` says.
    pub fn indices(&mut self, of_pool: bool, more: Option<usize>) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        let pool = self.view.u64(POOL)?;
        let mut count = 0;
        if of_pool && pool != 0 {
            count = self.memory.u64(at(pool, self.context.layout.object.size))?;
        }
        if let Some(more) = more {
            count = count.saturating_add(self.view.u64(more)?);
        }
        Ok(Size::shallow(size.shallow.saturating_add(count.saturating_mul(8))))
    }

    /// An object of `ctypes`: its memory, where that is not inside it or another's.
    pub fn c_data(&mut self) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        let data = self.view.u64(c_data::MEMORY)?;
        let inside = data.wrapping_sub(self.view.address()) < self.info.basic_size;
        let is_own = self.view.i32(c_data::IS_OWN)? != 0 && data != 0 && !inside;
        let external = if is_own { self.view.u64(c_data::SIZE)? } else { 0 };
        Ok(Size { external: external.min(self.context.extent), ..size })
    }
}
