//! Allocators other than glibc's malloc, recognized by file name.

use std::path::Path;

use crate::process::Mapping;

/// Beginnings of file names, and the allocators they belong to.
const NAMES: [(&str, &str); 6] = [
    ("libjemalloc", "jemalloc"),
    ("libtcmalloc", "tcmalloc"),
    ("libmimalloc", "mimalloc"),
    ("libhoard", "Hoard"),
    ("ld-musl", "musl"),
    ("libc.musl", "musl"),
];

/// The allocator that a process uses in place of glibc's, if its files show one.
pub fn other_allocator<'m>(maps: impl Iterator<Item = &'m Mapping>) -> Option<&'static str> {
    maps.filter_map(|mapping| mapping.path.as_deref()).find_map(of_file)
}

/// The allocator with this name.
pub fn known_allocator(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(_, whose)| *whose == name).map(|(_, whose)| *whose)
}

/// The allocator that a file belongs to, if any.
fn of_file(path: &Path) -> Option<&'static str> {
    let file = path.file_name()?.to_string_lossy();
    NAMES.iter().find(|(name, _)| file.starts_with(name)).map(|(_, whose)| *whose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocators_are_known_by_their_files() {
        for (path, expected) in [
            ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc"),
            ("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", "mimalloc"),
            ("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", "tcmalloc"),
            ("/lib/ld-musl-x86_64.so.1", "musl"),
            ("/lib/libc.musl-x86_64.so.1", "musl"),
        ] {
            assert_eq!(of_file(Path::new(path)), Some(expected), "{path}");
        }
        for path in ["/usr/lib/x86_64-linux-gnu/libc.so.6", "[heap]", "/opt/jemalloc/lib/libx.so"] {
            assert_eq!(of_file(Path::new(path)), None, "{path}");
        }
    }
}
