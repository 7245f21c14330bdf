//! The descendants of a process.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use super::handle::Process;

/// The PIDs of all descendants of `pid`, parents before their children. Processes that end meanwhile are left
/// out, and so are those whose parent has ended: the kernel gives them another parent.
pub fn descendants(pid: i32) -> Vec<i32> {
    let listed = in_order(pid, |parent| match Process::open(parent) {
        Ok(process) => process.children(),
        Err(_) => Some(Vec::new()),
    });
    listed.unwrap_or_else(|| {
        // Every process of the machine is read, because this kernel does not list children.
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for process in procfs::process::all_processes().into_iter().flatten().flatten() {
            if let Ok(stat) = process.stat() {
                children.entry(stat.ppid).or_default().push(stat.pid);
            }
        }
        in_order(pid, |parent| Some(children.remove(&parent).unwrap_or_default()))
            .unwrap_or_default()
    })
}

/// The descendants of `pid` by the children of each; `None` if those of one are not known.
fn in_order(pid: i32, mut children: impl FnMut(i32) -> Option<Vec<i32>>) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let mut own = children(parent)?;
        own.sort_unstable();
        found.extend(&own);
        next.extend(own.into_iter().rev());
    }
    Some(found)
}

impl Process {
    /// The PIDs of its children, whichever of its threads started them. This is cheap:
    /// only files of the process itself are read. A process that has ended has none, because its children
    /// have a new parent. `None` where the kernel does not list them (`CONFIG_PROC_CHILDREN`).
    pub fn children(&self) -> Option<Vec<i32>> {
        let of_main = self.text(&format!("task/{}/children", self.pid()));
        let of_main = match of_main {
            Ok(text) => text,
            Err(_) if self.is_alive() => return None,
            Err(_) => return Some(Vec::new()),
        };
        let mut found = numbers(&of_main);
        if self.has_one_thread() {
            return Some(found);
        }
        for tid in self.threads().unwrap_or_default() {
            // A thread may have ended, and then its children have a new parent.
            if tid != self.pid()
                && let Ok(text) = self.text(&format!("task/{tid}/children"))
            {
                found.extend(numbers(&text));
            }
        }
        Some(found)
    }

    /// Whether it certainly has only one thread. The `task` directory has one link per thread besides the two
    /// of every directory, and reading the link count is cheaper than listing the directory.
    fn has_one_thread(&self) -> bool {
        let folder = self.proc.open_relative("task");
        folder.is_ok_and(|folder| folder.metadata().is_ok_and(|facts| facts.nlink() == 3))
    }
}

/// Numbers between spaces.
fn numbers(text: &[u8]) -> Vec<i32> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}
