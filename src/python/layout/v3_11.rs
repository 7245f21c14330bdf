//! CPython 3.11, from the debug information of 3.11.7: frames on the data stack of the thread, a new
//! line table, instance attributes without a dict, a new `PyDictKeysObject`.

use super::*;

/// 3.11.2 and 3.11.7, which differ in what a `Pickler` shows; what those in between do is not known.
pub static TABLES: [Table; 2] = [
    Table { minor: 11, first_micro: 0, runtime_sizes: &[166_688], layout: FIRST },
    Table { minor: 11, first_micro: 7, runtime_sizes: &[166_688], layout: LAYOUT },
];

/// 3.11.2.
const FIRST: Layout = Layout {
    objects: Objects { pickles: v3_10::LAYOUT.objects.pickles, ..LAYOUT.objects },
    ..LAYOUT
};

/// 3.11.7.
pub const LAYOUT: Layout = Layout {
    runtime: Runtime { interpreters_head: 40, interpreters_main: 48 },
    interpreter: Interpreter {
        next: 0,
        id: 48,
        threads_head: 16,
        modules: 888,
        sys_dict: 904,
        interned: None,
    },
    thread: Thread {
        next: 8,
        interpreter: 16,
        pthread: 152,
        native_id: Some(160),
        frame: FrameLink::CFrame { pointer: 56, current: 8 },
        data_stack: Some(DataStack { chunk: 296, top: 304, previous: 0, size: 8 }),
        holds_gil: None,
    },
    gil: Gil::Process { last_holder: 368, locked: 376 },
    gc: Gc { place: GcPlace::Interpreter(648), ..v3_10::LAYOUT.gc },
    frames: Frames::Interpreter(InterpreterFrame {
        code: 32,
        previous: 48,
        instruction: 56,
        owner: 69,
        size: 72,
        function: 0,
        namespace: 24,
        frame_object: 40,
        stack_end: StackEnd::Count(64),
        object: OwnFrame { pointer: 24, data: 48 },
    }),
    code: Code {
        first_line: 72,
        filename: 112,
        name: 128,
        line_table: 136,
        line_format: LineFormat::Locations,
        instructions: Some(184),
        first_traceable: Some(168),
        arguments: 56,
        stack_size: 68,
        locals: CodeLocals::Together { count: 76, names: 96 },
        opcodes: &opcodes::V3_11,
    },
    unicode: Unicode { printable: Printable::V3_11, ..v3_10::LAYOUT.unicode },
    attributes: Attributes::DictOrValues { dict: 24, values: 32 },
    keys: DictKeys {
        size: DictKeysSize::Logarithm { slots: 8, bytes: 9, kind: 10 },
        entries: 24,
        indices: 32,
        references: 0,
        usable: 16,
    },
    int: Int { least_digits: 1, ..v3_10::LAYOUT.int },
    generators: Generators::Inside { frame: 80, state: 75, cleared: 4, last_code: LastCode::Gone },
    objects: Objects {
        deque: Deque { free_blocks: Some(72), ..v3_10::LAYOUT.objects.deque },
        pickles: Pickles { memo_is_shown: true, ..v3_10::LAYOUT.objects.pickles },
        ..v3_10::LAYOUT.objects
    },
    records: &[
        records::v3_11::RECORDS,
        records::v3_10::RECORDS,
        records::v3_9::RECORDS,
        records::v3_8::RECORDS,
    ],
    ..v3_10::LAYOUT
};
