//! The memory of a process's control group, and its limit.
//!
//! In both versions of control groups a limit applies to a group and all groups below it, so what counts is
//! the limit that is nearest to being reached, from the process's own group up to the root.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// A limit above this is no limit, in bytes.
const NO_LIMIT: u64 = 1 << 60;

/// The memory of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMemory {
    /// The memory in use by all its processes, page cache included, in bytes.
    pub used: u64,
    /// The memory that they may use, in bytes.
    pub limit: u64,
}

impl GroupMemory {
    /// How much of the limit is used.
    pub fn part(&self) -> f64 {
        self.used as f64 / self.limit.max(1) as f64
    }
}

/// The memory of that group of a process which is nearest to its limit; `None` where there is no limit.
pub fn group_memory(pid: i32) -> Option<GroupMemory> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.lines().filter_map(of_line).max_by(|a, b| a.part().total_cmp(&b.part()))
}

/// The memory of the group that a line of `/proc/PID/cgroup` names.
fn of_line(line: &str) -> Option<GroupMemory> {
    let mut words = line.splitn(3, ':').skip(1);
    let (controllers, path) = (words.next()?, words.next()?);
    let (root, files) = match controllers {
        "" => (PathBuf::from(MOUNT), ["memory.current", "memory.max"]),
        some if some.split(',').any(|controller| controller == "memory") => {
            let root = Path::new(MOUNT).join("memory");
            (root, ["memory.usage_in_bytes", "memory.limit_in_bytes"])
        }
        _ => return None,
    };
    let own = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(&root));
    let memory = |group: &Path| {
        let [used, limit] = files.map(|file| number(&group.join(file)));
        Some(GroupMemory { used: used?, limit: limit.filter(|&limit| limit < NO_LIMIT)? })
    };
    groups.filter_map(memory).max_by(|a, b| a.part().total_cmp(&b.part()))
}

/// The number in a file; `max` stands for no limit.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_controllers_and_broken_ones_say_nothing() {
        for line in ["8:pids:/", "nonsense", "", "0::", "4:memory:/no/such/group/anywhere"] {
            // If a group does not exist, a group above it may still have a limit.
            assert!(of_line(line).is_none_or(|memory| memory.limit < NO_LIMIT), "{line}");
        }
        assert_eq!(of_line("8:pids:/"), None);
    }
}
