//! Names for the static types whose own names were in a missing file.
//!
//! They are found in the writable data of program files: words that are the address of `type` and stand where an
//! object has its type. Modules name most of them, and the attributes in their dicts tell the others apart. What
//! remains is named by its place: `static type at libpython3.12.so.1.0+0x5a3e20`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustc_hash::FxHashMap;

use super::known::{BY_ATTRIBUTES, BY_BUILTIN, BY_ROLE, OWN_NAMES, QUALIFIED, SHORT_WEAK, WEAK};
use super::runtime::readable;
use crate::memory::{Memory, u64_at};
use crate::process::Mapping;
use crate::process::text::shown;
use crate::python::dicts::entries;
use crate::python::held::Module;
use crate::python::objects::type_flags::{HEAP_TYPE, READY};
use crate::python::objects::{string, type_dicts, type_of};
use crate::python::{Python, at};

/// The largest data of a file that are searched, in bytes.
const LARGEST: u64 = 64 << 20;
/// The most static types.
const MOST: usize = 1 << 16;

/// The static types without a name, and the names found so far.
struct Nameless<'a, M> {
    memory: &'a M,
    python: &'a Python,
    /// The keys and values in the dict of each type.
    dicts: FxHashMap<u64, Vec<(String, u64)>>,
    /// In order of address.
    types: Vec<u64>,
    names: FxHashMap<u64, String>,
}

/// The address of each missing name, and what it was. Also sets the address of the type `code`.
pub fn names<M: Memory>(memory: &M, maps: &[Mapping], python: &mut Python) -> Vec<(u64, String)> {
    let types = static_types(memory, maps, python);
    let main = at(python.runtime, python.layout.runtime.interpreters_main);
    let main = memory.u64(main).unwrap_or_default();
    let modules = python.modules(memory, main);
    let dicts = type_dicts(memory, python, &types);
    let dicts = types.iter().zip(dicts).map(|(&kind, dict)| (kind, texts(memory, python, dict)));
    let mut nameless =
        Nameless { memory, python, dicts: dicts.collect(), types, names: FxHashMap::default() };
    nameless.find(&modules);
    let Nameless { types, mut names, .. } = nameless;
    python.types.code = names.iter().find(|(_, name)| *name == "code").map_or(0, |(&it, _)| it);
    let place = |kind: u64| at(kind, python.layout.types.name);
    let named = types.into_iter().filter_map(|kind| {
        let name = names.remove(&kind).unwrap_or_else(|| by_place(maps, kind));
        Some((memory.u64(place(kind)).ok()?, name))
    });
    named.collect()
}

impl<M: Memory> Nameless<'_, M> {
    fn find(&mut self, modules: &[Module]) {
        self.name(self.python.types.kind, "type");
        self.name(self.python.types.module, "module");
        let globals = |name: &str| {
            let module = modules.iter().find(|module| module.name == name);
            module.and_then(|module| module.objects.get(1)).copied()
        };
        let of = |name: &str| {
            globals(name).map(|it| texts(self.memory, self.python, it)).unwrap_or_default()
        };
        let builtins = of(OWN_NAMES[0]);
        let own: Vec<_> = OWN_NAMES.iter().flat_map(|name| of(name)).collect();
        let weak = of("_weakref");
        let mut others: Vec<_> =
            QUALIFIED.iter().map(|&name| (name.to_owned(), of(name))).collect();
        for module in modules {
            let is_known = QUALIFIED.contains(&&*module.name);
            if let Some(&globals) = module.objects.get(1).filter(|_| !is_known) {
                others.push((module.name.clone(), texts(self.memory, self.python, globals)));
            }
        }
        for (name, value) in &builtins {
            self.name(*value, name);
        }
        for (attribute, name) in BY_BUILTIN {
            self.name_type_of(value(&builtins, attribute), name);
        }
        for (owner, attribute, name) in BY_ROLE {
            let owner = value(&builtins, owner);
            let found = owner.and_then(|owner| value(self.dicts.get(&owner)?, attribute));
            self.name_type_of(found, name);
        }
        for (key, short, long) in WEAK {
            let name = if self.python.version.minor <= SHORT_WEAK { short } else { long };
            if let Some(kind) = value(&weak, key) {
                self.name(kind, name);
            }
        }
        for kind in self.types.clone() {
            let Some(dict) = self.dicts.get(&kind) else { continue };
            let has = |key: &&str| value(dict, key).is_some();
            let known = BY_ATTRIBUTES.iter().find(|(_, keys)| keys.iter().all(has));
            if let Some((name, _)) = known {
                self.name(kind, name);
            }
        }
        for (name, value) in own {
            self.name(value, &name);
        }
        for (module, names) in others {
            for (name, value) in names {
                self.name(value, &format!("{module}.{name}"));
            }
        }
    }

    /// Names a type, if it is one of those without a name.
    fn name(&mut self, kind: u64, name: &str) {
        if self.types.binary_search(&kind).is_ok() {
            self.names.entry(kind).or_insert_with(|| name.to_owned());
        }
    }

    fn name_type_of(&mut self, object: Option<u64>, name: &str) {
        let kind = object.and_then(|it| type_of(self.memory, &self.python.layout, it).ok());
        if let Some(kind) = kind {
            self.name(kind, name);
        }
    }
}

/// The static types whose names cannot be read, in order of address.
fn static_types<M: Memory>(memory: &M, maps: &[Mapping], python: &Python) -> Vec<u64> {
    let layout = &python.layout;
    let kind = python.types.kind;
    let mut found = Vec::new();
    let data = maps.iter().filter(|mapping| {
        mapping.writable && mapping.inode != 0 && !mapping.shared && mapping.length() <= LARGEST
    });
    for mapping in data {
        let bytes = readable(memory, mapping.start, mapping.length());
        for place in (0..bytes.len()).step_by(8) {
            let word = |offset: usize| u64_at(&bytes, place.checked_add(offset)?);
            if word(layout.object.kind) != Some(kind) || found.len() >= MOST {
                continue;
            }
            let Some(flags) = word(layout.types.flags) else { continue };
            let name = word(layout.types.name).unwrap_or_default();
            let is_static = flags & HEAP_TYPE == 0 && flags & READY != 0;
            if is_static && name != 0 && memory.u8(name).is_err() {
                found.push(at(mapping.start, place));
            }
        }
    }
    found
}

/// The keys of a dict that are texts, and their values.
fn texts<M: Memory>(memory: &M, python: &Python, dict: u64) -> Vec<(String, u64)> {
    let entries = entries(memory, &python.layout, dict).unwrap_or_default();
    let text = |key| string(memory, &python.layout, key).ok();
    entries.into_iter().filter_map(|entry| Some((text(entry.key)?, entry.value))).collect()
}

fn value(dict: &[(String, u64)], key: &str) -> Option<u64> {
    dict.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
}

/// A name made of the place of a type in its file.
fn by_place(maps: &[Mapping], kind: u64) -> String {
    let mapping = maps.iter().find(|mapping| mapping.contains(kind));
    let path = mapping.and_then(|mapping| mapping.path.as_deref());
    let file = path.and_then(Path::file_name).unwrap_or_default();
    let file = shown(file.as_bytes());
    let first = maps.iter().find(|it| it.inode != 0 && it.path.as_deref() == path);
    let offset = kind.wrapping_sub(first.map_or(0, |first| first.start));
    format!("static type at {file}+{offset:#x}")
}
