//! A snapshot file as a source: the heap of one capture, whether or not the process is still there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Heap, Identity, Source, SourceError};
use crate::heap::{Composition, Grouping, Summary};
use crate::inspect::waste::Waste;
use crate::python::Version;
use crate::python::objects::Disclosure;
use crate::python::thread_dump;
use crate::snapshot::container::Reader;
use crate::snapshot::{Facts, FileError, Snapshot, load};

/// A snapshot file.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    /// The most memory that loading it may take, in bytes.
    allowed: u64,
    facts: Facts,
    identity: Identity,
}

impl SnapshotFile {
    /// Opens a snapshot file. Loading it takes no more than `allowed` bytes of memory.
    ///
    /// # Errors
    /// It is not a snapshot, is damaged, or is too large.
    pub fn open(path: &Path, allowed: u64) -> Result<SnapshotFile, SourceError> {
        let error = |error| SourceError::File { path: path.to_owned(), error };
        let reader = Reader::open(path, allowed).map_err(error)?;
        let facts = load::facts(&reader).map_err(error)?;
        let version = Version::from_text(&facts.python);
        let identity = Identity {
            pid: facts.pid,
            started: facts.started,
            command: facts.command.clone(),
            executable: facts.executable.clone(),
            version: version.unwrap_or(Version { major: 3, minor: 0, micro: 0 }),
        };
        Ok(SnapshotFile { path: path.to_owned(), allowed, facts, identity })
    }

    /// Which process and moment it is from.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether another file is of the same process: the PID, when it started, and the machine.
    pub fn is_same_process(&self, other: &SnapshotFile) -> bool {
        let key = |facts: &Facts| (facts.pid, facts.started, facts.host.clone());
        key(&self.facts) == key(&other.facts)
    }

    fn load(&self) -> Result<Snapshot, SourceError> {
        Snapshot::open(&self.path, self.allowed).map_err(|error| self.error(error))
    }

    /// Reads something beside the heap.
    fn read<T>(&self, read: impl Fn(&Reader) -> Result<T, FileError>) -> Result<T, SourceError> {
        let reader = Reader::open(&self.path, self.allowed);
        reader.and_then(|reader| read(&reader)).map_err(|error| self.error(error))
    }

    fn error(&self, error: FileError) -> SourceError {
        SourceError::File { path: self.path.clone(), error }
    }

    fn not_kept(&self, what: &'static str) -> SourceError {
        SourceError::NotKept { path: self.path.clone(), what }
    }
}

impl Source for SnapshotFile {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn heap(&self) -> Result<Heap<'_>, SourceError> {
        Ok(Heap::kept(self.load()?))
    }

    fn summary(&self, by: Grouping) -> Result<Summary, SourceError> {
        let heap = self.load()?;
        let mut summary = Summary::of(&heap.analysis, self.identity.owner(), by);
        summary.time = self.facts.time();
        // As for a live process whose objects are only counted.
        for group in summary.types.iter_mut().chain(summary.groups.iter_mut().flatten()) {
            (group.tracked, group.retained) = (None, None);
        }
        Ok(summary)
    }

    fn composition(&self) -> Result<Composition, SourceError> {
        let found = self.read(load::composition)?;
        found.ok_or_else(|| self.not_kept("what the resident set is made of"))
    }

    fn threads(&self, locals: Option<Disclosure>) -> Result<thread_dump::ThreadDump, SourceError> {
        if locals.is_some() {
            return Err(self.not_kept("local variables"));
        }
        self.read(load::threads)?.ok_or_else(|| self.not_kept("the stacks of threads"))
    }

    fn waste(&self, heap: &Heap<'_>, disclosure: Disclosure) -> Result<Waste, SourceError> {
        let found = self.read(load::waste)?.ok_or_else(|| self.not_kept("what is needless"))?;
        Ok(found.disclosed(&heap.analysis, heap.names(), disclosure))
    }

    fn host(&self) -> String {
        self.facts.host.clone()
    }

    fn monotonic_clock(&self) -> Option<Duration> {
        self.facts.clock
    }
}
