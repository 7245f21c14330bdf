//! CPython 3.15, from the headers of 3.15.0 and 3.15.2, with and without the JIT compiled in.

use super::*;

/// The one layout known; the JIT makes `_PyRuntime` one pointer longer.
pub static TABLES: [Table; 1] =
    [Table { minor: 15, first_micro: 0, runtime_sizes: &[346_560, 346_568], layout: LAYOUT }];

/// 3.15.0 and 3.15.2.
pub const LAYOUT: Layout = Layout {
    runtime: Runtime { interpreters_head: 936, interpreters_main: 944 },
    interpreter: Interpreter {
        next: 7264,
        id: 7272,
        threads_head: 7336,
        modules: 7592,
        sys_dict: 7576,
        interned: Some(224_896),
    },
    thread: Thread {
        pthread: 176,
        native_id: Some(184),
        data_stack: Some(DataStack { chunk: 256, top: 264, previous: 0, size: 8 }),
        ..v3_14::LAYOUT.thread
    },
    gc: Gc {
        place: GcPlace::Interpreter(7400),
        generations: 8,
        permanent: 80,
        collecting: 112,
        enabled: 0,
        debug: 4,
        garbage: 128,
        statistics: GcStatistics::Rings(104),
    },
    code: Code { opcodes: &opcodes::V3_15, ..v3_14::LAYOUT.code },
    types: Type {
        size: 424,
        heap_name: 864,
        slots: 872,
        qualified_name: 880,
        cached_keys: 888,
        module: Some(896),
        static_types: Some(StaticTypes { array: 180_264, stride: 48, dict: 24, subclasses: 32 }),
        ..v3_14::LAYOUT.types
    },
    unicode: Unicode { printable: Printable::V3_15, ..v3_14::LAYOUT.unicode },
    module: Module { state: 24, state_size: ModuleStateSize::Own(56), ..v3_14::LAYOUT.module },
    generators: Generators::Inside { frame: 72, state: 67, cleared: 5, last_code: LastCode::Shown },
    objects: Objects {
        queue: Some(RingBuffer {
            first: 32,
            items: 40,
            capacity: 48,
            length: 56,
            is_counted: true,
        }),
        bytearray: ByteArray { is_in_bytes: true, ..v3_14::LAYOUT.objects.bytearray },
        ..v3_14::LAYOUT.objects
    },
    records: &[
        records::v3_15::RECORDS,
        records::v3_14::RECORDS,
        records::v3_13::RECORDS,
        records::v3_12::RECORDS,
        records::v3_11::RECORDS,
        records::v3_10::RECORDS,
        records::v3_9::RECORDS,
        records::v3_8::RECORDS,
    ],
    allocators: Allocators::Runtime { raw: 1008, mem: 1048, object: 1088 },
    pymalloc: Pymalloc { place: PymallocPlace::Pointer(10880), ..v3_14::LAYOUT.pymalloc },
    tracemalloc: Tracemalloc {
        place: TracemallocPlace::Runtime {
            behind_interpreter: 216,
            traced_memory: 144,
            traces: 184,
            domains: 192,
        },
        filename: TraceFilename::Utf8,
        ..v3_14::LAYOUT.tracemalloc
    },
    ..v3_14::LAYOUT
};
