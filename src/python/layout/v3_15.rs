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
    },
    thread: Thread {
        pthread: 176,
        native_id: Some(184),
        data_stack: Some(DataStack { chunk: 256, top: 264, previous: 0, size: 8 }),
        ..v3_14::LAYOUT.thread
    },
    gc: Gc { place: GcPlace::Interpreter(7400), generations: 8, permanent: 80, collecting: 112 },
    types: Type { cached_keys: 888, ..v3_14::LAYOUT.types },
    allocators: Allocators::Runtime { raw: 1008, mem: 1048, object: 1088 },
    pymalloc: Pymalloc { place: PymallocPlace::Pointer(10880), ..v3_14::LAYOUT.pymalloc },
    ..v3_14::LAYOUT
};
