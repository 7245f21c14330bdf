//! A target's memory may contain anything: stacks, objects, dicts and tracemalloc's tables are read all the
//! same.
#![no_main]

use leakspy::memory::Memory;
use leakspy::python::dicts;
use leakspy::python::layout::{Layout, TABLES};
use leakspy::python::objects::{Disclosure, EdgeNames, Edges, Reader, TypeTable};
use leakspy::python::tracemalloc::{Tables, Traces, Tracing};
use leakspy::python::{CodeCache, Python, RawStack};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/pure/junk.rs"]
mod junk;
use junk::{AN_OBJECT, EXTENT, Junk, NAMES, OfOneTable, OfOneType, THE_TABLE, THE_TYPE, python};

#[derive(Debug, Arbitrary)]
struct Input {
    words: Vec<u64>,
    holes: bool,
    /// The version whose layout is used.
    layout: u8,
    /// Where reading begins, and the address that is taken for a type.
    address: u64,
    kind: u64,
    of: Of,
}

/// The well-formed part of the memory.
#[derive(Debug, Arbitrary)]
enum Of {
    Nothing,
    Type { name: u8, flags: u32, sizes: [u64; 3] },
    Table { entries: u8, power: u8, key_size: u8, first: u64, most_frames: u16 },
}

fuzz_target!(|input: Input| {
    let Input { words, holes, layout, address, kind, of } = input;
    if words.is_empty() {
        return;
    }
    let junk = Junk { words, holes };
    let table = &TABLES[layout as usize % TABLES.len()][0];
    let (minor, layout) = (table.minor, &table.layout);
    match of {
        Of::Nothing => {
            let python = python(minor, *layout, kind, kind);
            read_interpreter(&junk, &python, address);
            read_object(&junk, &python, address);
        }
        Of::Type { name, flags, sizes } => {
            let name = NAMES[name as usize % NAMES.len()];
            let place = ((AN_OBJECT + layout.object.kind as u64) / 8) as usize % junk.words.len();
            let mut memory = OfOneType { junk, layout, name, flags: flags.into(), sizes };
            memory.junk.words[place] = THE_TYPE;
            read_object(&memory, &python(minor, *layout, THE_TYPE, THE_TYPE), AN_OBJECT);
        }
        Of::Table { entries, power, key_size, first, most_frames } => {
            let buckets = 1 << (3 + power % 5);
            let entries = u64::from(entries % 40);
            let key_size = key_size.into();
            let memory = OfOneTable { junk, layout, entries, buckets, key_size, first };
            read_traces(&memory, layout, most_frames.into(), address);
        }
    }
});

fn read_interpreter(memory: &Junk, python: &Python, thread: u64) {
    let _ = python.validate(memory);
    let _ = python.interpreters(memory);
    let _ = python.gil_holders(memory);
    let _ = python.allocators(memory);
    let _ = python.thread_states(memory);
    let _ = python.thread_names(memory);
    let _ = python.traces(memory);
    let mut raw = RawStack::default();
    let _ = python.copy_stack(memory, thread, &mut raw);
    assert!(raw.frames.len() <= 100_000);
    raw.frames.truncate(200);
    CodeCache::new().resolve_stack(memory, python, &raw);
}

fn read_object(memory: &impl Memory, python: &Python, object: u64) {
    let types = TypeTable::new(memory, python, EXTENT);
    let reader = Reader::new(memory, &types);
    let mut edges = Edges::new();
    let _ = reader.describe(object, &mut edges);
    assert!(edges.shown.len() + edges.held.len() < EXTENT as usize);
    for child in edges.shown.iter().chain(&edges.held).take(3) {
        let _ = reader.link(object, *child, Disclosure::Values);
    }
    let _ = dicts::entries(memory, &python.layout, object);
    let _ = dicts::attribute(memory, &python.layout, object, "name");
}

fn read_traces(memory: &OfOneTable, layout: &Layout, most_frames: u32, domains: u64) {
    for domains in [None, Some(domains)] {
        let tables = Tables { traces: THE_TABLE, domains, traced_memory: None };
        if let Ok(traces) = Traces::read(memory, layout, &tables, Tracing { most_frames }) {
            for trace in traces.iter() {
                assert!(traces.traceback(trace.traceback).frames().count() > 0);
            }
        }
    }
}
