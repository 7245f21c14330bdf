//! CPython 3.8, from the debug information of 3.8.18.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 8, first_micro: 0, runtime_sizes: &[1464], layout: LAYOUT }];

/// 3.8.18.
pub const LAYOUT: Layout = Layout {
    runtime: Runtime { interpreters_head: 32, interpreters_main: 40 },
    interpreter: Interpreter { next: 0, id: 16, threads_head: 8, modules: 56, sys_dict: 72 },
    thread: Thread {
        next: 8,
        interpreter: 16,
        pthread: 176,
        native_id: None,
        frame: FrameLink::Direct(24),
        data_stack: None,
        holds_gil: None,
    },
    gil: Gil::Process { last_holder: 1160, locked: 1168 },
    gc: Gc { place: GcPlace::Runtime(344), generations: 24, permanent: 104, collecting: 200 },
    frames: Frames::Objects(FrameObject {
        back: 24,
        code: 32,
        last_instruction: 104,
        instruction_unit: 1,
    }),
    code: Code {
        first_line: 40,
        filename: 104,
        name: 112,
        line_table: 120,
        line_format: LineFormat::Lnotab,
        instructions: None,
        first_traceable: None,
    },
    object: Object { kind: 8, size: 16 },
    types: Type { name: 24, basic_size: 32, flags: 168, dict_offset: 288, cached_keys: 872 },
    attributes: Attributes::Dict,
    unicode: Unicode { length: 16, state: 32, ascii_data: 48, compact_data: 72, data_pointer: 72 },
    bytes: Bytes { length: 16, data: 32 },
    int: Int { size: 16, tagged: false, digits: 24 },
    dict: Dict { keys: 32, values: 40, values_first: 0 },
    keys: DictKeys { size: DictKeysSize::Slots(8), entries: 32, indices: 40 },
    module: Module { dict: 16 },
    allocators: Allocators::Static,
    pymalloc: Pymalloc { place: PymallocPlace::Static, arena_size: 256 << 10, pool_size: 4 << 10 },
};
