//! CPython 3.9, from the debug information of 3.9.18: the collector moved into the interpreter.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 9, first_micro: 0, runtime_sizes: &[656], layout: LAYOUT }];

/// 3.9.18.
pub const LAYOUT: Layout = Layout {
    interpreter: Interpreter {
        next: 0,
        id: 24,
        threads_head: 8,
        modules: 856,
        sys_dict: 872,
        interned: None,
    },
    gil: Gil::Process { last_holder: 360, locked: 368 },
    gc: Gc { place: GcPlace::Interpreter(616), ..v3_8::LAYOUT.gc },
    types: Type {
        size: 408,
        heap_name: 840,
        slots: 848,
        qualified_name: 856,
        cached_keys: 864,
        module: Some(872),
        ..v3_8::LAYOUT.types
    },
    unicode: Unicode { printable: Printable::V3_9, ..v3_8::LAYOUT.unicode },
    objects: Objects { future_state: 80, ..v3_8::LAYOUT.objects },
    records: &[records::v3_9::RECORDS, records::v3_8::RECORDS],
    tracemalloc: Tracemalloc {
        table: HashTable {
            entry_count: 0,
            bucket_count: 8,
            buckets: 16,
            functions: 24,
            function_count: 7,
            entry: HashEntry::Words { key: 16, value: 24 },
        },
        traceback: Traceback { count: FrameCount::Shorts(8), frames: 12 },
        ..v3_8::LAYOUT.tracemalloc
    },
    ..v3_8::LAYOUT
};
