//! CPython 3.12, from the debug information of 3.12.1: a GIL per interpreter, allocator tables in
//! `_PyRuntime`, tagged integers, strings without `wstr`.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 12, first_micro: 0, runtime_sizes: &[459_944], layout: LAYOUT }];

/// 3.12.1.
pub const LAYOUT: Layout = Layout {
    interpreter: Interpreter { next: 0, id: 8, threads_head: 72, modules: 944, sys_dict: 352 },
    thread: Thread {
        pthread: 136,
        native_id: Some(144),
        frame: FrameLink::CFrame { pointer: 56, current: 0 },
        data_stack: Some(DataStack { chunk: 232, top: 240, previous: 0, size: 8 }),
        ..v3_11::LAYOUT.thread
    },
    gil: Gil::Interpreter { pointer: 384, last_holder: 8, locked: 16 },
    gc: Gc { place: GcPlace::Interpreter(112), ..v3_11::LAYOUT.gc },
    frames: Frames::Interpreter(InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        owner: 70,
        size: 72,
    }),
    code: Code {
        first_line: 68,
        instructions: Some(192),
        first_traceable: Some(176),
        ..v3_11::LAYOUT.code
    },
    types: Type { cached_keys: 880, ..v3_11::LAYOUT.types },
    attributes: Attributes::Tagged { word: 24 },
    unicode: Unicode { length: 16, state: 32, ascii_data: 40, compact_data: 56, data_pointer: 56 },
    int: Int { tagged: true, ..v3_11::LAYOUT.int },
    allocators: Allocators::Runtime { raw: 96, mem: 136, object: 176 },
    pymalloc: Pymalloc { place: PymallocPlace::Embedded(3960), ..v3_11::LAYOUT.pymalloc },
    ..v3_11::LAYOUT
};
