//! Numbers that take more than they need: objects where an array would have the bare numbers, and arrays of
//! items wider than their values.

use super::buffers::numpy;
use super::contents::Contents;
use super::fingerprints::ValueForm;
use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use crate::memory::Memory;
use crate::process::Target;
use crate::python::at;

/// `arraydescr.typecode`, a `char`.
const TYPE_CODE: usize = 0;
/// The digits of an `int` that eight bytes certainly hold.
const MOST_DIGITS: u64 = 2;
/// Bytes of an item of a wide array.
const WIDE: u64 = 8;

/// A number that an array would hold in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boxed {
    /// A `float`.
    Float,
    /// An `int` of at most 60 bits.
    Int,
}

/// A smaller type of items that has room for all values of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Narrow {
    /// 8 bits, with a sign.
    Int8,
    /// 16 bits, with a sign.
    Int16,
    /// 32 bits, with a sign.
    Int32,
    /// A number with 24 bits of precision.
    Float32,
}

impl Narrow {
    /// The bytes that it saves for each item of eight bytes.
    pub fn saves(self) -> u64 {
        WIDE - match self {
            Narrow::Int8 => 1,
            Narrow::Int16 => 2,
            Narrow::Int32 | Narrow::Float32 => 4,
        }
    }

    /// The name that numpy gives it.
    pub fn name(self) -> &'static str {
        match self {
            Narrow::Int8 => "int8",
            Narrow::Int16 => "int16",
            Narrow::Int32 => "int32",
            Narrow::Float32 => "float32",
        }
    }
}

/// The items of a wide array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wide {
    Signed,
    Unsigned,
    Float,
}

/// What all values of an array have in common.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: i64,
    most: i64,
    are_whole: bool,
    are_single: bool,
}

impl TypeInfo {
    /// Whether its objects are arrays of numbers.
    pub fn has_numbers(&self) -> bool {
        matches!(self.body, Body::NumberArray | Body::NdArray)
    }
}

impl<M: Memory> Reader<'_, M> {
    /// What kind of number an object is, if an array would hold it.
    pub fn boxed(&self, object: u64, info: &TypeInfo) -> Option<Boxed> {
        match ValueForm::of(info)? {
            ValueForm::Number(WIDE) => Some(Boxed::Float),
            ValueForm::Int => {
                let size = self.memory.u64(at(object, self.layout().int.size)).ok()?;
                let digits = match self.layout().int.tagged {
                    true => size >> 3,
                    false => (size as i64).unsigned_abs(),
                };
                (digits <= MOST_DIGITS).then_some(Boxed::Int)
            }
            _ => None,
        }
    }

    /// The smallest type of items that has room for all values of an array of eight-byte numbers, and how many
    /// items it has. Reads all of them, those that this memory does not have from `beyond`.
    pub fn narrow(
        &self,
        object: u64,
        info: &TypeInfo,
        beyond: &dyn Target,
    ) -> Option<(Narrow, u64)> {
        let (contents, wide) = match info.body {
            Body::NumberArray => (Contents::Array, self.wide_array(object)?),
            Body::NdArray => (Contents::NdArray, self.wide_nd_array(object)?),
            _ => return None,
        };
        let span = self.span(object, contents)?;
        let mut range = Range { least: 0, most: 0, are_whole: true, are_single: true };
        let take = |bytes: &[u8]| {
            for word in bytes.as_chunks::<8>().0 {
                range.add(*word, wide);
            }
        };
        self.pieces(span, beyond, take).ok()?;
        Some((range.narrow(wide)?, span.length / WIDE))
    }

    fn wide_array(&self, object: u64) -> Option<Wide> {
        let descriptor =
            self.memory.u64(at(object, self.layout().objects.array.descriptor)).ok()?;
        match self.memory.u8(at(descriptor, TYPE_CODE)).ok()? {
            b'l' | b'q' => Some(Wide::Signed),
            b'L' | b'Q' => Some(Wide::Unsigned),
            b'd' => Some(Wide::Float),
            _ => None,
        }
    }

    fn wide_nd_array(&self, object: u64) -> Option<Wide> {
        /// `NPY_LONG` and `NPY_LONGLONG`, the unsigned ones after each, and `NPY_DOUBLE`.
        const SIGNED: [i32; 2] = [7, 9];
        const UNSIGNED: [i32; 2] = [8, 10];
        const DOUBLE: i32 = 12;
        let array = numpy::read(self.memory, object, self.types.context.extent).ok()?;
        match array.type_number {
            number if SIGNED.contains(&number) => Some(Wide::Signed),
            number if UNSIGNED.contains(&number) => Some(Wide::Unsigned),
            DOUBLE => Some(Wide::Float),
            _ => None,
        }
    }
}

impl Range {
    fn add(&mut self, word: [u8; 8], wide: Wide) {
        let value = match wide {
            Wide::Signed => i64::from_le_bytes(word),
            Wide::Unsigned => i64::try_from(u64::from_le_bytes(word)).unwrap_or(i64::MAX),
            Wide::Float => {
                let float = f64::from_le_bytes(word);
                self.are_single &= float.is_nan() || f64::from(float as f32) == float;
                // A negative zero is no integer: its sign would be lost.
                self.are_whole &=
                    (float as i64) as f64 == float && word != (-0.0_f64).to_le_bytes();
                float as i64
            }
        };
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn narrow(self, wide: Wide) -> Option<Narrow> {
        let fits = |least: i64, most: i64| self.least >= least && self.most <= most;
        match wide {
            Wide::Float if !self.are_whole => self.are_single.then_some(Narrow::Float32),
            _ if fits(i8::MIN.into(), i8::MAX.into()) => Some(Narrow::Int8),
            _ if fits(i16::MIN.into(), i16::MAX.into()) => Some(Narrow::Int16),
            _ if fits(i32::MIN.into(), i32::MAX.into()) => Some(Narrow::Int32),
            Wide::Float => self.are_single.then_some(Narrow::Float32),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(values: &[f64]) -> Option<Narrow> {
        let mut range = Range { least: 0, most: 0, are_whole: true, are_single: true };
        values.iter().for_each(|value| range.add(value.to_le_bytes(), Wide::Float));
        range.narrow(Wide::Float)
    }

    #[test]
    fn the_smallest_type_that_loses_nothing_is_found() {
        assert_eq!(narrow(&[1.0, -128.0]), Some(Narrow::Int8));
        assert_eq!(narrow(&[1.0, 128.0]), Some(Narrow::Int16));
        assert_eq!(narrow(&[1.0, 1e9]), Some(Narrow::Int32));
        assert_eq!(narrow(&[0.5, f64::NAN, f64::INFINITY]), Some(Narrow::Float32));
        assert_eq!(narrow(&[-0.0]), Some(Narrow::Float32));
        assert_eq!(narrow(&[0.1]), None);
    }
}
