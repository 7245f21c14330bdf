//! Finding `_PyRuntime` without its symbol: it begins with a cookie from 3.13 on; before that it is the place in
//! the interpreter's writable data from which the pointers of a layout lead to an interpreter, its thread, and
//! back, and to a `sys.version` of that layout.

use std::sync::Arc;

use crate::memory::{Memory, PAGE, u64_at};
use crate::process::Image;
use crate::python::debug_offsets::{COOKIE, DebugOffsets};
use crate::python::dicts::get;
use crate::python::layout::{Layout, NEWEST_MINOR, OLDEST_MINOR, candidates};
use crate::python::objects::{string, type_of};
use crate::python::{Python, Types, Version, at};

/// How many interpreters are followed to the main one.
const MOST_INTERPRETERS: usize = 1_000;
/// The largest segment that is searched, in bytes.
const LARGEST: u64 = 64 << 20;

/// Finds the interpreter in the writable data of this file.
pub fn find<M: Memory>(memory: &M, image: Image) -> Option<Python> {
    let name = image.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let minors = match Version::from_file_name(&name) {
        Some((3, minor)) => minor..=minor,
        Some(_) => return None,
        None => OLDEST_MINOR..=NEWEST_MINOR,
    };
    let unknown = |minor| Version { major: 3, minor, micro: u8::MAX };
    let tables: Vec<_> = minors.flat_map(|minor| candidates(unknown(minor), 0)).collect();
    let image = Arc::new(image);
    for segment in image.segments() {
        if !segment.writable || segment.size > LARGEST {
            continue;
        }
        let bytes = readable(memory, segment.address, segment.size);
        let places = (0..bytes.len().saturating_sub(8)).step_by(8);
        let cookie = places
            .clone()
            .find(|&place| bytes.get(place..place + 8).is_some_and(|word| word == COOKIE));
        for table in &tables {
            let mut layout = table.layout;
            let places = match cookie {
                Some(place) => place..place + 1,
                None => 0..bytes.len().saturating_sub(8),
            };
            if let Some(place) = cookie {
                let offsets = DebugOffsets::read(memory, at(segment.address, place)).ok()??;
                if offsets.free_threaded {
                    return None;
                }
                offsets.apply(&mut layout);
            }
            for place in places.step_by(8) {
                let runtime = at(segment.address, place);
                let Some(types) = types(memory, &layout, &bytes, place, table.minor) else {
                    continue;
                };
                return Some(Python {
                    version: unknown(table.minor),
                    layout: Arc::new(layout),
                    runtime,
                    types,
                    image: Arc::clone(&image),
                    disagreements: Vec::new(),
                    arenas_word: Arc::default(),
                });
            }
        }
    }
    None
}

/// The types of an interpreter whose `_PyRuntime` is at this place in the bytes, if it is there.
fn types<M: Memory>(
    memory: &M,
    layout: &Layout,
    bytes: &[u8],
    place: usize,
    minor: u8,
) -> Option<Types> {
    let word = |offset: usize| u64_at(bytes, place.checked_add(offset)?);
    let is_address = |&word: &u64| word != 0 && word % 8 == 0;
    let main = word(layout.runtime.interpreters_main).filter(is_address)?;
    let head = word(layout.runtime.interpreters_head).filter(is_address)?;
    let read = |address: u64, offset: usize| memory.u64(at(address, offset)).ok();
    if read(main, layout.interpreter.next)? != 0 {
        return None;
    }
    // The newest interpreter leads to the main one, the oldest.
    let next = |state: &u64| read(*state, layout.interpreter.next).filter(|next| *next != 0);
    let mut states = std::iter::successors(Some(head), next).take(MOST_INTERPRETERS);
    if !states.any(|state| state == main) {
        return None;
    }
    let thread = read(main, layout.interpreter.threads_head).filter(is_address)?;
    if read(thread, layout.thread.interpreter)? != main {
        return None;
    }
    let names = read(main, layout.interpreter.sys_dict).filter(is_address)?;
    let kind = type_of(memory, layout, type_of(memory, layout, names).ok()?).ok()?;
    if type_of(memory, layout, kind).ok()? != kind {
        return None;
    }
    let version = get(memory, layout, names, "version").ok()??;
    let version = Version::from_text(&string(memory, layout, version).ok()?)?;
    let modules = read(main, layout.interpreter.modules).filter(is_address)?;
    let module = ["sys", "builtins", "__main__"]
        .iter()
        .find_map(|name| get(memory, layout, modules, name).ok()?)?;
    let module = type_of(memory, layout, module).ok()?;
    // `code` is found by its attributes, once the types have names.
    (version.minor == minor).then_some(Types { kind, code: 0, module })
}

/// Bytes of which some pages may be missing, which are zero then.
pub fn readable<M: Memory>(memory: &M, address: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; size as usize];
    if memory.read(address, &mut bytes).is_ok() {
        return bytes;
    }
    bytes.fill(0);
    let mut rest = bytes.as_mut_slice();
    let mut next = address;
    while !rest.is_empty() {
        let here = ((PAGE - next % PAGE) as usize).min(rest.len());
        let (page, behind) = rest.split_at_mut(here);
        if memory.read(next, page).is_err() {
            page.fill(0);
        }
        rest = behind;
        next = next.wrapping_add(here as u64);
    }
    bytes
}
