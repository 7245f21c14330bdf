//! Thread IDs in another PID namespace.
//!
//! A process in a container knows its threads by other IDs than leakspy does. What it says about a thread is
//! believed only if such a thread exists.

use rustc_hash::FxHashMap;

use super::handle::{Process, ProcessError};

/// The threads of a process: the number each has for the process itself, and the one it has for us.
#[derive(Debug, Clone, Default)]
pub struct ThreadIds {
    outer: FxHashMap<i32, i32>,
}

impl ThreadIds {
    /// Looks at the threads that `process` has now.
    pub fn read(process: &Process) -> Result<ThreadIds, ProcessError> {
        let tids = process.threads()?;
        let nested = process.inner_id(process.pid()).is_some_and(|inner| inner != process.pid());
        let inner = |tid| if nested { process.inner_id(tid) } else { Some(tid) };
        let outer = tids.into_iter().filter_map(|tid| Some((inner(tid)?, tid))).collect();
        Ok(ThreadIds { outer })
    }

    /// Our number of the thread that the process itself calls `inner`; `None` if it has none such.
    pub fn outer(&self, inner: i32) -> Option<i32> {
        self.outer.get(&inner).copied()
    }

    /// How many threads there are.
    pub fn len(&self) -> usize {
        self.outer.len()
    }

    /// Whether there is no thread: the process has just ended.
    pub fn is_empty(&self) -> bool {
        self.outer.is_empty()
    }
}
