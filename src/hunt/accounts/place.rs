//! The places where memory can be.

use serde::{Deserialize, Serialize};

use crate::heap::Composition;

/// A part of the resident set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Python's objects and their buffers.
    Objects,
    /// Malloc blocks in use that no object owns.
    NativeBlocks,
    /// Free memory between and behind malloc's blocks.
    MallocFree,
    /// Free memory in Python's own allocator.
    PymallocFree,
    /// Anonymous mappings that belong neither to malloc nor to Python's allocator.
    Mappings,
    /// Stacks of threads.
    Stacks,
    /// Mapped files, and the data of programs.
    Files,
    /// Memory made for sharing.
    Shared,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 8] = [
        Place::Objects,
        Place::NativeBlocks,
        Place::MallocFree,
        Place::PymallocFree,
        Place::Mappings,
        Place::Stacks,
        Place::Files,
        Place::Shared,
    ];

    /// How much of the resident set is there, in bytes. All places together are the resident set.
    pub fn of(self, composition: &Composition) -> u64 {
        match self {
            Place::Objects => composition.live_python(),
            Place::NativeBlocks => composition.native(),
            Place::MallocFree => composition.malloc.free.saturating_add(composition.malloc.top),
            Place::PymallocFree => {
                composition.free_in_pymalloc().saturating_add(composition.pymalloc.overhead)
            }
            Place::Mappings => composition.other,
            Place::Stacks => composition.stacks,
            Place::Files => composition.files.saturating_add(composition.program_data),
            Place::Shared => composition.shared,
        }
    }

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Place::Objects => "Python's objects",
            Place::NativeBlocks => "native blocks",
            Place::MallocFree => "holes in malloc's heap",
            Place::PymallocFree => "holes in Python's arenas",
            Place::Mappings => "anonymous mappings",
            Place::Stacks => "stacks",
            Place::Files => "mapped files",
            Place::Shared => "shared memory",
        }
    }
}
