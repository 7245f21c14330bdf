//! Numbers, text, and objects that own bytes outside themselves.

use super::edges::{Role, Sink};
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// Bytes of a digit of an `int`.
const DIGIT: u64 = 4;
/// `state` of a `str`: its compact and ASCII bits.
const COMPACT: u32 = 1 << 5;
const ASCII: u32 = 1 << 6;

/// `PyArrayObject_fields` and `PyArray_Descr` of numpy 1 and 2.
pub(super) mod numpy {
    use crate::memory::{Memory, ReadError};
    use crate::python::at;
    use crate::python::objects::view::each;

    const DATA: usize = 16;
    const DIMENSIONS: usize = 24;
    const SHAPE: usize = 32;
    pub const BASE: usize = 48;
    const DESCRIPTOR: usize = 56;
    const FLAGS: usize = 64;
    /// `NPY_ARRAY_OWNDATA`.
    const OWNS_DATA: u32 = 4;
    /// `NPY_MAXDIMS` of numpy 2.
    const MOST_DIMENSIONS: i32 = 64;
    /// `PyArray_Descr.type_num`, and its value for references to objects.
    const TYPE_NUMBER: usize = 28;
    const OBJECTS: i32 = 17;
    /// `elsize` of numpy 1, an `int`, and `alignment`, which is not 0. In numpy 2 these are the two halves of
    /// the flags, of which there are fewer than 32.
    const ITEM_SIZE_1: usize = 32;
    const ALIGNMENT_1: usize = 36;
    /// `elsize` of numpy 2.
    const ITEM_SIZE_2: usize = 40;

    /// An array.
    pub struct NdArray {
        /// Its first item.
        pub data: u64,
        /// How many dimensions it has, and where their lengths are.
        pub dimensions: u64,
        pub shape: u64,
        /// How many items it has.
        pub count: u64,
        /// Bytes of one of them.
        pub item_size: u64,
        /// Its `dtype`.
        pub descriptor: u64,
        /// `NPY_TYPES`.
        pub type_number: i32,
        /// Whether the items are its own.
        pub owns_data: bool,
    }

    impl NdArray {
        /// Whether its items are references.
        pub fn has_objects(&self) -> bool {
            self.type_number == OBJECTS
        }
    }

    /// Reads an array; `extent` is the number of bytes of memory in all.
    pub fn read<M: Memory>(memory: &M, array: u64, extent: u64) -> Result<NdArray, ReadError> {
        let word = |offset| memory.u64(at(array, offset));
        let dimensions = memory.i32(at(array, DIMENSIONS))?;
        if !(0..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(ReadError::Implausible { address: array, length: dimensions as u64 });
        }
        let (shape, dimensions) = (word(SHAPE)?, dimensions as u64);
        let mut count = 1_u64;
        each(memory, shape, dimensions, extent, |_, [length]| {
            count = count.saturating_mul(length);
        })?;
        let descriptor = word(DESCRIPTOR)?;
        let item_size = match memory.u32(at(descriptor, ALIGNMENT_1))? {
            0 => memory.u64(at(descriptor, ITEM_SIZE_2))?,
            _ => memory.u32(at(descriptor, ITEM_SIZE_1))?.into(),
        };
        Ok(NdArray {
            data: word(DATA)?,
            dimensions,
            shape,
            count,
            item_size,
            descriptor,
            type_number: memory.i32(at(descriptor, TYPE_NUMBER))?,
            owns_data: memory.u32(at(array, FLAGS))? & OWNS_DATA != 0,
        })
    }
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
        let array = numpy::read(self.memory, self.view.address(), self.context.extent)?;
        let base = self.view.u64(numpy::BASE)?;
        self.sink.reference(base, Role::Field("base"), false);
        self.sink.reference(array.descriptor, Role::Field("dtype"), false);
        if array.owns_data && array.has_objects() {
            self.references(array.data, array.count, false)?;
        }
        let data = if array.owns_data { array.count.saturating_mul(array.item_size) } else { 0 };
        let head = self.info.basic_size.saturating_add(16 * array.dimensions);
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
