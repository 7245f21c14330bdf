//! The captures of a hunt in snapshot files.

use std::path::PathBuf;
use std::time::SystemTime;

use super::HuntError;
use crate::heap::{Analysis, RootNames};
use crate::process::Process;
use crate::python::Python;
use crate::python::objects::Disclosure;
use crate::snapshot::{self, FileError};
use crate::source::Identity;
use crate::source::facts::facts;
use crate::source::live::{host, monotonic_clock};

/// Where captures are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The folder. A file is `PID-1.leakspy`, and so on.
    pub folder: PathBuf,
    /// How much of keys and values is written.
    pub disclosure: Disclosure,
}

impl Keep {
    /// Writes the file of a capture, the first, second and so on, that was taken at this time.
    pub(super) fn write(
        &self,
        process: &Process,
        python: &Python,
        heap: &Analysis<'_>,
        number: usize,
        time: SystemTime,
    ) -> Result<(), HuntError> {
        let pid = process.pid();
        let path = self.folder.join(format!("{pid}-{number}.leakspy"));
        let identity = Identity::of(process, python)?;
        let collectors = heap.reader().and_then(|reader| python.collectors(reader).ok());
        let kept = snapshot::Heap {
            analysis: heap,
            names: &RootNames::of(heap, python),
            collectors: &collectors.unwrap_or_default(),
            facts: &facts(&identity, host(), heap, time, monotonic_clock(pid), self.disclosure),
            composition: None,
            threads: None,
            waste: None,
        };
        let written = snapshot::write(&path, kept, &mut |_| ());
        let error = |error: FileError| HuntError::Keep { path: path.clone(), error };
        written.map(|_| ()).map_err(error)
    }
}
