//! CPython in memory: its location, version, threads, stacks and allocators.
//!
//! [`Python::attach`] finds the interpreter in a process, chooses a [`layout`](layout::Layout) and checks
//! that it fits before relying on anything it reads. Everything else reads through
//! [`Memory`](crate::memory::Memory), so it works on a live process, a copy of its memory or a test's random
//! bytes, and never panics on what it finds there. Nothing is written and nothing is called.
//!
//! To read a stack: stop the threads with [`Python::pause`], copy the stack with [`Python::copy_stack`],
//! resume the threads, then turn the copy into functions, files and lines with [`CodeCache::resolve_stack`].

pub mod allocator_code;
pub mod allocators;
pub mod code;
pub mod collector;
pub mod debug_offsets;
pub mod dicts;
pub mod finalizer;
pub mod frame;
pub mod gc;
pub mod gil;
pub mod held;
pub mod layout;
pub mod lines;
mod links;
pub mod locals;
pub mod locate;
pub mod objects;
pub mod origin;
pub mod pause;
pub mod pymalloc;
pub mod source_lines;
pub mod stack;
pub mod standard_library;
pub mod thread_dump;
pub mod threads;
pub mod tracemalloc;
pub mod validate;
pub mod version;
pub mod without_file;

use std::sync::{Arc, OnceLock};

pub use allocator_code::{AllocatorCode, Route};
pub use allocators::{AllocatorError, AllocatorFunctions, Allocators};
pub use code::{CodeCache, Stack};
pub use frame::Frame;
pub use locate::PythonError;
pub use origin::{Origin, short_path};
pub use pause::PythonPause;
pub use source_lines::SourceLines;
pub use stack::{RawFrame, RawStack};
pub use threads::ThreadState;
pub use version::Version;

use crate::process::Image;
use debug_offsets::Disagreement;
use layout::Layout;

/// A CPython interpreter in a process, understood well enough to be read.
#[derive(Debug, Clone)]
pub struct Python {
    /// Its version.
    pub version: Version,
    /// The layout of its structures.
    pub layout: Arc<Layout>,
    /// The address of `_PyRuntime`.
    pub runtime: u64,
    /// The addresses of its own types.
    pub types: Types,
    /// The file that contains the interpreter: the executable, or libpython.
    pub image: Arc<Image>,
    /// Where the interpreter's own account of its layout differs from our table.
    pub disagreements: Vec<Disagreement>,
    /// The word that points to pymalloc's arenas, once it has been searched for.
    pub arenas_word: Arc<OnceLock<u64>>,
}

/// The addresses of the types by which other objects are recognized: never by name, because any class may
/// have that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// `PyType_Type`: `type`.
    pub kind: u64,
    /// `PyCode_Type`: `code`.
    pub code: u64,
    /// `PyModule_Type`: `module`.
    pub module: u64,
}

/// The address of a field. An address from a target may be any number, so the sum may wrap.
fn at(address: u64, offset: usize) -> u64 {
    address.wrapping_add(offset as u64)
}
