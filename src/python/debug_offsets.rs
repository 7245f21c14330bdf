//! `_Py_DebugOffsets`: the layout as published by the interpreter itself, from 3.13 on.
//!
//! It is at the start of `_PyRuntime`: a cookie, the version, whether the build is free-threaded, then one
//! `u64` per offset. It overrides the table. Differences are kept and reported, because offsets that it does
//! *not* contain still come from the table.

use super::at;
use super::layout::{Frames, Gil, Layout};
use super::version::Version;
use crate::memory::{Memory, ReadError, u64_at};

/// The first bytes of the structure.
pub(super) const COOKIE: &[u8; 8] = b"xdebugpy";
/// Bytes of the largest known version of the structure (3.15); no more is read.
const SIZE: usize = 888;
/// The largest offset that is plausible.
const LARGEST_OFFSET: u64 = 1 << 24;

/// The head of `_Py_DebugOffsets`, and its bytes.
#[derive(Debug, Clone)]
pub struct DebugOffsets {
    /// `version`, the exact `PY_VERSION_HEX`.
    pub version: Version,
    /// `free_threaded`: the build has no GIL.
    pub free_threaded: bool,
    bytes: Vec<u8>,
}

/// An offset for which the interpreter and our table disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disagreement {
    /// The field, as `_Py_DebugOffsets` names it.
    pub field: &'static str,
    /// What our table says, in bytes.
    pub expected: usize,
    /// What the interpreter says, in bytes.
    pub found: u64,
}

/// One offset: its name, its position in the structure of 3.13, 3.14 and 3.15 (0: not there), and the
/// field of the layout it overrides.
struct Row {
    name: &'static str,
    positions: [usize; 3],
    field: fn(&mut Layout) -> Option<&mut usize>,
}

const fn row(
    name: &'static str,
    positions: [usize; 3],
    field: fn(&mut Layout) -> Option<&mut usize>,
) -> Row {
    Row { name, positions, field }
}

/// `Include/internal/pycore_debug_offsets.h` of 3.13 (there in `pycore_runtime.h`), 3.14 and 3.15.
const ROWS: &[Row] = &[
    row("runtime_state.interpreters_head", [40, 40, 40], |l| {
        Some(&mut l.runtime.interpreters_head)
    }),
    row("interpreter_state.id", [56, 56, 56], |l| Some(&mut l.interpreter.id)),
    row("interpreter_state.next", [64, 64, 64], |l| Some(&mut l.interpreter.next)),
    row("interpreter_state.threads_head", [72, 72, 72], |l| Some(&mut l.interpreter.threads_head)),
    row("interpreter_state.imports_modules", [88, 96, 96], |l| Some(&mut l.interpreter.modules)),
    row("interpreter_state.sysdict", [96, 104, 104], |l| Some(&mut l.interpreter.sys_dict)),
    row("interpreter_state.ceval_gil", [112, 120, 120], |l| match &mut l.gil {
        Gil::Interpreter { pointer, .. } => Some(pointer),
        Gil::Process { .. } => None,
    }),
    row("thread_state.next", [168, 192, 192], |l| Some(&mut l.thread.next)),
    row("thread_state.interp", [176, 200, 200], |l| Some(&mut l.thread.interpreter)),
    row("thread_state.current_frame", [184, 208, 208], |l| match &mut l.thread.frame {
        super::layout::FrameLink::Direct(offset) => Some(offset),
        super::layout::FrameLink::CFrame { .. } => None,
    }),
    row("thread_state.thread_id", [192, 216, 240], |l| Some(&mut l.thread.pthread)),
    row("thread_state.native_thread_id", [200, 224, 248], |l| l.thread.native_id.as_mut()),
    row("thread_state.datastack_chunk", [208, 232, 256], |l| {
        l.thread.data_stack.as_mut().map(|stack| &mut stack.chunk)
    }),
    row("thread_state.holds_gil", [0, 0, 272], |l| l.thread.holds_gil.as_mut()),
    row("interpreter_frame.previous", [232, 256, 320], |l| match &mut l.frames {
        Frames::Interpreter(frame) => Some(&mut frame.previous),
        Frames::Objects(_) => None,
    }),
    row("interpreter_frame.executable", [240, 264, 328], |l| match &mut l.frames {
        Frames::Interpreter(frame) => Some(&mut frame.code),
        Frames::Objects(_) => None,
    }),
    row("interpreter_frame.instr_ptr", [248, 272, 336], |l| match &mut l.frames {
        Frames::Interpreter(frame) => Some(&mut frame.instruction),
        Frames::Objects(_) => None,
    }),
    row("interpreter_frame.localsplus", [256, 280, 344], |l| match &mut l.frames {
        Frames::Interpreter(frame) => Some(&mut frame.size),
        Frames::Objects(_) => None,
    }),
    row("interpreter_frame.owner", [264, 288, 352], |l| match &mut l.frames {
        Frames::Interpreter(frame) => Some(&mut frame.owner),
        Frames::Objects(_) => None,
    }),
    row("code_object.filename", [280, 320, 384], |l| Some(&mut l.code.filename)),
    row("code_object.qualname", [296, 336, 400], |l| Some(&mut l.code.name)),
    row("code_object.linetable", [304, 344, 408], |l| Some(&mut l.code.line_table)),
    row("code_object.firstlineno", [312, 352, 416], |l| Some(&mut l.code.first_line)),
    row("code_object.co_code_adaptive", [344, 384, 448], |l| l.code.instructions.as_mut()),
    row("pyobject.ob_type", [360, 408, 472], |l| Some(&mut l.object.kind)),
    row("type_object.tp_name", [376, 424, 488], |l| Some(&mut l.types.name)),
    row("type_object.tp_flags", [392, 440, 504], |l| Some(&mut l.types.flags)),
    row("heap_type_object.ht_cached_keys", [0, 0, 536], |l| Some(&mut l.types.cached_keys)),
    row("dict_object.ma_keys", [456, 536, 632], |l| Some(&mut l.dict.keys)),
    row("dict_object.ma_values", [464, 544, 640], |l| Some(&mut l.dict.values)),
    row("long_object.lv_tag", [496, 576, 672], |l| Some(&mut l.int.size)),
    row("long_object.ob_digit", [504, 584, 680], |l| Some(&mut l.int.digits)),
    row("bytes_object.ob_size", [520, 600, 696], |l| Some(&mut l.bytes.length)),
    row("bytes_object.ob_sval", [528, 608, 704], |l| Some(&mut l.bytes.data)),
    row("unicode_object.state", [544, 624, 720], |l| Some(&mut l.unicode.state)),
    row("unicode_object.length", [552, 632, 728], |l| Some(&mut l.unicode.length)),
    row("unicode_object.asciiobject_size", [560, 640, 736], |l| Some(&mut l.unicode.ascii_data)),
    row("gc.collecting", [576, 656, 760], |l| Some(&mut l.gc.collecting)),
];

impl DebugOffsets {
    /// Reads the structure at the start of `_PyRuntime`; `None` where there is no such structure.
    pub fn read<M: Memory>(memory: &M, runtime: u64) -> Result<Option<DebugOffsets>, ReadError> {
        if &memory.array::<8>(runtime)? != COOKIE {
            return Ok(None);
        }
        let Some(version) = Version::from_hex(memory.u64(at(runtime, 8))?) else {
            return Ok(None);
        };
        let free_threaded = memory.u64(at(runtime, 16))? != 0;
        let bytes = memory.bytes(runtime, SIZE as u64, SIZE)?;
        Ok(Some(DebugOffsets { version, free_threaded, bytes }))
    }

    /// Overrides `layout` with what the interpreter says, and returns the disagreements.
    pub fn apply(&self, layout: &mut Layout) -> Vec<Disagreement> {
        let Some(column) = usize::from(self.version.minor).checked_sub(13) else {
            return Vec::new();
        };
        let mut disagreements = Vec::new();
        for row in ROWS {
            let position = row.positions.get(column).copied().filter(|&position| position != 0);
            let found = position.and_then(|position| u64_at(&self.bytes, position));
            let (Some(found), Some(field)) = (found, (row.field)(layout)) else { continue };
            if *field as u64 == found {
                continue;
            }
            disagreements.push(Disagreement { field: row.name, expected: *field, found });
            if found < LARGEST_OFFSET {
                *field = found as usize;
            }
        }
        disagreements
    }
}
