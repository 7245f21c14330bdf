//! Whether a process goes on undisturbed: what the kernel says of its life, tracer and threads.

use procfs::process::Process;

/// The condition of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it is there and has not ended.
    pub alive: bool,
    /// The PID of its tracer, 0 for none.
    pub tracer: i32,
    /// Its threads and their state letters, as in `/proc/PID/task/TID/stat`.
    pub threads: Vec<(i32, char)>,
}

impl Health {
    /// Looks at a process.
    pub fn of(pid: i32) -> Health {
        Health::look(pid).unwrap_or(Health { alive: false, tracer: 0, threads: Vec::new() })
    }

    /// Alive, traced by nobody, no thread stopped.
    pub fn is_good(&self) -> bool {
        self.alive && self.tracer == 0 && !self.threads.iter().any(|&(_, state)| stopped(state))
    }

    fn look(pid: i32) -> Option<Health> {
        let process = Process::new(pid).ok()?;
        let alive = !ended(process.stat().ok()?.state);
        let tracer = process.status().ok()?.tracerpid;
        let threads = process
            .tasks()
            .ok()?
            .flatten()
            .filter_map(|task| Some((task.tid, task.stat().ok()?.state)))
            .collect();
        Some(Health { alive, tracer, threads })
    }
}

fn ended(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

fn stopped(state: char) -> bool {
    matches!(state, 'T' | 't')
}
