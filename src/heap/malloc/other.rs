//! Allocators other than glibc's malloc, by the names of their files.

use std::path::Path;

use crate::target::Mapping;

/// What the names of files begin with, and whose they are.
const NAMES: [(&str, &str); 6] = [
    ("libjemalloc", "jemalloc"),
    ("libtcmalloc", "tcmalloc"),
    ("libmimalloc", "mimalloc"),
    ("libhoard", "Hoard"),
    ("ld-musl", "musl"),
    ("libc.musl", "musl"),
];

/// The allocator that a process has in place of glibc's, if it shows.
pub fn other_allocator<'m>(maps: impl Iterator<Item = &'m Mapping>) -> Option<&'static str> {
    maps.filter_map(|mapping| mapping.path.as_deref().and_then(Path::file_name)).find_map(|file| {
        let file = file.to_string_lossy();
        NAMES.iter().find(|(name, _)| file.starts_with(name)).map(|(_, whose)| *whose)
    })
}
