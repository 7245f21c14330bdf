//! Processes by their command lines.

use std::collections::HashMap;
use std::fs;

use super::text::shown_words;

/// A process whose command line contains a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its PID.
    pub pid: i32,
    /// Its command line, arguments joined by spaces.
    pub command: String,
    /// The PID of its parent.
    parent: i32,
}

/// The processes whose command lines contain this text, the oldest first. leakspy itself and its ancestors do
/// not count: a shell that starts leakspy has the text in its own command line.
pub fn named(text: &str) -> Vec<Named> {
    let mut parents = HashMap::new();
    let mut found = listed(text, |pid, parent| parents.extend([(pid, parent)]));
    let mut ours = vec![own_pid()];
    while let Some(&parent) = ours.last().and_then(|last| parents.get(last)) {
        if parent == 0 || ours.contains(&parent) {
            break;
        }
        ours.push(parent);
    }
    found.retain(|named| !ours.contains(&named.pid));
    found
}

/// All processes but leakspy itself whose command lines contain this text, the oldest first.
pub fn others(text: &str) -> Vec<Named> {
    let mut found = listed(text, |_, _| ());
    found.retain(|named| named.pid != own_pid());
    found
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or_default()
}

/// The processes whose command lines contain this text. `see` is called with the PID of every process and that of
/// its parent.
fn listed(text: &str, mut see: impl FnMut(i32, i32)) -> Vec<Named> {
    let mut found = Vec::new();
    for process in procfs::process::all_processes().into_iter().flatten().flatten() {
        let Ok(stat) = process.stat() else { continue };
        see(stat.pid, stat.ppid);
        let Ok(words) = fs::read(format!("/proc/{}/cmdline", stat.pid)) else { continue };
        let command = shown_words(&words);
        if command.contains(text) && !matches!(stat.state, 'Z' | 'X') {
            found.push((stat.starttime, Named { pid: stat.pid, command, parent: stat.ppid }));
        }
    }
    found.sort_by_key(|(started, named)| (*started, named.pid));
    found.into_iter().map(|(_, named)| named).collect()
}

/// Leaves out those whose parent is among them: the workers of a master.
pub fn without_children(named: Vec<Named>) -> Vec<Named> {
    let pids: Vec<i32> = named.iter().map(|one| one.pid).collect();
    named.into_iter().filter(|one| !pids.contains(&one.parent)).collect()
}

/// The oldest process whose command line contains this text and whose parent's does not.
pub fn first_named(text: &str) -> Option<i32> {
    without_children(named(text)).first().map(|named| named.pid)
}
