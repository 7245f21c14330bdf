//! GC roots: what keeps objects alive other than references from objects.
//!
//! Some roots are known beforehand: frames of threads, modules, the interpreter's own fields, static objects
//! in the program's files. Others only follow from the graph: objects held by native code (their reference
//! count exceeds the references found), and garbage, which is unreachable and not collected yet.

use serde::{Deserialize, Serialize};

use crate::heap::ids::RootId;
use crate::memory::Memory;
use crate::python::Python;
use crate::python::held::{Held, Module};
use crate::python::objects::Reader;

/// Why objects are alive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
        /// The address of the frame (up to 3.10, of the frame object).
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
    /// The interpreter's table of interned strings, and the strings that only it refers to.
    Interned,
    /// Objects whose reference count exceeds the references found: native code holds them.
    Native,
    /// Objects that nothing holds: cycles that have not been collected.
    Garbage,
}

/// A root, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Why those objects are alive.
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

    fn of(kind: RootKind, Held { objects, candidates }: Held) -> Root {
        Root { kind, objects, candidates }
    }
}

/// All roots, with their objects if these can be read beforehand; the objects of the last four follow from
/// the graph. Unreadable ones are left out.
pub fn known_roots<M: Memory>(reader: Reader<'_, M>, python: &Python) -> Vec<Root> {
    let memory = reader.memory();
    let mut roots = Vec::new();
    thread_roots(reader, python, &mut roots);
    for state in python.interpreters(memory).unwrap_or_default() {
        for Module { name, objects } in python.modules(memory, state) {
            roots.push(Root { objects, ..Root::new(RootKind::Module { name }) });
        }
        let held = python.held_by_interpreter(memory, state);
        roots.push(Root::of(RootKind::Interpreter { state }, held));
    }
    let others = [RootKind::Static, RootKind::Interned, RootKind::Native, RootKind::Garbage];
    roots.extend(others.map(Root::new));
    roots
}

/// The threads, each followed by its frames, innermost first.
fn thread_roots<M: Memory>(reader: Reader<'_, M>, python: &Python, roots: &mut Vec<Root>) {
    let memory = reader.memory();
    for thread in python.thread_states(memory).unwrap_or_default() {
        let thread_root = RootId(roots.len() as u32);
        let kind = RootKind::Thread { state: thread.address, pthread: thread.pthread };
        roots.push(Root::of(kind, python.held_by_thread(memory, thread.address)));
        for frame in python.frame_addresses(memory, thread.address) {
            let kind = RootKind::Frame { thread: thread_root, frame };
            roots.push(Root { objects: python.held_by_frame(reader, frame), ..Root::new(kind) });
        }
    }
}
