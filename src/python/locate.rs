//! Finding CPython in a process: the file that contains it, `_PyRuntime`, the version, the layout.
//!
//! `_PyRuntime` and the types are dynamic symbols in every build, stripped or not, in the executable or in
//! libpython. From 3.11 on the version is in the symbol `Py_Version`; in older builds the file name or the
//! size of `_PyRuntime` gives it roughly, and exactly `sys.version` or the text that this was made of.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::debug_offsets::DebugOffsets;
use super::layout;
use super::layout::{NEWEST_MINOR, OLDEST_MINOR, Table};
use super::validate::Invalid;
use super::version::Version;
use super::{Python, Types};
use crate::memory::{Memory, ReadError};
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::{Image, ImageError, Mapping, ProcessError, Symbol, Target};

/// The newest minor version that does not publish its version as a symbol.
const NEWEST_UNPUBLISHED: u8 = 10;
/// How often all tables are tried: a running interpreter changes its memory while we read it.
const ROUNDS: usize = 3;

/// The largest part of a file's memory that is searched, and the most bytes of a version in it.
const LARGEST_SEGMENT: u64 = 64 << 20;
const LONGEST_VERSION: usize = 16;

/// Why no Python can be read in a process.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// No file mapped into the process contains CPython.
    #[error("process {pid} is not a Python: nothing that it runs contains CPython")]
    NotPython {
        /// The process.
        pid: i32,
    },
    /// A CPython older than any supported version.
    #[error(
        "process {pid} runs Python {version}, too old: 3.{OLDEST_MINOR} is the oldest that can be read"
    )]
    TooOld {
        /// The process.
        pid: i32,
        /// Its version, as far as it is known.
        version: String,
    },
    /// A CPython newer than any supported version.
    #[error(
        "process {pid} runs Python {version}, too new: 3.{NEWEST_MINOR} is the newest that can be read"
    )]
    TooNew {
        /// The process.
        pid: i32,
        /// Its version.
        version: Version,
    },
    /// A build without the GIL, whose objects have another layout.
    #[error(
        "process {pid} runs a free-threaded build of Python {version}, which cannot be read yet"
    )]
    FreeThreaded {
        /// The process.
        pid: i32,
        /// Its version.
        version: Version,
    },
    /// There is no interpreter state: the interpreter is just starting, or ending.
    #[error("the Python in process {pid} is only starting, or already ending")]
    NotRunning {
        /// The process.
        pid: i32,
    },
    /// It is a CPython, but its layout matches no known one.
    #[error("the Python {version} in process {pid} is not laid out as expected: {invalid}")]
    NotUnderstood {
        /// The process.
        pid: i32,
        /// Its version, as far as it is known.
        version: Version,
        /// What did not fit.
        invalid: Invalid,
    },
    /// The interpreter's file cannot be understood.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its memory cannot be read.
    #[error("cannot read the memory of process {pid}: {error}")]
    Read {
        /// The process.
        pid: i32,
        /// Why not.
        error: ReadError,
    },
}

impl Obstructed for PythonError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            &PythonError::NotPython { pid } => Obstacle::NotPython.of(pid),
            PythonError::TooOld { pid, version } => {
                Obstacle::TooOld { version: version.clone() }.of(*pid)
            }
            PythonError::TooNew { pid, version } => {
                Obstacle::TooNew { version: version.to_string() }.of(*pid)
            }
            &PythonError::NotRunning { pid } => Obstacle::NotRunning.of(pid),
            PythonError::Process(error) => error.obstacle(),
            PythonError::Read { pid, error } => error.obstacle().map(|met| met.with_pid(*pid)),
            PythonError::Image(error) => error.obstacle(),
            PythonError::FreeThreaded { .. } | PythonError::NotUnderstood { .. } => None,
        }
    }
}

impl PythonError {
    /// Whether this stays so as long as the process runs its current program.
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            PythonError::TooOld { .. }
                | PythonError::TooNew { .. }
                | PythonError::FreeThreaded { .. }
        )
    }
}

/// The file that contains CPython, and its `_PyRuntime`.
struct Found {
    image: Image,
    runtime: Symbol,
}

impl Python {
    /// Finds the interpreter in a process and checks that its layout is as expected.
    pub fn attach(process: &dyn Target) -> Result<Python, PythonError> {
        process.hold_program();
        match Python::find(process) {
            // Whatever was found is of two programs.
            Err(_) if process.has_replaced_program() => {
                Err(ProcessError::Replaced { pid: process.pid() }.into())
            }
            found => found,
        }
    }

    fn find(process: &dyn Target) -> Result<Python, PythonError> {
        let (pid, memory) = (process.pid(), &process);
        let read = |error| match error {
            ReadError::Ended => PythonError::Process(ProcessError::Ended { pid }),
            error => PythonError::Read { pid, error },
        };
        let found = find(process)?;
        let types = types(&found.image).ok_or(PythonError::NotPython { pid })?;
        let runtime = found.runtime.address;
        let debug_offsets = DebugOffsets::read(memory, runtime).map_err(read)?;
        let published = published_version(memory, &found.image).map_err(read)?;
        let version = debug_offsets.as_ref().map(|offsets| offsets.version).or(published);
        let tables = tables(pid, version, &found)?;
        if let Some(DebugOffsets { free_threaded: true, version, .. }) = debug_offsets {
            return Err(PythonError::FreeThreaded { pid, version });
        }

        let image = Arc::new(found.image);
        let exact = |roughly: Version| match version {
            Some(version) => version,
            None => version_in_text(memory, &image, roughly.minor).unwrap_or(roughly),
        };
        let mut refusal = None;
        for table in std::iter::repeat_n(&tables, ROUNDS).flatten() {
            let mut layout = table.layout;
            let disagreements =
                debug_offsets.as_ref().map_or_else(Vec::new, |offsets| offsets.apply(&mut layout));
            let mut python = Python {
                version: version.unwrap_or(Version { major: 3, minor: table.minor, micro: 0 }),
                layout: Arc::new(layout),
                runtime,
                types,
                image: Arc::clone(&image),
                disagreements,
                arenas_word: Arc::default(),
            };
            match python.validate(memory) {
                Ok(said) => {
                    python.version = said.unwrap_or_else(|| exact(python.version));
                    return Ok(python);
                }
                Err(Invalid::NoInterpreter) => return Err(PythonError::NotRunning { pid }),
                Err(Invalid::Read { error, .. })
                    if error != ReadError::Denied && !process.is_readable() =>
                {
                    return Err(read(ReadError::Ended));
                }
                Err(invalid) => {
                    refusal.get_or_insert((python.version, invalid));
                }
            }
        }
        Err(match refusal {
            Some((roughly, invalid)) => {
                PythonError::NotUnderstood { pid, version: exact(roughly), invalid }
            }
            None => PythonError::NotPython { pid },
        })
    }
}

/// Finds the file with `_PyRuntime` among those mapped into the process.
fn find(process: &dyn Target) -> Result<Found, PythonError> {
    let pid = process.pid();
    let maps = process.maps()?;
    let mut old = None;
    let mut unreadable = None;
    for mapping in candidates(&maps) {
        let image = match process.image(mapping) {
            Ok(image) => image,
            Err(error) => {
                if is_named_python(mapping) {
                    unreadable.get_or_insert(error);
                }
                continue;
            }
        };
        let runtime = match is_named_python(mapping) {
            true => image.symbol("_PyRuntime"),
            false => image.dynamic_symbol("_PyRuntime"),
        };
        if let Some(runtime) = runtime {
            return Ok(Found { image, runtime });
        }
        // `_PyRuntime` came with 3.7; these functions have been there since Python 1.
        if image.dynamic_symbol("PyEval_CallObjectWithKeywords").is_some() {
            old.get_or_insert_with(|| version_by_name(&image));
        }
    }
    Err(match (old, unreadable) {
        (Some(version), _) => PythonError::TooOld { pid, version: describe(version) },
        (None, Some(error)) => error.into(),
        (None, None) => PythonError::NotPython { pid },
    })
}

/// The first mapping of each file; files named like a Python come first.
pub(super) fn candidates(maps: &[Mapping]) -> Vec<&Mapping> {
    let mut seen = HashSet::new();
    let mut files: Vec<&Mapping> = maps
        .iter()
        .filter(|mapping| mapping.inode != 0 && mapping.offset == 0 && mapping.path.is_some())
        .filter(|mapping| seen.insert((mapping.device, mapping.inode)))
        .collect();
    files.sort_by_key(|mapping| !is_named_python(mapping));
    files
}

/// Whether the file's own name says that it is an interpreter or its library.
pub(super) fn is_named_python(mapping: &Mapping) -> bool {
    let name = mapping.path.as_deref().and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().contains("python")
}

/// The version in the symbol `Py_Version`, from 3.11 on.
fn published_version(memory: &impl Memory, image: &Image) -> Result<Option<Version>, ReadError> {
    match image.dynamic_symbol("Py_Version") {
        Some(symbol) => Ok(Version::from_hex(memory.u64(symbol.address)?)),
        None => Ok(None),
    }
}

/// The version in the text that `Py_GetVersion` returns, a static buffer without a dynamic symbol: `3.8.18 (…`.
fn version_in_text<M: Memory>(memory: &M, image: &Image, minor: u8) -> Option<Version> {
    let begin = format!("3.{minor}.");
    let writable = image.segments().iter().filter(|segment| segment.writable);
    writable.filter(|segment| segment.size <= LARGEST_SEGMENT).find_map(|segment| {
        let bytes = memory.bytes(segment.address, segment.size, LARGEST_SEGMENT as usize).ok()?;
        memmem(&bytes, begin.as_bytes()).find_map(|at| {
            let is_start = at.checked_sub(1).is_none_or(|before| bytes.get(before) == Some(&0));
            let text = bytes.get(at..)?.get(..LONGEST_VERSION).filter(|_| is_start)?;
            let (version, _) = std::str::from_utf8(text).ok()?.split_once(" (")?;
            Version::from_text(version)
        })
    })
}

/// Where a text occurs in some bytes.
fn memmem<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let places = bytes.windows(text.len()).enumerate();
    places.filter(move |(_, window)| *window == text).map(|(at, _)| at)
}

/// The major and minor version in the file's name.
fn version_by_name(image: &Image) -> Option<(u8, u8)> {
    Version::from_file_name(&image.path().file_name()?.to_string_lossy())
}

fn describe(version: Option<(u8, u8)>) -> String {
    version.map_or_else(
        || format!("older than 3.{OLDEST_MINOR}"),
        |(major, minor)| format!("{major}.{minor}"),
    )
}

/// The layouts to try, or why there is none.
fn tables(
    pid: i32,
    version: Option<Version>,
    found: &Found,
) -> Result<Vec<&'static Table>, PythonError> {
    if let Some(version) = version {
        return match (version.major, version.minor) {
            (3, OLDEST_MINOR..=NEWEST_MINOR) => Ok(layout::candidates(version, found.runtime.size)),
            (3, ..OLDEST_MINOR) | (..3, _) => {
                Err(PythonError::TooOld { pid, version: version.to_string() })
            }
            _ => Err(PythonError::TooNew { pid, version }),
        };
    }
    let named = version_by_name(&found.image);
    let minor = match named {
        Some((3, minor)) if minor >= OLDEST_MINOR => Some(minor),
        Some(_) => return Err(PythonError::TooOld { pid, version: describe(named) }),
        None => layout::minor_of_runtime_size(found.runtime.size),
    };
    let minors = match minor {
        Some(minor) => minor..=minor,
        None => OLDEST_MINOR..=NEWEST_UNPUBLISHED,
    };
    let unknown_micro = |minor| Version { major: 3, minor, micro: u8::MAX };
    Ok(minors
        .flat_map(|minor| layout::candidates(unknown_micro(minor), found.runtime.size))
        .collect())
}

/// The types that identify other objects; they have always been dynamic symbols.
fn types(image: &Image) -> Option<Types> {
    let address = |name| image.symbol(name).map(|symbol| symbol.address);
    Some(Types {
        kind: address("PyType_Type")?,
        code: address("PyCode_Type")?,
        module: address("PyModule_Type")?,
    })
}
