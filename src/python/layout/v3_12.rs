//! CPython 3.12, from the debug information of 3.12.1: a GIL per interpreter, allocator tables in
//! `_PyRuntime`, tagged integers, strings without `wstr`.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 12, first_micro: 0, runtime_sizes: &[459_944], layout: LAYOUT }];

/// 3.12.1.
pub const LAYOUT: Layout = Layout {
    interpreter: Interpreter {
        next: 0,
        id: 8,
        threads_head: 72,
        modules: 944,
        sys_dict: 352,
        interned: Some(382_936),
    },
    thread: Thread {
        pthread: 136,
        native_id: Some(144),
        frame: FrameLink::CFrame { pointer: 56, current: 0 },
        data_stack: Some(DataStack { chunk: 232, top: 240, previous: 0, size: 8 }),
        ..v3_11::LAYOUT.thread
    },
    object: Object { reference_count: 4, ..v3_11::LAYOUT.object },
    gil: Gil::Interpreter { pointer: 384, last_holder: 8, locked: 16 },
    gc: Gc { place: GcPlace::Interpreter(112), ..v3_11::LAYOUT.gc },
    frames: Frames::Interpreter(InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        owner: 70,
        size: 72,
        function: 16,
        namespace: 40,
        frame_object: 48,
        stack_end: StackEnd::Count(64),
        object: OwnFrame { pointer: 24, data: 48 },
    }),
    code: Code {
        first_line: 68,
        instructions: Some(192),
        first_traceable: Some(176),
        arguments: 52,
        stack_size: 64,
        locals: CodeLocals::Together { count: 72, names: 96 },
        opcodes: &opcodes::V3_12,
        ..v3_11::LAYOUT.code
    },
    types: Type {
        size: 416,
        heap_name: 856,
        slots: 864,
        qualified_name: 872,
        cached_keys: 880,
        module: Some(888),
        static_types: Some(StaticTypes { array: 373_704, stride: 40, dict: 16, subclasses: 24 }),
        ..v3_11::LAYOUT.types
    },
    attributes: Attributes::Tagged { word: 24 },
    unicode: Unicode {
        printable: Printable::V3_12,
        length: 16,
        state: 32,
        ascii_data: 40,
        compact_data: 56,
        data_pointer: 56,
        utf8: 48,
        utf8_length: 40,
        wide: None,
        size: 64,
    },
    int: Int { tagged: true, ..v3_11::LAYOUT.int },
    allocators: Allocators::Runtime { raw: 96, mem: 136, object: 176 },
    generators: Generators::Inside { frame: 72, state: 67, cleared: 4, last_code: LastCode::Held },
    records: &[
        records::v3_12::RECORDS,
        records::v3_11::RECORDS,
        records::v3_10::RECORDS,
        records::v3_9::RECORDS,
        records::v3_8::RECORDS,
    ],
    pymalloc: Pymalloc { place: PymallocPlace::Embedded(3960), ..v3_11::LAYOUT.pymalloc },
    tracemalloc: Tracemalloc {
        place: TracemallocPlace::Runtime {
            behind_interpreter: 200,
            traced_memory: 144,
            traces: 184,
            domains: 192,
        },
        ..v3_11::LAYOUT.tracemalloc
    },
    ..v3_11::LAYOUT
};
