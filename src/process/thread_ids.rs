//! Thread IDs in another PID namespace.
//!
//! A process in a container sees other IDs for its threads than leakspy does. An ID read from its memory is
//! trusted only if such a thread exists.

use rustc_hash::FxHashMap;

use super::handle::{Process, ProcessError};

/// The threads of a process: the ID of each in the process's own namespace, and in ours.
#[derive(Debug, Clone, Default)]
pub struct ThreadIds {
    outer: FxHashMap<i32, i32>,
}

impl ThreadIds {
    /// Reads the threads that `process` has now.
    pub fn read(process: &Process) -> Result<ThreadIds, ProcessError> {
        let tids = process.threads()?;
        let nested = process.inner_id(process.pid()).is_some_and(|inner| inner != process.pid());
        let inner = |tid| if nested { process.inner_id(tid) } else { Some(tid) };
        let outer = tids.into_iter().filter_map(|tid| Some((inner(tid)?, tid))).collect();
        Ok(ThreadIds { outer })
    }

    /// Threads whose IDs are the same in both namespaces.
    pub fn same(ids: impl IntoIterator<Item = i32>) -> ThreadIds {
        ThreadIds { outer: ids.into_iter().map(|id| (id, id)).collect() }
    }

    /// Our ID of the thread that has the ID `inner` in the process's own namespace; `None` if there is none.
    pub fn outer(&self, inner: i32) -> Option<i32> {
        self.outer.get(&inner).copied()
    }

    /// How many threads there are.
    pub fn len(&self) -> usize {
        self.outer.len()
    }

    /// Whether there are no threads: the process has just ended.
    pub fn is_empty(&self) -> bool {
        self.outer.is_empty()
    }
}
