//! The word that changes when an object, or the container behind it, grows.

use super::reader::Reader;
use super::type_flags::{HAVE_GC, HEAP_TYPE};
use super::type_info::{Body, TypeInfo};
use crate::memory::Memory;
use crate::python::at;
use crate::python::layout::Layout;

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
