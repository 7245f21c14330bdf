//! A core file as a source: the heap of a process as it was when it died, or when gcore wrote it down.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::{Heap, Identity, Moment, Source, SourceError};
use crate::heap::{
    Analysis, Capture, Composition, Grouping, HeapError, Residency, Summary, TypeCounts,
};
use crate::memory::Cached;
use crate::process::core::binaries::Places;
use crate::process::core::death::Death;
use crate::process::text::shown_path;
use crate::process::{Core, CoreError, Target};
use crate::python::objects::Disclosure;
use crate::python::thread_dump::ThreadDump;
use crate::python::without_file::WithoutFile;
use crate::python::{Python, PythonError};

/// A core lists its objects as they were, so nothing is certain about the lists of the collector: the process
/// may have died while it changed them.
const STRICT: bool = false;

/// Why there is no Python in a core.
#[derive(Debug, thiserror::Error)]
pub enum CoreFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// No interpreter that we understand is in it.
    #[error(transparent)]
    Python(#[from] PythonError),
}

/// A core file, and the Python interpreter in it.
#[derive(Debug)]
pub struct CoreFile {
    core: Core,
    python: Python,
    identity: Identity,
    max_memory: Option<u64>,
}

impl CoreFile {
    /// Opens a core file and finds the interpreter in it. The files that the process had mapped are sought in
    /// `places`; an analysis takes at most `max_memory` bytes, by default half of what is available.
    ///
    /// # Errors
    /// It is no core file, or has no Python that we understand.
    pub fn open(
        path: &Path,
        places: Places,
        max_memory: Option<u64>,
    ) -> Result<CoreFile, SourceError> {
        let error = |error| SourceError::Core { path: path.to_owned(), error };
        let core = Core::open(path, places).map_err(|it| error(CoreFileError::from(it)))?;
        let python = match Python::attach(&core) {
            Err(PythonError::NotPython { .. }) => without_file(&core),
            python => python,
        };
        let python = python.map_err(|it| error(it.into()))?;
        let identity = Identity {
            pid: core.pid(),
            started: 0,
            command: core.command(),
            executable: shown_path(&core.executable()),
            version: python.version,
        };
        Ok(CoreFile { core, python, identity, max_memory })
    }

    /// The file that contains the interpreter, if it was not found.
    pub fn missing(&self) -> Option<&Path> {
        let image = &self.python.image;
        (!image.is_whole()).then(|| image.path())
    }

    /// What it has kept.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Everything that can be said about it.
    ///
    /// # Errors
    /// Its objects cannot be found.
    pub fn moment(&self) -> Result<Moment<'_>, SourceError> {
        let (composition, threads) = (self.composition().ok(), self.threads(None).ok());
        Ok(Moment { heap: self.heap()?, composition, threads })
    }

    fn capture(&self) -> Result<Capture<'_>, SourceError> {
        let capture = Capture::of_core(&self.core, &self.python, self.max_memory);
        Ok(capture.map_err(HeapError::from)?)
    }
}

impl Source for CoreFile {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn heap(&self) -> Result<Heap<'_>, SourceError> {
        let analysis = Analysis::of_capture(&self.core, &self.python, self.capture()?, STRICT)?;
        let mut heap = Heap::new(analysis, &self.python, self.identity.owner());
        heap.provenance.time = UNIX_EPOCH + self.core.time();
        Ok(heap)
    }

    fn summary(&self, by: Grouping) -> Result<Summary, SourceError> {
        let capture = self.capture()?;
        let counts = TypeCounts::of_capture(&self.core, &self.python, &capture, STRICT)?;
        let mut summary = Summary::of_counts(&capture, &counts, self.identity.owner(), by);
        summary.time = UNIX_EPOCH + self.core.time();
        Ok(summary)
    }

    fn composition(&self) -> Result<Composition, SourceError> {
        let (capture, residency) = (self.capture()?, Residency::of_core(&self.core));
        let (core, python) = (&self.core, &self.python);
        Ok(Composition::of_capture(core, python, &capture, Ok(residency), STRICT)?)
    }

    fn threads(&self, locals: Option<Disclosure>) -> Result<ThreadDump, SourceError> {
        let memory = Cached::new(&self.core);
        let (core, pause) = (&self.core, Duration::ZERO);
        let activity = self.python.activity(core)?;
        Ok(self.python.captured_threads(core, &memory, activity, pause, locals)?)
    }

    fn host(&self) -> String {
        String::new()
    }

    fn monotonic_clock(&self) -> Option<Duration> {
        None
    }

    fn death(&self) -> Option<Death> {
        self.core.death()
    }
}

/// The interpreter in a core if the file that contains it is missing.
fn without_file(core: &Core) -> Result<Python, PythonError> {
    let pid = core.pid();
    let not_python = PythonError::NotPython { pid };
    let WithoutFile { mut python, texts } = Python::without_file(core).ok_or(not_python)?;
    core.substitute(texts);
    match python.validate(core) {
        Ok(version) => {
            python.version = version.unwrap_or(python.version);
            Ok(python)
        }
        Err(invalid) => Err(PythonError::NotUnderstood { pid, version: python.version, invalid }),
    }
}
