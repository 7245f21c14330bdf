//! The mappings of a process from its core: segments say what may be done with memory, `NT_FILE` which file it
//! is of, and neither says everything.
//!
//! gcore leaves out the segments of code, so a file that begins as an ELF file counts as one with code. What a
//! core does not say (inodes, `[heap]`, whether memory is shared) follows from paths and neighbours.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

use super::headers::Load;
use super::notes::{MappedFile, Notes};
use crate::process::Mapping;

/// In the auxiliary vector: the program's headers, in its first pages (`AT_PHDR`).
const PROGRAM_HEADERS: u64 = 3;
/// In the auxiliary vector: the kernel's code in the process (`AT_SYSINFO_EHDR`).
pub const VDSO: u64 = 33;
/// The names of files that exist to be shared.
const SHARED: [&str; 5] = ["/dev/zero", "/dev/shm/", "/memfd:", "/SYSV", "/anon_hugepage"];

/// All mappings, in order of address. `is_elf` says whether an ELF file begins at an address.
pub fn mappings(loads: &[Load], notes: &Notes, is_elf: impl Fn(u64) -> bool) -> Vec<Mapping> {
    let mut inodes: FxHashMap<&Path, u64> = FxHashMap::default();
    for file in &notes.files {
        let next = inodes.len() as u64 + 1;
        inodes.entry(&file.path).or_insert(next);
    }
    let inode = |path: &Path| inodes.get(path).copied().unwrap_or_default();
    let mut mappings: Vec<Mapping> = Vec::with_capacity(loads.len() + notes.files.len());
    for load in loads {
        let file = file_at(&notes.files, load.range.start);
        let shared = file.is_some_and(|file| is_shared(&file.path));
        mappings.push(Mapping {
            start: load.range.start,
            end: load.range.end,
            offset: file.map_or(0, |it| it.offset.wrapping_add(load.range.start - it.range.start)),
            inode: file.map_or(0, |file| inode(&file.path)),
            device: (0, 0),
            readable: load.readable,
            writable: load.writable,
            executable: load.executable,
            shared,
            brk: false,
            path: file.map(|file| file.path.clone()),
        });
    }
    let programs: FxHashSet<&Path> = notes
        .files
        .iter()
        .filter(|file| file.offset == 0 && is_elf(file.range.start))
        .map(|file| file.path.as_path())
        .collect();
    for file in &notes.files {
        let first = loads.partition_point(|load| load.range.end <= file.range.start);
        if loads.get(first).is_some_and(|load| load.range.start < file.range.end) {
            continue;
        }
        mappings.push(Mapping {
            start: file.range.start,
            end: file.range.end,
            offset: file.offset,
            inode: inode(&file.path),
            device: (0, 0),
            readable: true,
            writable: false,
            executable: programs.contains(file.path.as_path()),
            shared: is_shared(&file.path),
            brk: false,
            path: Some(file.path.clone()),
        });
    }
    mappings.sort_by_key(|mapping| mapping.start);
    mark_brk(&mut mappings, notes);
    mappings
}

/// The program that the process ran.
pub fn executable(notes: &Notes) -> Option<PathBuf> {
    let headers = notes.auxiliary(PROGRAM_HEADERS)?;
    file_at(&notes.files, headers).map(|file| file.path.clone())
}

/// Marks the heap that `brk` grows: the first anonymous writable memory behind the program, after its
/// zero-initialized variables.
fn mark_brk(mappings: &mut [Mapping], notes: &Notes) {
    let Some(program) = executable(notes) else { return };
    let is_program = |mapping: &Mapping| mapping.path.as_ref() == Some(&program);
    let Some(last) = mappings.iter().rposition(is_program) else { return };
    let mut end = mappings.get(last).filter(|last| last.writable).map(|last| last.end);
    for mapping in mappings.iter_mut().skip(last + 1) {
        match mapping.inode == 0 && mapping.writable {
            true if end == Some(mapping.start) => end = None,
            true => {
                mapping.brk = true;
                return;
            }
            false => return,
        }
    }
}

fn file_at(files: &[MappedFile], address: u64) -> Option<&MappedFile> {
    let after = files.partition_point(|file| file.range.start <= address);
    let file = files.get(after.checked_sub(1)?)?;
    file.range.contains(&address).then_some(file)
}

fn is_shared(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    SHARED.iter().any(|start| path.starts_with(start.as_bytes()))
}
