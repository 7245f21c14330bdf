//! Why objects live without another object that refers to them.
//!
//! Some roots are known by what they are: frames of threads, modules, the interpreter's own fields, objects
//! inside the program's files. Others show only when the graph is known: what native code holds (its
//! reference count tells of more references than there are), and garbage, which nobody holds and no
//! collection has found yet.

use crate::heap::ids::RootId;
use crate::memory::{Memory, u64_at};
use crate::python::dicts::entries;
use crate::python::layout::{Frames, Generators, InterpreterFrame};
use crate::python::objects::{Edges, Reader, string};
use crate::python::{Python, at};

/// Words of a thread state that may be references, in bytes: all of its fields up to `id`.
const THREAD_SPAN: usize = 320;
/// Words of an interpreter's state around `sys.modules` that may be references, in bytes.
const INTERPRETER_BEFORE: usize = 512;
const INTERPRETER_SPAN: usize = 1536;

/// Why objects live.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RootKind {
    /// A thread: the exception it handles, its context. Its frames are roots of their own below it.
    Thread {
        /// The address of its state.
        state: u64,
        /// `threading.get_ident()`.
        pthread: u64,
    },
    /// A frame of a thread: its locals.
    Frame {
        /// The thread's root.
        thread: RootId,
        /// The address of the frame (of the frame object up to 3.10).
        frame: u64,
    },
    /// A module in `sys.modules`, and its globals.
    Module {
        /// Its name there.
        name: String,
    },
    /// Fields of an interpreter's own state.
    Interpreter {
        /// The address of that state.
        state: u64,
    },
    /// Objects inside the files of the program: built-in types, `None`, small integers.
    Static,
    /// The interpreter's table of interned strings, and those that only it knows.
    Interned,
    /// Objects whose reference count tells of more references than there are: native code holds them.
    Native,
    /// Objects that nothing holds: cycles that have not been collected.
    Garbage,
}

/// A root, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Why those objects live.
    pub kind: RootKind,
    /// The addresses of the objects that it holds.
    pub objects: Vec<u64>,
    /// Words that may be addresses of objects that it holds.
    pub candidates: Vec<u64>,
}

impl Root {
    fn new(kind: RootKind) -> Root {
        Root { kind, objects: Vec::new(), candidates: Vec::new() }
    }
}

/// All roots, with the objects of those that are known by what they are; the objects of the last four
/// show when the graph is known. What cannot be read is left out.
pub fn known_roots<M: Memory>(reader: Reader<'_, M>, python: &Python) -> Vec<Root> {
    let memory = reader.memory();
    let mut roots = Vec::new();
    thread_roots(reader, python, &mut roots);
    for interpreter in python.interpreters(memory).unwrap_or_default() {
        module_roots(memory, python, interpreter, &mut roots);
        let fields = &python.layout.interpreter;
        let start = at(interpreter, fields.modules.saturating_sub(INTERPRETER_BEFORE));
        let word = |offset| memory.u64(at(interpreter, offset)).unwrap_or_default();
        let mut root = Root::new(RootKind::Interpreter { state: interpreter });
        root.objects = vec![word(fields.modules), word(fields.sys_dict)];
        root.candidates = words(memory, start, INTERPRETER_SPAN);
        roots.push(root);
    }
    let others = [RootKind::Static, RootKind::Interned, RootKind::Native, RootKind::Garbage];
    roots.extend(others.map(Root::new));
    roots
}

/// The threads, each followed by its frames, innermost first.
fn thread_roots<M: Memory>(reader: Reader<'_, M>, python: &Python, roots: &mut Vec<Root>) {
    let memory = reader.memory();
    let mut edges = Edges::new();
    for thread in python.thread_states(memory).unwrap_or_default() {
        let thread_root = RootId(roots.len() as u32);
        let kind = RootKind::Thread { state: thread.address, pthread: thread.pthread };
        let candidates = words(memory, thread.address, THREAD_SPAN);
        roots.push(Root { candidates, ..Root::new(kind) });
        for frame in python.frame_addresses(memory, thread.address) {
            let mut root = Root::new(RootKind::Frame { thread: thread_root, frame });
            match &python.layout.frames {
                Frames::Objects(_) => root.objects.push(frame),
                Frames::Interpreter(layout) => {
                    root.objects.extend(generator_of(memory, python, layout, frame));
                    // A frame that cannot be read to its end holds what could be read of it.
                    let _ = reader.describe_frame(frame, &mut edges);
                    root.objects.append(&mut edges.shown);
                }
            }
            roots.push(root);
        }
    }
}

/// The generator that a frame is inside of.
fn generator_of<M: Memory>(
    memory: &M,
    python: &Python,
    layout: &InterpreterFrame,
    frame: u64,
) -> Option<u64> {
    let Generators::Inside { frame: offset, .. } = python.layout.generators else { return None };
    let owner = memory.u8(at(frame, layout.owner)).ok()?;
    (owner == InterpreterFrame::OWNED_BY_GENERATOR).then(|| frame.wrapping_sub(offset as u64))
}

/// The modules of an interpreter, each with its globals.
fn module_roots<M: Memory>(memory: &M, python: &Python, interpreter: u64, roots: &mut Vec<Root>) {
    let layout = &python.layout;
    let modules = memory.u64(at(interpreter, layout.interpreter.modules)).unwrap_or_default();
    for entry in entries(memory, layout, modules).unwrap_or_default() {
        let Ok(name) = string(memory, layout, entry.key) else { continue };
        let mut root = Root::new(RootKind::Module { name });
        root.objects.push(entry.value);
        let kind = memory.u64(at(entry.value, layout.object.kind));
        if kind == Ok(python.types.module) {
            root.objects.extend(memory.u64(at(entry.value, layout.module.dict)).ok());
        }
        roots.push(root);
    }
}

/// The words of some memory that may be addresses of objects.
fn words<M: Memory>(memory: &M, start: u64, length: usize) -> Vec<u64> {
    let bytes = memory.bytes(start, length as u64, length).unwrap_or_default();
    let words = (0..length).step_by(8).filter_map(|offset| u64_at(&bytes, offset));
    words.filter(|&word| word != 0 && word % 8 == 0).collect()
}
