//! A process and, if wanted, its descendants, as they come and go.
//!
//! A process is identified by PID and start time, and held by a descriptor of its folder in `/proc`, which
//! still refers to it after the PID has been reused. Once seen, a process is followed until it ends, even if
//! its parent ends first.

use crate::process::descendants::descendants;
use crate::process::{Process, ProcessError};

/// The followed processes, each with the caller's notes.
#[derive(Debug)]
pub struct Followed<T> {
    root: i32,
    subprocesses: bool,
    members: Vec<(Process, T)>,
}

impl<T> Followed<T> {
    /// Follows a process, and its descendants if `subprocesses` is set.
    pub fn new(root: Process, subprocesses: bool, note: T) -> Followed<T> {
        Followed { root: root.pid(), subprocesses, members: vec![(root, note)] }
    }

    /// Whether the first process, the ancestor of the others, is still there.
    pub fn has_root(&self) -> bool {
        self.members.iter().any(|(process, _)| process.pid() == self.root)
    }

    /// The number of processes.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no process is left.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Reads every process, adds new ones, and removes those that have ended. `note` makes the notes for a
    /// new process.
    pub fn each(
        &mut self,
        mut look: impl FnMut(&Process, &mut T) -> Result<(), ProcessError>,
        mut note: impl FnMut(&Process) -> T,
    ) {
        // A process whose PID has been reused has ended: it must go before its successor is added.
        self.members.retain_mut(|(process, note)| is_there(look(process, note)));
        if !self.subprocesses {
            return;
        }
        // New processes may have children themselves.
        let mut asked = 0;
        while asked < self.members.len() {
            let found = self.members.iter().skip(asked).map(|(process, _)| process.children());
            let found: Option<Vec<i32>> =
                found.collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect());
            asked = self.members.len();
            // A kernel that does not list children still lists parents.
            let found = found.unwrap_or_else(|| descendants(self.root));
            for pid in found {
                if self.members.iter().any(|(process, _)| process.pid() == pid) {
                    continue;
                }
                let Ok(process) = Process::open(pid) else { continue };
                let mut note = note(&process);
                if is_there(look(&process, &mut note)) {
                    self.members.push((process, note));
                }
            }
        }
    }
}

/// Whether the process is still there. One that cannot be read for another reason is.
fn is_there(looked: Result<(), ProcessError>) -> bool {
    !matches!(looked, Err(ProcessError::Ended { .. } | ProcessError::Zombie { .. }))
}
