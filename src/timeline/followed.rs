//! A process and, if wanted, its descendants, as they come and go.
//!
//! A process is identified by PID and start time, and held by a descriptor of its folder in `/proc`, which
//! still refers to it when the PID has been reused. A process once seen is followed until it ends, even if
//! its parent ends first.

use crate::process::descendants::descendants;
use crate::process::{Process, ProcessError};

/// The processes that are followed, each with what the user of this keeps of it.
#[derive(Debug)]
pub struct Followed<T> {
    root: i32,
    subprocesses: bool,
    members: Vec<(Process, T)>,
}

impl<T> Followed<T> {
    /// Follows a process, and what descends from it if that is wanted.
    pub fn new(root: Process, subprocesses: bool, note: T) -> Followed<T> {
        Followed { root: root.pid(), subprocesses, members: vec![(root, note)] }
    }

    /// Whether the process that all others descend from is still there.
    pub fn has_root(&self) -> bool {
        self.members.iter().any(|(process, _)| process.pid() == self.root)
    }

    /// How many processes there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none any more.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Looks at every process, and at those that have come since, and forgets those that have ended.
    /// `note` is asked what to keep of one that has come.
    pub fn each(
        &mut self,
        mut look: impl FnMut(&Process, &mut T) -> Result<(), ProcessError>,
        mut note: impl FnMut(&Process) -> T,
    ) {
        // One whose PID has been given away ended: it has to go before its successor comes.
        self.members.retain_mut(|(process, note)| is_there(look(process, note)));
        if !self.subprocesses {
            return;
        }
        // Those that have come may have children themselves.
        let mut asked = 0;
        while asked < self.members.len() {
            let found = self.members.iter().skip(asked).map(|(process, _)| process.children());
            let found: Option<Vec<i32>> =
                found.collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect());
            asked = self.members.len();
            // A kernel that does not tell children can tell parents.
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

/// Whether what was looked at is still there. What cannot be looked at for another reason is.
fn is_there(looked: Result<(), ProcessError>) -> bool {
    !matches!(looked, Err(ProcessError::Ended { .. } | ProcessError::Zombie { .. }))
}
