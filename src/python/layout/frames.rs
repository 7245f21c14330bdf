//! Offsets in frames, generators and code objects.

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
    /// `f_localsplus`: locals, cells and free variables.
    pub locals: usize,
    /// `f_valuestack`: the pointer to where the values begin, behind those.
    pub value_stack: usize,
    /// How far the values go.
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
    /// `frame_obj`: the frame object that was made of it.
    pub frame_object: usize,
    /// How far locals and values go.
    pub stack_end: StackEnd,
    /// The `PyFrameObject` that may be made of it.
    pub object: OwnFrame,
}

/// How a frame tells how many references are in it.
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
    /// `_f_frame_data`: where it is once the frame is over.
    pub data: usize,
}

/// `PyGenObject`, from which coroutines and asynchronous generators do not differ here.
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
        /// `FRAME_CLEARED`: from this state on there is nothing in the frame but its code.
        cleared: i8,
        /// What becomes of that.
        last_code: LastCode,
    },
}

/// What a frame that has been cleared has to do with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastCode {
    /// It has let go of it, though its address is still there (3.11).
    Gone,
    /// It holds it, but the collector is not shown that (3.12 and 3.13).
    Held,
    /// It holds it, and shows it (from 3.14 on).
    Shown,
}

impl InterpreterFrame {
    /// The value of `owner` for a frame inside a generator, a coroutine or an async generator.
    pub const OWNED_BY_GENERATOR: u8 = 1;
    /// From this value of `owner` on a frame is the interpreter's own entry, not Python code.
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
    /// How that table is written.
    pub line_format: LineFormat,
    /// `co_code_adaptive`, which frames point into; `None` where frames keep an index (up to 3.10).
    pub instructions: Option<usize>,
    /// `_co_firsttraceable`, an `int` counted in instructions of two bytes: a frame before it has
    /// not begun (from 3.11 on).
    pub first_traceable: Option<usize>,
    /// `co_argcount`, an `int`: arguments by position.
    pub arguments: usize,
    /// `co_stacksize`, an `int`: how many values there may be.
    pub stack_size: usize,
    /// The local variables.
    pub locals: CodeLocals,
}

/// How a code object tells of its local variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeLocals {
    /// In three tuples of names, in the order in which frames have them (up to 3.10).
    Tuples {
        /// `co_nlocals`, an `int`: how long the first is.
        count: usize,
        /// `co_varnames`, `co_cellvars`, `co_freevars`.
        names: [usize; 3],
        /// `co_code`.
        code: usize,
        /// `co_cell2arg`: the pointer to the numbers of arguments that are cells.
        cell_arguments: usize,
        /// `co_opcache`: the pointer to the caches of instructions; and how many there are, a byte.
        cache: [usize; 2],
    },
    /// In one tuple of names (from 3.11 on).
    Together {
        /// `co_nlocalsplus`, an `int`: how long it is.
        count: usize,
        /// `co_localsplusnames`.
        names: usize,
    },
}

/// How a line table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// `co_lnotab`, up to 3.9.
    Lnotab,
    /// `co_linetable` of 3.10 (PEP 626).
    Ranges,
    /// `co_linetable` from 3.11 on, with columns (PEP 657).
    Locations,
}
