//! CPython 3.14, from the headers of 3.14.8 and 3.14.10: tagged references in frames; a thread's state says
//! whether it holds the GIL.
//!
//! 3.14.0 to 3.14.4 had an incremental collector; its lists are at the same offsets, with a mark in the low
//! bits of the links.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 14, first_micro: 0, runtime_sizes: &[316_616], layout: LAYOUT }];

/// 3.14.8 and 3.14.10.
pub const LAYOUT: Layout = Layout {
    runtime: Runtime { interpreters_head: 808, interpreters_main: 816 },
    interpreter: Interpreter {
        next: 7272,
        id: 7280,
        threads_head: 7344,
        modules: 7688,
        sys_dict: 7672,
        interned: Some(224_624),
    },
    thread: Thread { holds_gil: Some(36), ..v3_13::LAYOUT.thread },
    gc: Gc {
        place: GcPlace::Interpreter(7408),
        generations: 24,
        permanent: 96,
        collecting: 192,
        enabled: 12,
        debug: 16,
        garbage: 200,
        statistics: GcStatistics::Sums(120),
    },
    frames: Frames::Interpreter(InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        owner: 74,
        size: 80,
        function: 16,
        namespace: 40,
        frame_object: 48,
        stack_end: StackEnd::Pointer(64),
        object: OwnFrame { pointer: 24, data: 72 },
    }),
    code: Code {
        instructions: Some(208),
        first_traceable: Some(192),
        opcodes: &opcodes::V3_14,
        ..v3_13::LAYOUT.code
    },
    generators: Generators::Inside { frame: 72, state: 67, cleared: 4, last_code: LastCode::Shown },
    types: Type {
        static_types: Some(StaticTypes { array: 180_240, stride: 48, dict: 24, subclasses: 32 }),
        ..v3_13::LAYOUT.types
    },
    unicode: Unicode { printable: Printable::V3_14, ..v3_13::LAYOUT.unicode },
    objects: Objects { tuple_items: 32, future_state: 104, ..v3_13::LAYOUT.objects },
    records: &[
        records::v3_14::RECORDS,
        records::v3_13::RECORDS,
        records::v3_12::RECORDS,
        records::v3_11::RECORDS,
        records::v3_10::RECORDS,
        records::v3_9::RECORDS,
        records::v3_8::RECORDS,
    ],
    allocators: Allocators::Runtime { raw: 880, mem: 920, object: 960 },
    pymalloc: Pymalloc { place: PymallocPlace::Pointer(10904), ..v3_13::LAYOUT.pymalloc },
    tracemalloc: Tracemalloc {
        place: TracemallocPlace::Runtime {
            behind_interpreter: 200,
            traced_memory: 144,
            traces: 184,
            domains: 192,
        },
        ..v3_13::LAYOUT.tracemalloc
    },
    ..v3_13::LAYOUT
};
