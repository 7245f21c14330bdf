//! The word that changes when an object, or the container behind it, grows.

use super::ancestry::Unknown;
use super::reader::Reader;
use super::type_flags::{HAVE_GC, HEAP_TYPE};
use super::type_info::{Body, TypeInfo};
use crate::memory::Memory;
use crate::python::at;
use crate::python::layout::Layout;

/// Fewer references than this may equal a word by chance.
const FEWEST: u64 = 16;
/// The most references that an item takes: its key, the key as it was given, and its value.
const MOST_OF_ITEM: u64 = 3;
/// How many references more or fewer there may be, as a part of all: one in so many. Types are referred to as well, and
/// the first item of a node may have no key.
const OTHERS: u64 = 20;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The number of items in an object: an 8-byte word at this offset in it.
    Size {
        /// The object: the one asked for, or one that it alone owns.
        object: u64,
        /// The offset of the word.
        offset: usize,
    },
    /// The number of instances of a class, which refer to it.
    Instances {
        /// The class, a heap type. (Static types are not counted.)
        class: u64,
        /// Whether the collector tracks its instances.
        are_gc: bool,
    },
    /// The number of unfinished calls of a function, which refer to its code.
    Calls {
        /// The code object.
        code: u64,
    },
}

impl<M: Memory> Reader<'_, M> {
    /// What changes when this object grows; `None` if it does not grow, or no single word shows it.
    pub fn growth(&self, object: u64) -> Option<Growth> {
        let (memory, layout) = (self.memory, self.layout());
        let info = self.type_of(object).ok()?;
        let size = |offset| Some(Growth::Size { object, offset });
        match info.body {
            Body::Dict | Body::OrderedDict => size(layout.dict.used),
            Body::Set => size(layout.objects.set.used),
            Body::List | Body::Deque | Body::ByteArray | Body::NumberArray => {
                size(layout.object.size)
            }
            Body::BytesIo | Body::StringIo => size(layout.objects.streams.length),
            Body::Queue => size(layout.objects.queue?.length),
            Body::LruCache => {
                let cache = memory.u64(at(object, info.field("cache")?)).ok()?;
                Some(Growth::Size { object: cache, offset: layout.dict.used })
            }
            Body::Code => Some(Growth::Calls { code: object }),
            Body::Type => instances(memory, layout, object),
            _ => {
                let code = memory.u64(at(object, info.field("__code__")?)).ok()?;
                Some(Growth::Calls { code })
            }
        }
    }
}

impl<M: Memory> Reader<'_, M> {
    /// Where an object of an unknown type seems to count its items, if it refers to so many objects: the offset of
    /// the word and its length in bytes. It is the word that comes nearest to a third, a half or all of the
    /// references.
    pub fn item_counter(&self, object: u64, references: u64) -> Option<(usize, u8)> {
        let Unknown { start, end, not_at, .. } = self.type_of(object).ok()?.unknown?;
        if references < FEWEST {
            return None;
        }
        let off = |value: u64| {
            let others = |of_item: u64| Some(references.abs_diff(value.checked_mul(of_item)?));
            let least = (1..=MOST_OF_ITEM).filter_map(others).min()?;
            (least <= references / OTHERS).then_some(least)
        };
        let words = (start..end).step_by(8).filter(|offset| !not_at.contains(offset));
        let candidates = words.flat_map(|offset| {
            let word = self.memory.u64(at(object, offset as usize)).unwrap_or_default();
            let halves = [word & u64::from(u32::MAX), word >> 32];
            [(offset, 8, word), (offset, 4, halves[0]), (offset + 4, 4, halves[1])]
        });
        candidates
            .filter_map(|(offset, length, value)| Some((off(value)?, offset as usize, length)))
            .min_by_key(|&(off, ..)| off)
            .map(|(_, offset, length)| (offset, length))
    }
}

fn instances<M: Memory>(memory: &M, layout: &Layout, class: u64) -> Option<Growth> {
    let flags = memory.u64(at(class, layout.types.flags)).ok()?;
    let are_gc = flags & HAVE_GC != 0;
    (flags & HEAP_TYPE != 0).then_some(Growth::Instances { class, are_gc })
}

impl TypeInfo {
    /// The offset of a field that the type, or a base written in C, has at a fixed offset.
    fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.offset)
    }
}
