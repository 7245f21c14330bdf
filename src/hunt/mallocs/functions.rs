//! The functions of the C library whose calls are followed: those of its allocator, or those that map pages.
//!
//! Other functions that return memory call one of these: `operator new`, `strdup`, `reallocarray`.

use std::path::Path;

use super::blocks::{Call, Follow, Function};
use crate::heap::rss::malloc::other_allocator;
use crate::process::{Image, Mapping, Process, ProcessError};

/// The memory that grows, and whose makers are sought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growing {
    /// Blocks of the C library's allocator, of these chunk sizes in bytes; of any size if there are none.
    Blocks(Vec<u64>),
    /// Anonymous mappings.
    Mappings,
}

impl Growing {
    /// The functions to follow; `None` if the process has another C library than glibc, or if another allocator
    /// replaces glibc's.
    ///
    /// # Errors
    /// The process has ended or may not be read.
    pub(super) fn functions(&self, process: &Process) -> Result<Option<Follow>, ProcessError> {
        let maps = process.maps()?;
        let Some(libc) = libc(process, &maps) else { return Ok(None) };
        let address = |name| libc.dynamic_symbol(name).map(|symbol| symbol.address);
        let function = |(name, call)| Some(Function { address: address(name)?, call });
        Ok(match self {
            Growing::Blocks(_) if other_allocator(maps.iter()).is_some() => None,
            Growing::Blocks(sizes) => {
                let always = [
                    ("malloc", Call::Malloc),
                    ("calloc", Call::Calloc),
                    ("realloc", Call::Realloc),
                ];
                let in_turn = [
                    ("posix_memalign", Call::PosixMemalign),
                    ("aligned_alloc", Call::Aligned),
                    ("memalign", Call::Aligned),
                ];
                let mut in_turn: Vec<Function> = in_turn.into_iter().filter_map(function).collect();
                // Two names of one function in most versions.
                in_turn.dedup_by_key(|function| function.address);
                let always: Option<Vec<Function>> = always.into_iter().map(function).collect();
                always.map(|always| Follow { always, in_turn, sizes: sizes.clone(), unmap: 0 })
            }
            Growing::Mappings => {
                let always = function(("mmap", Call::Map)).into_iter().collect();
                address("munmap").map(|unmap| Follow {
                    always,
                    in_turn: Vec::new(),
                    sizes: Vec::new(),
                    unmap,
                })
            }
        })
    }
}

/// The file of glibc.
fn libc(process: &Process, maps: &[Mapping]) -> Option<Image> {
    let is_libc = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("libc.so.") || name.starts_with("libc-2."))
    };
    let first = maps.iter().find(|it| it.offset == 0 && it.path.as_deref().is_some_and(is_libc))?;
    Image::open(process.pid(), first).ok()
}
