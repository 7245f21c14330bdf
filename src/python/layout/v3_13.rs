//! CPython 3.13, from the debug information of 3.13.0 and the headers of 3.13.5 and 3.13.18: attribute values
//! inside the instance. The collector's list heads moved four bytes between 3.13.0 and 3.13.5, when an
//! alignment of `PyGC_Head` was lowered.

use super::*;

/// 3.13.0, and later builds.
pub static TABLES: [Table; 2] = [
    Table { minor: 13, first_micro: 0, runtime_sizes: &[283_320], layout: FIRST },
    Table { minor: 13, first_micro: 5, runtime_sizes: &[283_376, 283_408], layout: LAYOUT },
];

/// 3.13.0.
pub const FIRST: Layout = Layout {
    runtime: Runtime { interpreters_head: 632, interpreters_main: 640 },
    interpreter: Interpreter {
        next: 7264,
        id: 7272,
        threads_head: 7344,
        modules: 7656,
        sys_dict: 7640,
        interned: Some(194_328),
    },
    thread: Thread {
        pthread: 152,
        native_id: Some(160),
        frame: FrameLink::Direct(72),
        ..v3_12::LAYOUT.thread
    },
    gil: Gil::Interpreter { pointer: 16, last_holder: 8, locked: 16 },
    gc: Gc { place: GcPlace::Interpreter(7400), ..v3_12::LAYOUT.gc },
    code: Code {
        instructions: Some(200),
        first_traceable: Some(184),
        opcodes: &opcodes::V3_13,
        ..v3_12::LAYOUT.code
    },
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
        object: OwnFrame { pointer: 24, data: 64 },
    }),
    types: Type {
        static_types: Some(StaticTypes { array: 182_968, stride: 48, dict: 24, subclasses: 32 }),
        ..v3_12::LAYOUT.types
    },
    unicode: Unicode { printable: Printable::V3_13, ..v3_12::LAYOUT.unicode },
    attributes: Attributes::Inline { dict: 24, valid: 3, values: 8 },
    dict: Dict { values_first: 8, ..v3_12::LAYOUT.dict },
    allocators: Allocators::Runtime { raw: 704, mem: 744, object: 784 },
    objects: Objects {
        queue: Some(RingBuffer {
            first: 32,
            items: 40,
            capacity: 48,
            length: 56,
            is_counted: false,
        }),
        pickles: Pickles { methods_are_split: false, ..v3_12::LAYOUT.objects.pickles },
        future_state: 96,
        ..v3_12::LAYOUT.objects
    },
    records: &[
        records::v3_13::RECORDS,
        records::v3_12::RECORDS,
        records::v3_11::RECORDS,
        records::v3_10::RECORDS,
        records::v3_9::RECORDS,
        records::v3_8::RECORDS,
    ],
    pymalloc: Pymalloc { place: PymallocPlace::Pointer(10800), ..v3_12::LAYOUT.pymalloc },
    tracemalloc: Tracemalloc {
        place: TracemallocPlace::Runtime {
            behind_interpreter: 192,
            traced_memory: 144,
            traces: 184,
            domains: 192,
        },
        ..v3_12::LAYOUT.tracemalloc
    },
    ..v3_12::LAYOUT
};

/// 3.13.5 and 3.13.18.
pub const LAYOUT: Layout = Layout { gc: Gc { generations: 20, ..FIRST.gc }, ..FIRST };
