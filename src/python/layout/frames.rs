//! Offsets in frames, generators and code objects.

use super::Opcodes;

/// Python frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// Each a `PyFrameObject` of its own (up to 3.10).
    Objects(FrameObject),
    /// `_PyInterpreterFrame`s on the data stack and inside generators (from 3.11 on).
    Interpreter(InterpreterFrame),
}

/// `PyFrameObject`, up to 3.10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameObject {
    /// `f_back`: the caller's frame.
    pub back: usize,
    /// `f_code`.
    pub code: usize,
    /// `f_lasti`, an `int`.
    pub last_instruction: usize,
    /// How many bytes of bytecode `f_lasti` counts in.
    pub instruction_unit: i32,
    /// `f_localsplus`: the locals, cells and free variables.
    pub locals: usize,
    /// `f_valuestack`: the pointer to the first value, after those.
    pub value_stack: usize,
    /// Where the values end.
    pub stack_end: StackEnd,
}

/// `_PyInterpreterFrame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterpreterFrame {
    /// `f_code` or `f_executable`; the low two bits are a tag from 3.14 on and zero before.
    pub code: usize,
    /// `previous`: the caller's frame.
    pub previous: usize,
    /// `prev_instr` or `instr_ptr`.
    pub instruction: usize,
    /// `owner`, a byte: 0 a thread, 1 a generator, 2 a frame object.
    pub owner: usize,
    /// Bytes before the locals.
    pub size: usize,
    /// `f_func` or `f_funcobj`, tagged like `code`.
    pub function: usize,
    /// `f_locals`: the namespace of a module or a class body.
    pub namespace: usize,
    /// `frame_obj`: the frame object that was made for it.
    pub frame_object: usize,
    /// Where locals and values end.
    pub stack_end: StackEnd,
    /// The `PyFrameObject` that may be made for it.
    pub object: OwnFrame,
}

/// How a frame stores the number of its references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackEnd {
    /// `f_stacktop` or `stackpointer`: a pointer to the end, null while the frame runs (up to 3.9; from
    /// 3.14 on).
    Pointer(usize),
    /// `f_stackdepth`: an `int` that counts values, negative while the frame runs (3.10).
    Depth(usize),
    /// `stacktop`: an `int` that counts locals and values, negative while the frame runs (3.11 to
    /// 3.13).
    Count(usize),
}

/// `PyFrameObject`, from 3.11 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnFrame {
    /// `f_frame`: the pointer to the frame.
    pub pointer: usize,
    /// `_f_frame_data`: where the frame is once it has ended.
    pub data: usize,
}

/// `PyGenObject`; coroutines and asynchronous generators are the same here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generators {
    /// With a frame object, which is a [field](super::records) (up to 3.10).
    FrameObject,
    /// With a frame inside (from 3.11 on).
    Inside {
        /// `gi_iframe`.
        frame: usize,
        /// `gi_frame_state`, a signed byte.
        state: usize,
        /// `FRAME_CLEARED`: from this state on the frame has no references except perhaps to its code.
        cleared: i8,
        /// What happens to that reference.
        last_code: LastCode,
    },
}

/// Whether a cleared frame still refers to its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastCode {
    /// It has released the code, although its address is still there (3.11).
    Gone,
    /// It holds the code, but does not show it to the collector (3.12 and 3.13).
    Held,
    /// It holds the code, and shows it (from 3.14 on).
    Shown,
}

impl InterpreterFrame {
    /// The value of `owner` for a frame inside a generator, a coroutine or an async generator.
    pub const OWNED_BY_GENERATOR: u8 = 1;
    /// From this value of `owner` on, a frame is the interpreter's own entry, not Python code.
    pub const FIRST_SHIM: u8 = 3;
}

/// `PyCodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `co_firstlineno`, an `int`.
    pub first_line: usize,
    /// `co_filename`.
    pub filename: usize,
    /// `co_name`, or `co_qualname` where there is one (from 3.11 on).
    pub name: usize,
    /// `co_lnotab` or `co_linetable`.
    pub line_table: usize,
    /// The format of that table.
    pub line_format: LineFormat,
    /// `co_code_adaptive`, which frames point into; `None` where frames have an index (up to 3.10).
    pub instructions: Option<usize>,
    /// `_co_firsttraceable`, an `int` counted in two-byte instructions: a frame before it has not begun (from
    /// 3.11 on).
    pub first_traceable: Option<usize>,
    /// `co_argcount`, an `int`: positional arguments.
    pub arguments: usize,
    /// `co_stacksize`, an `int`: the most values that a frame can have.
    pub stack_size: usize,
    /// The local variables.
    pub locals: CodeLocals,
    /// The numbers of instructions.
    pub opcodes: &'static Opcodes,
}

/// How a code object describes its local variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeLocals {
    /// In three tuples of names, in the same order as in frames (up to 3.10).
    Tuples {
        /// `co_nlocals`, an `int`: the length of the first.
        count: usize,
        /// `co_varnames`, `co_cellvars`, `co_freevars`.
        names: [usize; 3],
        /// `co_code`.
        code: usize,
        /// `co_cell2arg`: the pointer to the numbers of arguments that are cells.
        cell_arguments: usize,
        /// `co_opcache`: the pointer to the instruction caches; and their number, a byte.
        cache: [usize; 2],
    },
    /// In one tuple of names (from 3.11 on).
    Together {
        /// `co_nlocalsplus`, an `int`: the length of the tuple.
        count: usize,
        /// `co_localsplusnames`.
        names: usize,
    },
}

/// The format of a line table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// `co_lnotab`, up to 3.9.
    Lnotab,
    /// `co_linetable` of 3.10 (PEP 626).
    Ranges,
    /// `co_linetable` from 3.11 on, with columns (PEP 657).
    Locations,
}
