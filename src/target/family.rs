//! The processes that a process has started, and those that they have started.

use std::collections::HashMap;

/// The PIDs of all descendants of `pid`, parents before their children. Processes that end meanwhile
/// are left out, and so are those whose parent has ended: the system gives them another.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for process in procfs::process::all_processes().into_iter().flatten().flatten() {
        if let Ok(stat) = process.stat() {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let mut own = children.remove(&parent).unwrap_or_default();
        own.sort_unstable();
        found.extend(&own);
        next.extend(own.into_iter().rev());
    }
    found
}
