//! The names of GC roots: `thread MainThread`, a frame of it, `module app.cache`.

use crate::heap::analysis::Analysis;
use crate::heap::capture::copy::Capture;
use crate::heap::ids::RootId;
use crate::heap::trace::roots::{Root, RootKind};
use crate::python::code::CodeCache;
use crate::python::{Frame, Python, RawStack};

/// A frame whose function cannot be read.
pub const UNNAMED_FRAME: &str = "frame";

/// The name of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootName {
    /// Anything but a frame.
    Words(String),
    /// A frame.
    Frame {
        /// Its thread's root.
        thread: RootId,
        /// The frame; `None` if its code cannot be read, or it has not begun to run.
        frame: Option<Frame>,
    },
}

/// The names of all roots, in their order.
#[derive(Debug, Clone)]
pub struct RootNames {
    names: Vec<RootName>,
}

impl RootNames {
    /// Names loaded from a snapshot file.
    pub(crate) fn kept(names: Vec<RootName>) -> RootNames {
        RootNames { names }
    }

    /// Finds the names of the roots of a captured heap.
    pub fn of(heap: &Analysis<'_>, python: &Python) -> RootNames {
        let Some(capture) = heap.capture() else { return RootNames { names: Vec::new() } };
        let threads = python.thread_names(capture);
        let mut code = CodeCache::new();
        let mut frames = Vec::new();
        let mut names = Vec::with_capacity(heap.graph.roots().len());
        for root in heap.graph.roots() {
            names.push(match root.kind {
                RootKind::Thread { state, pthread } => {
                    frames = thread_frames(capture, python, state, &mut code);
                    RootName::Words(match threads.get(&pthread) {
                        Some(name) => format!("thread {name}"),
                        None => format!("thread {pthread:#x}"),
                    })
                }
                // The frames of a thread follow it, innermost first, as on its stack.
                RootKind::Frame { thread, .. } => {
                    RootName::Frame { thread, frame: frames.pop().flatten() }
                }
                _ => RootName::Words(words(root)),
            });
        }
        RootNames { names }
    }

    /// The name of a root.
    pub fn get(&self, root: RootId) -> Option<&RootName> {
        self.names.get(root.index())
    }

    /// The same in words, for frames too.
    pub fn label(&self, root: RootId) -> String {
        match self.get(root) {
            Some(RootName::Words(words)) => words.clone(),
            Some(RootName::Frame { frame: Some(frame), .. }) => frame.to_string(),
            _ => UNNAMED_FRAME.to_owned(),
        }
    }
}

/// The frames of a thread, outermost first.
fn thread_frames(
    capture: &Capture<'_>,
    python: &Python,
    state: u64,
    code: &mut CodeCache,
) -> Vec<Option<Frame>> {
    let mut stack = RawStack::default();
    // Frames that could be read before an error still get their names.
    let _ = python.copy_stack(capture, state, &mut stack);
    let resolve = |raw| code.resolve(capture, python, raw).ok().flatten();
    stack.frames.iter().rev().map(resolve).collect()
}

fn words(root: &Root) -> String {
    let words = match &root.kind {
        RootKind::Module { name } => return format!("module {name}"),
        RootKind::Thread { .. } | RootKind::Frame { .. } => "thread",
        RootKind::Interpreter { .. } => "interpreter",
        RootKind::Static => "built into the interpreter",
        RootKind::Interned => "interned strings",
        RootKind::Native => "native code",
        RootKind::Garbage => "garbage, not collected yet",
    };
    words.to_owned()
}
