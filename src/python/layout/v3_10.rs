//! CPython 3.10, from the debug information of 3.10.13: `f_lasti` counts instructions, and the line table is
//! the one of PEP 626.

use super::*;

/// The one layout known.
pub static TABLES: [Table; 1] =
    [Table { minor: 10, first_micro: 0, runtime_sizes: &[672], layout: LAYOUT }];

/// 3.10.13.
pub const LAYOUT: Layout = Layout {
    frames: Frames::Objects(FrameObject {
        back: 24,
        code: 32,
        last_instruction: 96,
        instruction_unit: 2,
        locals: 352,
        value_stack: 64,
        stack_end: StackEnd::Depth(80),
    }),
    code: Code { line_format: LineFormat::Ranges, ..v3_9::LAYOUT.code },
    types: Type {
        heap_name: 848,
        slots: 856,
        qualified_name: 864,
        cached_keys: 872,
        module: Some(880),
        ..v3_9::LAYOUT.types
    },
    objects: Objects { future_state: 88, ..v3_9::LAYOUT.objects },
    records: &[records::v3_10::RECORDS, records::v3_9::RECORDS, records::v3_8::RECORDS],
    pymalloc: Pymalloc { arena_size: 1 << 20, pool_size: 16 << 10, ..v3_9::LAYOUT.pymalloc },
    ..v3_9::LAYOUT
};
