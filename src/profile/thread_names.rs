//! The names of a target's threads in a profile: `thread worker-1`.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::memory::Cached;
use crate::process::Process;
use crate::python::Python;

/// The names found so far.
///
/// A thread is identified by both of its numbers, because a `pthread_t` is an address and soon reused.
#[derive(Debug, Default)]
pub struct ThreadNames {
    names: FxHashMap<(Option<i32>, u64), Arc<str>>,
}

impl ThreadNames {
    /// The name of a thread: the one that Python gives it, or else its number, the kernel's `tid` where
    /// known. The first thread is the main thread even before the program has imported the module
    /// `threading`, which has the names.
    pub fn name(
        &mut self,
        process: &Process,
        python: &Python,
        tid: Option<i32>,
        pthread: u64,
    ) -> Arc<str> {
        if let Some(name) = self.names.get(&(tid, pthread)) {
            return Arc::clone(name);
        }
        if let Some(name) = python.thread_names(&Cached::new(process)).remove(&pthread) {
            let name: Arc<str> = format!("thread {name}").into();
            self.names.insert((tid, pthread), Arc::clone(&name));
            return name;
        }
        // It may get a name later, so this is not remembered.
        match tid {
            Some(tid) if tid == process.pid() => "thread MainThread".into(),
            Some(tid) => format!("thread {tid}").into(),
            None => format!("thread {pthread:#x}").into(),
        }
    }
}
