//! The state of an object: an attribute of it, or a field in which C code keeps what Python calls an attribute.
//!
//! Values are only compared with what is known of the library, and never shown.

use super::edge_names::EdgeNames;
use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use super::values::string;
use crate::memory::Memory;
use crate::python::layout::FutureState;
use crate::python::{at, dicts};

/// The longest `__mro__` that is read.
const MOST_BASES: u64 = 100;
/// The longest name of a slot that is read, in bytes.
const LONGEST_NAME: usize = 256;

impl<'a, M: Memory> Reader<'a, M> {
    /// The type at this address and its bases, in the order of `__mro__`.
    pub fn lineage(&self, kind: u64) -> Vec<&'a TypeInfo> {
        let type_at = |address| self.types.at(self.memory, address).ok();
        let mro = self.memory.u64(at(kind, self.layout().types.mro)).unwrap_or_default();
        let bases = (0..MOST_BASES).map_while(|number| self.tuple_item(mro, number));
        let mut lineage: Vec<&TypeInfo> = bases.filter_map(type_at).collect();
        if lineage.is_empty() {
            lineage.extend(type_at(kind));
        }
        lineage
    }

    /// The items of a tuple; nothing if it is something else.
    pub fn tuple(&self, object: u64) -> Vec<u64> {
        match self.type_of(object) {
            Ok(info) if info.body == Body::Tuple => {
                (0..MOST_BASES).map_while(|number| self.tuple_item(object, number)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The value of an attribute as `str` gives it, if it is text, a number or a constant. `path` may lead
    /// through other attributes: `_transport._closing`.
    pub fn state(&self, object: u64, path: &str) -> Option<String> {
        let (way, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut names = way.split('.').filter(|name| !name.is_empty());
        let object = names.try_fold(object, |object, name| self.attribute_of(object, name))?;
        self.field_state(object, name).or_else(|| {
            let value = self.attribute_of(object, name)?;
            self.text(value).or_else(|| self.preview(value))
        })
    }

    /// The text of a `str`.
    pub fn text(&self, object: u64) -> Option<String> {
        self.type_of(object).ok()?.is_text().then_some(())?;
        string(self.memory, self.layout(), object).ok()
    }

    /// The object that an attribute of an instance refers to, or a field of an object of a type written in C.
    pub fn attribute_of(&self, object: u64, name: &str) -> Option<u64> {
        let info = self.type_of(object).ok()?;
        let word = |offset| self.memory.u64(at(object, offset)).ok().filter(|&word| word != 0);
        if let Some(field) = info.fields.iter().find(|field| field.name == name) {
            return word(field.offset);
        }
        let is_it = |slot: u64| {
            self.memory.c_string(slot, LONGEST_NAME).is_ok_and(|text| text == name.as_bytes())
        };
        match info.slots.iter().find(|slot| is_it(slot.name)) {
            Some(slot) => word(slot.offset),
            None => dicts::attribute(self.memory, self.layout(), object, name).ok()?,
        }
    }

    /// The value of an attribute of an instance, or of its class or the bases of that.
    pub fn looked_up(&self, object: u64, name: &str) -> Option<u64> {
        let (memory, layout) = (self.memory, self.layout());
        self.attribute_of(object, name).or_else(|| {
            let lineage = self.lineage(self.type_of(object).ok()?.address);
            let dicts = lineage.iter().filter_map(|kind| {
                memory.u64(at(kind.address, layout.types.dict)).ok().filter(|&dict| dict != 0)
            });
            let mut values = dicts.filter_map(|it| dicts::get(memory, layout, it, name).ok()?);
            values.next()
        })
    }

    /// The global variable that a function sees under this name.
    pub fn global_of(&self, function: u64, name: &str) -> Option<u64> {
        let globals = self.attribute_of(function, "__globals__")?;
        dicts::get(self.memory, self.layout(), globals, name).ok()?
    }

    /// What a weak reference refers to; `None` if that has gone.
    pub fn referent(&self, weak: u64) -> Option<u64> {
        let kind = self.type_of(weak).ok()?.address;
        let is_weak = |info: &&TypeInfo| matches!(&*info.name, "weakref" | "weakref.ReferenceType");
        self.lineage(kind).iter().find(|info| is_weak(info))?;
        let referent = self.memory.u64(at(weak, self.layout().objects.weak_referent)).ok()?;
        let is_gone = self.type_of(referent).ok()?.name == "NoneType";
        (!is_gone).then_some(referent)
    }

    /// A state that is not an object.
    fn field_state(&self, object: u64, name: &str) -> Option<String> {
        let info = self.type_of(object).ok()?;
        let is_a = |base| self.lineage(info.address).iter().any(|info| info.name == base);
        let int = |offset| self.memory.i32(at(object, offset)).ok();
        let objects = self.layout().objects;
        match name {
            "maxsize" if info.body == Body::LruCache => {
                let limit = self.bound(object, object).map(|bound| bound.limit.to_string());
                Some(limit.unwrap_or_else(|| "None".to_owned()))
            }
            "_state" if is_a("_asyncio.Future") => {
                let state = FutureState::of(int(objects.future_state)?)?;
                Some(state.name().to_owned())
            }
            "fileno" if is_a("_socket.socket") => Some(int(objects.socket_descriptor)?.to_string()),
            _ => None,
        }
    }

    fn tuple_item(&self, tuple: u64, number: u64) -> Option<u64> {
        super::links::tuple_item(self.memory, self.layout(), tuple, number)
    }
}
