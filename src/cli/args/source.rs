//! The heap that a command is about: that of a live process, by its PID, or the one in a snapshot or core file.
//!
//! A new [`Source`] is a new argument here, in place of the process.

use std::path::Path;

use super::core::CoreArgs;
use super::disclosure::DisclosureArgs;
use super::flags::{MemoryArg, NonblockingArg, SubprocessesArg};
use super::process::{Place, ProcessArg};
use crate::cli::collection::tell;
use crate::cli::errors::{CommandError, Context};
use crate::cli::processes::{each, open};
use crate::cli::terminal::say;
use crate::heap::CaptureOptions;
use crate::heap::capture::plan::available_memory;
use crate::python::objects::{Disclosure, EdgeNames};
use crate::source::{Heap, SnapshotFile, Source};

/// Where the heap comes from.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("pid", |pid| pid.conflicts_with("place")),
    mut_arg("name", |name| name.conflicts_with("place")),
    mut_arg("core", |core| core.conflicts_with("place"))
)]
pub struct SourceArgs {
    /// PID of the process, or the snapshot file to read instead (written by `leakspy snapshot`).
    #[arg(
        value_name = "PID|FILE",
        value_parser = Place::parser(),
        required_unless_present_any = ["pid", "name", "core"]
    )]
    place: Option<Place>,
    /// By option.
    #[command(flatten)]
    named: NamedSourceArgs,
}

/// Options that say where the heap comes from, and how it is captured.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("core", |core| core.conflicts_with_all(["pid", "name"])),
    mut_arg("nonblocking", |it| it.conflicts_with("core"))
)]
pub struct NamedSourceArgs {
    /// Core file to read instead of a process.
    #[command(flatten)]
    core: CoreArgs,
    /// Which process.
    #[command(flatten)]
    process: ProcessArg,
    /// Whether it is paused.
    #[command(flatten)]
    pausing: NonblockingArg,
}

impl NamedSourceArgs {
    /// The option that names a source, if there is one.
    pub fn option(&self) -> Option<&'static str> {
        match &self.core.core {
            Some(_) => Some("--core <FILE>"),
            None => self.process.option(),
        }
    }
}

impl SourceArgs {
    /// The source at a place, or that of the options where there is no place.
    pub fn new(place: Option<Place>, named: NamedSourceArgs) -> SourceArgs {
        SourceArgs { place, named }
    }

    /// The process asked for, if it is one.
    pub fn pid(&self) -> Option<i32> {
        self.place.as_ref().and_then(Place::pid).or(self.named.process.pid())
    }

    /// The argument that may name the process.
    pub fn process(&mut self) -> &mut ProcessArg {
        &mut self.named.process
    }

    /// The source as the user named it, for a command to type next.
    pub fn words(&self) -> String {
        match (self.pid(), self.file(), &self.named.core.core) {
            (Some(pid), ..) => pid.to_string(),
            (None, Some(file), _) => quoted(&file.to_string_lossy()),
            (None, None, Some(core)) => format!("--core {}", quoted(&core.to_string_lossy())),
            (None, None, None) => String::new(),
        }
    }

    fn file(&self) -> Option<&Path> {
        self.place.as_ref().and_then(Place::file)
    }

    /// Opens the source. Nothing is paused or captured before the first question.
    pub fn open(&self, memory: MemoryArg) -> Result<Box<dyn Source>, CommandError> {
        if let Some(path) = self.file() {
            self.refuse_nonblocking()?;
            return Ok(Box::new(SnapshotFile::open(path, memory_for_files(memory))?));
        }
        if let Some(core) = self.named.core.open(memory)? {
            return Ok(Box::new(core));
        }
        let (pid, options) = self.options(memory)?;
        Ok(Box::new(open(pid, options)?))
    }

    /// Asks the source and, if `children` is set, the descendants of its process that are Pythons: returns
    /// the answer of the first, and those of the others.
    pub fn each<T>(
        &self,
        children: SubprocessesArg,
        memory: MemoryArg,
        mut ask: impl FnMut(&dyn Source) -> Result<T, CommandError>,
    ) -> Result<(T, Vec<T>), CommandError> {
        if let Some(path) = self.file() {
            self.refuse_nonblocking()?;
            if children.subprocesses {
                return Err(CommandError::Usage(
                    "a snapshot file has one process: leave `--subprocesses` out, or give a PID"
                        .into(),
                ));
            }
            let file = SnapshotFile::open(path, memory_for_files(memory))?;
            return Ok((ask(&file)?, Vec::new()));
        }
        if let Some(core) = self.named.core.open(memory)? {
            if children.subprocesses {
                return Err(CommandError::Usage(
                    "a core file has one process: leave `--subprocesses` out, or give a PID".into(),
                ));
            }
            return Ok((ask(&core)?, Vec::new()));
        }
        let (pid, options) = self.options(memory)?;
        each(pid, children.subprocesses, |pid| ask(&open(pid, options)?))
    }

    /// The heap of the source. If more of it is asked for than a file was allowed to contain, leakspy says so.
    pub fn heap<'a>(
        &self,
        source: &'a dyn Source,
        disclosure: &DisclosureArgs,
    ) -> Result<Heap<'a>, CommandError> {
        let heap = source.heap()?;
        let most = heap.analysis.names().most_disclosed();
        if let (true, Some(path)) = (most < Disclosure::from(disclosure), self.file()) {
            let what = match most {
                Disclosure::Names => "without keys and values (with `--redact`)",
                _ => "without values (`leakspy snapshot --values` keeps them)",
            };
            say(format_args!("leakspy: {} was written {what}.", path.display()));
        }
        Ok(heap)
    }

    fn refuse_nonblocking(&self) -> Result<(), CommandError> {
        match self.named.pausing.nonblocking {
            true => Err(CommandError::Usage(
                "a file is read without any process: leave `--nonblocking` out".into(),
            )),
            false => Ok(()),
        }
    }

    fn options(&self, memory: MemoryArg) -> Result<(i32, CaptureOptions), CommandError> {
        let pid = self.pid().context("there is no process")?;
        let pausing = !self.named.pausing.nonblocking;
        let max_memory = memory.bytes();
        Ok((pid, CaptureOptions { pausing, max_memory, on_delay: Some(tell) }))
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/-+,@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The memory that reading a file may take, in bytes.
pub fn memory_for_files(memory: MemoryArg) -> u64 {
    memory.bytes().unwrap_or_else(|| available_memory() / 2)
}
