//! CPython 3.13, from the debug information of 3.13.0 and the headers of 3.13.5 and 3.13.18:
//! attribute values inside the instance. The collector's list heads moved four bytes between 3.13.0
//! and 3.13.5, as an alignment of `PyGC_Head` was lowered.

use super::*;

/// 3.13.0, and what came after it.
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
    },
    thread: Thread {
        pthread: 152,
        native_id: Some(160),
        frame: FrameLink::Direct(72),
        ..v3_12::LAYOUT.thread
    },
    gil: Gil::Interpreter { pointer: 16, last_holder: 8, locked: 16 },
    gc: Gc { place: GcPlace::Interpreter(7400), ..v3_12::LAYOUT.gc },
    code: Code { instructions: Some(200), first_traceable: Some(184), ..v3_12::LAYOUT.code },
    attributes: Attributes::Inline { dict: 24, valid: 3, values: 8 },
    dict: Dict { values_first: 8, ..v3_12::LAYOUT.dict },
    allocators: Allocators::Runtime { raw: 704, mem: 744, object: 784 },
    pymalloc: Pymalloc { place: PymallocPlace::Pointer(10800), ..v3_12::LAYOUT.pymalloc },
    ..v3_12::LAYOUT
};

/// 3.13.5 and 3.13.18.
pub const LAYOUT: Layout = Layout { gc: Gc { generations: 20, ..FIRST.gc }, ..FIRST };
