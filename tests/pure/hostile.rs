//! Random bytes in place of a target's memory: every reading ends with a value or an error, never with a
//! panic, and never hangs.

use leakspy::heap::Summary;
use leakspy::heap::figures::changes::changes;
use leakspy::memory::Memory;
use leakspy::python::debug_offsets::DebugOffsets;
use leakspy::python::dicts::{attribute, entries, get};
use leakspy::python::layout::{Layout, TABLES};
use leakspy::python::objects::{
    Disclosure, EdgeNames, Edges, Reader, TypeTable, bytes, small_int, string, type_name,
};
use leakspy::python::tracemalloc::{Tables, Traces, Tracing};
use leakspy::python::{CodeCache, RawFrame, RawStack};
use leakspy::render::heap::table::Columns;
use leakspy::render::heap::{json, table};
use proptest::prelude::*;
use serde_json::json;

use crate::junk::{
    AN_OBJECT, EXTENT, Junk, NAMES, OfOneTable, OfOneType, THE_TABLE, THE_TYPE, python,
};

/// Words like a target's: small numbers, addresses close by, extremes, anything.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..64,
        4 => (0_u64..512).prop_map(|word| 0x7f00_0000_0000 + 8 * word),
        1 => Just(u64::MAX),
        1 => Just(i64::MAX as u64),
        2 => any::<u64>(),
    ]
}

fn junk() -> impl Strategy<Value = Junk> {
    (proptest::collection::vec(word(), 1..400), any::<bool>())
        .prop_map(|(words, holes)| Junk { words, holes })
}

fn of_one_table() -> impl Strategy<Value = OfOneTable> {
    let key_size = prop_oneof![Just(8), Just(12), word()];
    (junk(), 0..TABLES.len(), 0_u64..40, 3..8, key_size, word()).prop_map(
        |(junk, version, entries, power, key_size, first)| {
            let layout = &TABLES[version][0].layout;
            OfOneTable { junk, layout, entries, buckets: 1_u64 << power, key_size, first }
        },
    )
}

fn of_one_type() -> impl Strategy<Value = OfOneType> {
    let sizes = proptest::array::uniform3(word());
    (junk(), 0..TABLES.len(), proptest::sample::select(NAMES), 0..1_u64 << 32, sizes).prop_map(
        |(junk, version, name, flags, sizes)| {
            let layout = &TABLES[version][0].layout;
            OfOneType { junk, layout, name, flags, sizes }
        },
    )
}

fn layouts() -> impl Iterator<Item = (u8, &'static Layout)> {
    TABLES.iter().copied().flatten().map(|table| (table.minor, &table.layout))
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0x7f00_0000_0000), word()]
}

proptest! {
    #[test]
    fn an_interpreter(memory in junk(), runtime in address(), code in address()) {
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, runtime, code);
            let _ = python.validate(&memory);
            let _ = python.interpreters(&memory);
            let _ = python.gil_holders(&memory);
            let _ = python.allocators(&memory);
            if let Ok(threads) = python.thread_states(&memory) {
                prop_assert!(threads.len() <= 100_000);
            }
            let _ = python.thread_names(&memory);
        }
    }

    #[test]
    fn a_stack(memory in junk(), thread in address()) {
        let mut raw = RawStack::default();
        let mut cache = CodeCache::new();
        for (minor, layout) in layouts() {
            // Some word is taken for the type of code, so that some frames are read closely.
            let python = python(minor, *layout, thread, memory.words[0]);
            let _ = python.copy_stack(&memory, thread, &mut raw);
            prop_assert!(raw.frames.len() <= 100_000);
            raw.frames.truncate(200);
            cache.resolve_stack(&memory, &python, &raw);
        }
    }

    #[test]
    fn a_frame(memory in junk(), code in address(), instruction: i32, generator: bool) {
        for (minor, layout) in layouts() {
            let kind = memory.u64(code.wrapping_add(layout.object.kind as u64)).unwrap_or(0);
            let python = python(minor, *layout, 0, kind);
            let frame = RawFrame { code, instruction, generator };
            let _ = CodeCache::new().resolve(&memory, &python, &frame);
        }
    }

    #[test]
    fn objects(memory in junk(), object in address()) {
        for (_, layout) in layouts() {
            if let Ok(text) = string(&memory, layout, object) {
                prop_assert!(text.chars().count() <= 4 * 4096);
            }
            let _ = bytes(&memory, layout, object);
            let _ = small_int(&memory, layout, object);
            let _ = type_name(&memory, layout, object);
        }
    }

    #[test]
    fn descriptions(memory in junk(), object in address(), kind in address(), child in word()) {
        let mut edges = Edges::new();
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, kind, kind);
            let types = TypeTable::new(&memory, &python, EXTENT);
            let reader = Reader::new(&memory, &types);
            let _ = reader.describe(object, &mut edges);
            prop_assert!(edges.shown.len() + edges.held.len() < EXTENT as usize);
            let _ = reader.link(object, child, Disclosure::Values);
        }
    }

    #[test]
    fn descriptions_of_every_type(mut memory in of_one_type(), child in word()) {
        let kind = memory.layout.object.kind as u64;
        let place = ((AN_OBJECT + kind) / 8) as usize % memory.junk.words.len();
        memory.junk.words[place] = THE_TYPE;
        let python = python(8, *memory.layout, THE_TYPE, THE_TYPE);
        let types = TypeTable::new(&memory, &python, EXTENT);
let reader = Reader::new(&memory, &types);
        let mut edges = Edges::new();
        let described = reader.describe(AN_OBJECT, &mut edges);
        prop_assert_eq!(types.count(), 1, "{:?}", described);
        for child in edges.shown.iter().chain(&edges.held).take(3).chain([&child]) {
            let _ = reader.link(AN_OBJECT, *child, Disclosure::Values);
        }
    }

    #[test]
    fn traces(memory in of_one_table(), most_frames in 1_u32..70_000, domains in address()) {
        let tracing = Tracing { most_frames };
        for domains in [None, Some(THE_TABLE), Some(domains)] {
            let tables = Tables { traces: THE_TABLE, domains, traced_memory: None };
            if let Ok(traces) = Traces::read(&memory, memory.layout, &tables, tracing) {
                prop_assert!(traces.iter().len() <= memory.entries as usize * 1025);
                for trace in traces.iter() {
                    prop_assert!(traces.traceback(trace.traceback).frames().count() > 0);
                }
            }
        }
    }

    #[test]
    fn the_state_of_tracemalloc(memory in junk(), runtime in address()) {
        for (minor, layout) in layouts() {
            let python = python(minor, *layout, runtime, 0);
            let _ = python.traces(&memory);
            let _ = python.search_traces(&memory, Tracing { most_frames: 25 });
        }
    }

    #[test]
    fn dicts(memory in junk(), object in address()) {
        for (_, layout) in layouts() {
            let _ = entries(&memory, layout, object);
            let _ = get(&memory, layout, object, "key");
            let _ = attribute(&memory, layout, object, "name");
        }
    }

    #[test]
    fn offsets_that_the_target_publishes(
        mut memory in junk(),
        minor in 12_u8..18,
        thread in address(),
    ) {
        memory.holes = false;
        memory.words.resize(400, 8);
        memory.words[0] = u64::from_le_bytes(*b"xdebugpy");
        memory.words[1] = 0x0300_01f0 | u64::from(minor) << 16;
        let runtime = 400 * 8 * 1000;
        if let Some(offsets) = DebugOffsets::read(&memory, runtime).expect("no holes") {
            let mut layout = TABLES[7][0].layout;
            offsets.apply(&mut layout);
            let python = python(minor, layout, runtime, memory.words[2]);
            let _ = python.validate(&memory);
            let _ = python.thread_states(&memory);
            let mut raw = RawStack::default();
            let _ = python.copy_stack(&memory, thread, &mut raw);
            raw.frames.truncate(200);
            CodeCache::new().resolve_stack(&memory, &python, &raw);
        }
    }
}

/// A file may contain any number: sums of them saturate.
#[test]
fn saved_figures_have_no_bounds() {
    let kind = |name: &str| {
        let most = u64::MAX;
        json!({ "type": name, "count": most, "tracked_count": most, "shallow": most, "external": most,
            "retained": most })
    };
    let file = json!({
        "schema": 1, "pid": 1, "command": "python", "python": "3.12.1\u{1b}[2J", "time_s": 1e18,
        "pause_s": 1e19, "copied_bytes": u64::MAX, "rss_bytes": u64::MAX, "objects": u64::MAX,
        "shallow_bytes": u64::MAX, "external_bytes": u64::MAX, "inconsistencies": u64::MAX,
        "types": [kind("a"), kind("b"), kind("c")],
    });
    let summary = json::read(file.to_string().as_bytes()).expect("it is one of ours");
    let twice = Summary::together(&[summary.clone(), summary.clone()]).expect("there are two");
    let columns = Columns { group: "type", top: 1, sort: None, own: false };
    let mut out = Vec::new();
    table::write(&summary, columns, &mut out).expect("a vector takes all");
    table::write_changes(&summary, &twice, &changes(&[], &twice.types), columns, &mut out)
        .expect("a vector takes all");
    assert!(!out.contains(&0x1b), "{}", String::from_utf8_lossy(&out));
}
