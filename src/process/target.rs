//! What the layers above ask about a process: its memory, its mappings, the files behind them, its threads.
//!
//! A live [`Process`] answers, and so does a [`Core`](super::core::Core), the file that a process left when it
//! died. Whoever finds an interpreter, analyses a heap or reads stacks takes a `&dyn Target` and works on both.
//! What needs a process that runs (pausing, breakpoints, the kernel's page map) takes a [`Process`].

use std::fmt::Debug;

use super::blocked::Wait;
use super::handle::{Process, ProcessError};
use super::image::{Image, ImageError};
use super::maps::Mapping;
use super::thread_ids::ThreadIds;
use crate::memory::Memory;

/// A process whose memory can be read, whether it is alive or not.
pub trait Target: Memory + Debug + Sync {
    /// Its PID.
    fn pid(&self) -> i32;

    /// Whether its memory can still be read.
    fn is_readable(&self) -> bool;

    /// Whether it runs another program than at the first call of [`hold_program`](Self::hold_program).
    fn has_replaced_program(&self) -> bool {
        false
    }

    /// Marks the program that it runs as the one that is observed.
    fn hold_program(&self) {}

    /// All its mappings, in order of address.
    ///
    /// # Errors
    /// The process cannot be observed.
    fn maps(&self) -> Result<Vec<Mapping>, ProcessError>;

    /// The ELF file behind a mapping that begins with the file's first page.
    ///
    /// # Errors
    /// It cannot be opened, or is not sound.
    fn image(&self, mapping: &Mapping) -> Result<Image, ImageError>;

    /// Its threads.
    ///
    /// # Errors
    /// The process cannot be observed.
    fn thread_ids(&self) -> Result<ThreadIds, ProcessError>;

    /// Its PID as it sees it itself.
    fn own_pid(&self) -> Option<i32>;

    /// The stack pointers of its threads, by our IDs, as far as they are known.
    fn stack_pointers(&self) -> Vec<(i32, u64)>;

    /// Whether one of its threads runs rather than waits, by our ID of it.
    fn is_running(&self, tid: i32) -> bool;

    /// What one of its threads waits for in the kernel, by our ID of it; `None` if it waits for nothing, or that
    /// cannot be known.
    fn wait_of(&self, tid: i32) -> Option<Wait>;
}

impl Target for Process {
    fn pid(&self) -> i32 {
        Process::pid(self)
    }

    fn is_readable(&self) -> bool {
        self.is_alive()
    }

    fn has_replaced_program(&self) -> bool {
        Process::has_replaced_program(self)
    }

    fn hold_program(&self) {
        Process::hold_program(self);
    }

    fn maps(&self) -> Result<Vec<Mapping>, ProcessError> {
        Process::maps(self)
    }

    fn image(&self, mapping: &Mapping) -> Result<Image, ImageError> {
        Image::open(Process::pid(self), mapping)
    }

    fn thread_ids(&self) -> Result<ThreadIds, ProcessError> {
        ThreadIds::read(self)
    }

    fn own_pid(&self) -> Option<i32> {
        self.inner_id(Process::pid(self))
    }

    fn stack_pointers(&self) -> Vec<(i32, u64)> {
        let tids = self.threads().unwrap_or_default().into_iter();
        tids.filter_map(|tid| Some((tid, self.stack_pointer(tid)?))).collect()
    }

    fn is_running(&self, tid: i32) -> bool {
        self.thread_state(tid) == Some('R')
    }

    fn wait_of(&self, tid: i32) -> Option<Wait> {
        self.thread_wait(tid)
    }
}
