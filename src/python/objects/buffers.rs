//! Numbers, text, and objects that own bytes outside themselves.

use super::edges::{Role, Sink};
use super::view::each;
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// Bytes of a digit of an `int`.
const DIGIT: u64 = 4;
/// `state` of a `str`: its compact and ASCII bits.
const COMPACT: u32 = 1 << 5;
const ASCII: u32 = 1 << 6;

/// `PyArrayObject_fields` and `PyArray_Descr` of numpy 1 and 2.
mod numpy {
    pub const DATA: usize = 16;
    pub const DIMENSIONS: usize = 24;
    pub const SHAPE: usize = 32;
    pub const BASE: usize = 48;
    pub const DESCRIPTOR: usize = 56;
    pub const FLAGS: usize = 64;
    /// `NPY_ARRAY_OWNDATA`.
    pub const OWNS_DATA: u32 = 4;
    /// `NPY_MAXDIMS` of numpy 2.
    pub const MOST_DIMENSIONS: i32 = 64;
    /// `PyArray_Descr.type_num`, and its value for references to objects.
    pub const TYPE_NUMBER: usize = 28;
    pub const OBJECTS: i32 = 17;
    /// `elsize` of numpy 1, an `int`, and `alignment`, which is not 0. In numpy 2 these are the two halves of
    /// the flags, of which there are fewer than 32.
    pub const ITEM_SIZE_1: usize = 32;
    pub const ALIGNMENT_1: usize = 36;
    /// `elsize` of numpy 2.
    pub const ITEM_SIZE_2: usize = 40;
}

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// `int`: 30-bit digits.
    pub fn int(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.int;
        let size = self.view.u64(layout.size)?;
        let digits = match layout.tagged {
            true => size >> 3,
            false => (size as i64).unsigned_abs(),
        };
        let digits = digits.max(layout.least_digits).saturating_mul(DIGIT);
        Ok(Size::shallow((layout.digits as u64).saturating_add(digits)))
    }

    /// `str`: characters of one, two or four bytes, and copies in other encodings.
    pub fn text(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.unicode;
        let length = self.view.u64(layout.length)?.saturating_add(1);
        let state = self.view.u32(layout.state)?;
        let width = u64::from(state >> 2 & 7);
        let characters = length.saturating_mul(width);
        if state & COMPACT != 0 && state & ASCII != 0 {
            let wide = match layout.wide {
                Some([pointer, _]) if self.view.u64(pointer)? != 0 => length.saturating_mul(4),
                _ => 0,
            };
            let size = (layout.ascii_data as u64).saturating_add(length).saturating_add(wide);
            return Ok(Size::shallow(size));
        }
        let (head, data) = match state & COMPACT {
            0 => (layout.size, self.view.u64(layout.data_pointer)?),
            _ => (layout.compact_data, self.at(layout.compact_data)),
        };
        let mut size = (head as u64).saturating_add(if data == 0 { 0 } else { characters });
        let mut copy = |pointer, length, width: u64| -> Result<(), ReadError> {
            let start = self.view.u64(pointer)?;
            if start != 0 && start != data {
                let length = self.view.u64(length)?.saturating_add(1);
                size = size.saturating_add(length.saturating_mul(width));
            }
            Ok(())
        };
        copy(layout.utf8, layout.utf8_length, 1)?;
        if let Some([pointer, length]) = layout.wide {
            copy(pointer, length, 4)?;
        }
        Ok(Size::shallow(size))
    }

    /// `bytearray`: a buffer, from 3.15 on the data of a `bytes`.
    pub fn bytearray(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.bytearray;
        let own = if layout.is_in_bytes { 0 } else { self.view.u64(layout.allocated)? };
        Ok(Size::shallow(self.info.basic_size.saturating_add(own)))
    }

    /// `array.array`.
    pub fn number_array(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.array;
        let descriptor = self.view.u64(layout.descriptor)?;
        let item_size = self.memory.u32(at(descriptor, layout.item_size))?;
        let items = self.view.u64(layout.allocated)?.saturating_mul(item_size.into());
        Ok(Size::shallow(self.info.basic_size.saturating_add(items)))
    }

    /// `numpy.ndarray`: data that the array owns, or its base.
    pub fn nd_array(&mut self) -> Result<Size, ReadError> {
        let address = self.view.address();
        let dimensions = self.view.i32(numpy::DIMENSIONS)?;
        if !(0..=numpy::MOST_DIMENSIONS).contains(&dimensions) {
            return Err(ReadError::Implausible { address, length: dimensions as u64 });
        }
        let shape = self.view.u64(numpy::SHAPE)?;
        let mut count = 1_u64;
        each(self.memory, shape, dimensions as u64, self.context.extent, |_, [length]| {
            count = count.saturating_mul(length);
        })?;
        let descriptor = self.view.u64(numpy::DESCRIPTOR)?;
        let base = self.view.u64(numpy::BASE)?;
        self.sink.reference(base, Role::Field("base"), false);
        self.sink.reference(descriptor, Role::Field("dtype"), false);
        let owns_data = self.view.u32(numpy::FLAGS)? & numpy::OWNS_DATA != 0;
        if owns_data && self.memory.i32(at(descriptor, numpy::TYPE_NUMBER))? == numpy::OBJECTS {
            self.references(self.view.u64(numpy::DATA)?, count, false)?;
        }
        let item_size = match self.memory.u32(at(descriptor, numpy::ALIGNMENT_1))? {
            0 => self.memory.u64(at(descriptor, numpy::ITEM_SIZE_2))?,
            _ => self.memory.u32(at(descriptor, numpy::ITEM_SIZE_1))?.into(),
        };
        let data = if owns_data { count.saturating_mul(item_size) } else { 0 };
        let head = self.info.basic_size.saturating_add(16 * dimensions as u64);
        Ok(Size { external: data, ..Size::shallow(head) })
    }

    /// `io.StringIO`: four-byte characters.
    pub fn string_io(&mut self) -> Result<Size, ReadError> {
        let room = self.view.u64(self.context.layout.objects.streams.string_io_size)?;
        Ok(Size { external: room.saturating_mul(4), ..self.plain_size()? })
    }

    /// `io.BufferedReader` and similar types.
    pub fn buffered(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.streams;
        let buffer = match self.view.u64(layout.buffer)? {
            0 => 0,
            _ => self.view.u64(layout.buffer_size)?,
        };
        Ok(Size::shallow(self.plain_size()?.shallow.saturating_add(buffer)))
    }

    /// `mmap.mmap`: the whole mapping, in memory or not.
    pub fn mmap(&mut self) -> Result<Size, ReadError> {
        let layout = &self.context.layout.objects.mmap;
        let size = match self.view.u64(layout.data)? {
            0 => 0,
            _ => self.view.u64(layout.size)?,
        };
        Ok(Size { external: size, ..self.plain_size()? })
    }
}
