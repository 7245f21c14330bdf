//! The files that a process had mapped: a core leaves out what is in them.
//!
//! A file is sought at its path below the sysroot, by its name in the sysroot itself, by its build ID, and at its
//! path on this machine. It is accepted only if its first page is the one in the core: that has the program
//! headers and mostly the build ID, so another build of the same version is not taken for it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::program_header::{PT_NOTE, ProgramHeader};

use crate::memory::PAGE;

/// What the kernel adds to the path of a deleted file.
const DELETED: &str = " (deleted)";
/// Where files are kept by their build IDs, below a root.
const BY_BUILD_ID: [&str; 2] = ["usr/lib/.build-id", ".build-id"];
/// The type of a build ID's note, and bytes of an ELF header.
const BUILD_ID: u32 = 3;
const HEADER: usize = 64;

/// Where files are sought.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A folder with the files of the machine that the core is from.
    pub sysroot: Option<PathBuf>,
    /// Whether they are sought nowhere else.
    pub only_sysroot: bool,
}

impl Places {
    /// Opens the file with this path whose first page is as in the core. `first` is that page, as far as the
    /// core has it; it is not compared if the core does not have it.
    pub fn open(&self, path: &Path, first: &[u8]) -> io::Result<File> {
        let candidates = self.candidates(path, build_id(first).as_deref());
        let found = candidates.iter().find_map(|candidate| open_same(candidate, first));
        found.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "not on this machine, or not the file that the process had",
            )
        })
    }

    fn candidates(&self, path: &Path, build_id: Option<&str>) -> Vec<PathBuf> {
        let bytes = path.as_os_str().as_bytes();
        let bytes = bytes.strip_suffix(DELETED.as_bytes()).unwrap_or(bytes);
        let path = Path::new(OsStr::from_bytes(bytes));
        let relative = path.strip_prefix("/").unwrap_or(path);
        let mut candidates = Vec::new();
        let ids = |root: &Path| {
            let split = build_id.and_then(|id| id.split_at_checked(2));
            let places = BY_BUILD_ID.iter().map(|place| root.join(place));
            let files = |(start, rest)| {
                move |place: PathBuf| {
                    let folder = place.join(start);
                    [folder.join(rest), folder.join(format!("{rest}.debug"))]
                }
            };
            split.map_or_else(Vec::new, |split| places.flat_map(files(split)).collect())
        };
        if let Some(root) = &self.sysroot {
            candidates.push(root.join(relative));
            candidates.extend(path.file_name().map(|name| root.join(name)));
            candidates.extend(ids(root));
        }
        if self.only_sysroot {
            return candidates;
        }
        candidates.push(path.to_path_buf());
        candidates.extend(ids(Path::new("/")));
        candidates.extend(build_id.and_then(debuginfod));
        candidates
    }
}

/// Where debuginfod's client keeps the program with a build ID.
fn debuginfod(build_id: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("DEBUGINFOD_CACHE_PATH").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
        Some(home?.join("debuginfod_client"))
    });
    Some(cache?.join(build_id).join("executable"))
}

/// Opens a regular file that begins with these bytes.
fn open_same(path: &Path, first: &[u8]) -> Option<File> {
    // A pipe without a writer would otherwise block until there is one.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
    let first = first.get(..first.len().min(PAGE as usize).min(length as usize))?;
    let mut bytes = vec![0; first.len()];
    file.read_exact_at(&mut bytes, 0).ok()?;
    (bytes == first).then_some(file)
}

/// The build ID of the ELF file that begins with these bytes, in hexadecimal digits.
pub fn build_id(first: &[u8]) -> Option<String> {
    let header = Elf::parse_header(first.get(..HEADER)?).ok()?;
    let context = Ctx::new(Container::Big, Endian::Little);
    let bytes = first.get(usize::try_from(header.e_phoff).ok()?..)?;
    let programs = ProgramHeader::parse(bytes, 0, header.e_phnum.into(), context).ok()?;
    programs.iter().filter(|program| program.p_type == PT_NOTE).find_map(|program| {
        let start = usize::try_from(program.p_offset).ok()?;
        let size = usize::try_from(program.p_filesz).ok()?;
        let mut notes = first.get(start..start.checked_add(size)?)?;
        while let Some((kind, owner, description, rest)) = super::notes::next(notes) {
            if kind == BUILD_ID && owner == b"GNU\0" && description.len() >= 2 {
                return Some(description.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            notes = rest;
        }
        None
    })
}
