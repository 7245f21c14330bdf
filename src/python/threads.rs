//! Interpreters, their threads, and the threads' names in Python.

use rustc_hash::{FxHashMap, FxHashSet};

use super::dicts::{Entry, attribute, entries, get, int_key, module_dict};
use super::links::RingGuard;
use super::objects::string;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};
use crate::process::glibc;

/// The most interpreters that are read.
const MOST_INTERPRETERS: usize = 1_000;
/// The most threads that are read, in all interpreters together.
const MOST_THREADS: usize = 100_000;
/// The most bytes that are read of a thread state.
const THREAD_SPAN: usize = 512;

/// A thread as Python stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// The address of the `PyThreadState`.
    pub address: u64,
    /// The address of its interpreter.
    pub interpreter: u64,
    /// Its `pthread_t`, which is `threading.get_ident()`.
    pub pthread: u64,
    /// The kernel's id of the thread as the target's own PID namespace numbers it:
    /// `threading.get_native_id()`. Python keeps it from 3.11 on; before that, it is taken from glibc's
    /// thread descriptor, if that is plausible. A thread that is just being created has none yet. Check it
    /// against the process's real threads: [`ThreadIds`](crate::process::ThreadIds).
    pub native_id: Option<i32>,
}

impl Python {
    /// The addresses of all interpreters (`PyInterpreterState`), the newest first.
    pub fn interpreters<M: Memory>(&self, memory: &M) -> Result<Vec<u64>, ReadError> {
        let mut found = Vec::new();
        let mut guard = RingGuard::default();
        let mut next = memory.u64(at(self.runtime, self.layout.runtime.interpreters_head))?;
        while next != 0 && found.len() < MOST_INTERPRETERS && !guard.closes_at(next) {
            found.push(next);
            next = memory.u64(at(next, self.layout.interpreter.next))?;
        }
        Ok(found)
    }

    /// The threads of all interpreters, the newest of each first.
    pub fn thread_states<M: Memory>(&self, memory: &M) -> Result<Vec<ThreadState>, ReadError> {
        let layout = &self.layout.thread;
        let fields = [layout.next, layout.pthread, layout.native_id.unwrap_or_default()];
        let span = fields.into_iter().max().unwrap_or_default().saturating_add(8);
        let mut found = Vec::new();
        for interpreter in self.interpreters(memory)? {
            let first = found.len();
            let mut guard = RingGuard::default();
            let mut next = memory.u64(at(interpreter, self.layout.interpreter.threads_head))?;
            while next != 0 && found.len() < MOST_THREADS && !guard.closes_at(next) {
                let bytes = memory.bytes(next, span as u64, THREAD_SPAN)?;
                let word = |offset| u64_at(&bytes, offset).unwrap_or_default();
                let pthread = word(layout.pthread);
                let native_id = match layout.native_id {
                    Some(offset) => Some(word(offset)),
                    None => glibc::thread_id(memory, pthread),
                };
                let native_id =
                    native_id.and_then(|id| i32::try_from(id).ok()).filter(|&id| id > 0);
                found.push(ThreadState { address: next, interpreter, pthread, native_id });
                next = word(layout.next);
            }
            forget_borrowed_ids(found.get_mut(first..).unwrap_or_default());
        }
        Ok(found)
    }

    /// The number of an interpreter, as Python counts them: 0 is the main one.
    pub(super) fn interpreter_number<M: Memory>(&self, memory: &M, interpreter: u64) -> u64 {
        memory.u64(at(interpreter, self.layout.interpreter.id)).unwrap_or_default()
    }

    /// The names of threads in the module `threading` (`Thread.name`), by `pthread_t`. Missing are threads
    /// that it does not know, names that cannot be read, and all threads if it was not imported. Only the
    /// main interpreter's module is read.
    pub fn thread_names<M: Memory>(&self, memory: &M) -> FxHashMap<u64, String> {
        let mut names = FxHashMap::default();
        let Ok(Some(active)) = self.active_threads(memory) else { return names };
        for entry in active.into_iter().take(MOST_THREADS) {
            if let Ok(Some((pthread, name))) = self.thread_name(memory, entry) {
                names.insert(pthread, name);
            }
        }
        names
    }

    /// The entries of `threading._active`: {ident: Thread}.
    fn active_threads<M: Memory>(&self, memory: &M) -> Result<Option<Vec<Entry>>, ReadError> {
        let layout = &self.layout;
        let main = memory.u64(at(self.runtime, layout.runtime.interpreters_main))?;
        let modules = memory.u64(at(main, layout.interpreter.modules))?;
        let Some(threading) = get(memory, layout, modules, "threading")? else { return Ok(None) };
        let names = module_dict(memory, layout, threading)?;
        let Some(active) = get(memory, layout, names, "_active")? else { return Ok(None) };
        entries(memory, layout, active).map(Some)
    }

    fn thread_name<M: Memory>(
        &self,
        memory: &M,
        entry: Entry,
    ) -> Result<Option<(u64, String)>, ReadError> {
        let Some(pthread) = int_key(memory, &self.layout, entry)? else { return Ok(None) };
        let Some(name) = attribute(memory, &self.layout, entry.value, "_name")? else {
            return Ok(None);
        };
        Ok(Some((pthread, string(memory, &self.layout, name)?)))
    }
}

/// Up to 3.11 a thread's state is created by the thread that starts it, and has the starter's ids until the
/// new thread itself begins. If several states of an interpreter have the same thread, it belongs to the
/// oldest, which is the last.
fn forget_borrowed_ids(newest_first: &mut [ThreadState]) {
    let mut seen = FxHashSet::default();
    for thread in newest_first.iter_mut().rev() {
        if !seen.insert(thread.pthread) {
            thread.native_id = None;
        }
    }
}
