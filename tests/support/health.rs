//! Whether a process runs undisturbed, by what the kernel reports of it and of each thread.

use procfs::process::Process;

use super::waiting::wait_until;

/// The condition of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it exists and has not ended.
    pub alive: bool,
    /// Its processor time, in clock ticks.
    pub ran: u64,
    /// Its threads.
    pub threads: Vec<Thread>,
}

/// The condition of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub tid: i32,
    /// Its state letter, as in `/proc/PID/task/TID/stat`.
    pub state: char,
    /// The tracer's number, 0 for none.
    pub tracer: i32,
}

impl Health {
    /// Reads the condition of a process.
    pub fn of(pid: i32) -> Health {
        Health::look(pid).unwrap_or(Health { alive: false, ran: 0, threads: Vec::new() })
    }

    /// Alive, no thread traced, none stopped.
    pub fn is_good(&self) -> bool {
        self.alive && !self.is_traced() && !self.threads.iter().any(Thread::is_stopped)
    }

    /// Whether any thread is traced.
    pub fn is_traced(&self) -> bool {
        self.threads.iter().any(|thread| thread.tracer != 0)
    }

    /// Whether every thread is stopped: by a signal, or held by a tracer.
    pub fn is_stopped(&self) -> bool {
        self.alive && self.threads.iter().all(Thread::is_stopped)
    }

    /// Waits until the process has had a processor for another tenth of a second, which is enough for many
    /// thousand allocations.
    #[track_caller]
    pub fn assert_runs_on(pid: i32) {
        let before = Health::of(pid).ran;
        wait_until("it runs on", || {
            let now = Health::of(pid);
            assert!(now.alive, "process {pid} died");
            // Ticks are hundredths of a second on every Linux that leakspy runs on.
            now.ran >= before + 10
        });
    }

    fn look(pid: i32) -> Option<Health> {
        let process = Process::new(pid).ok()?;
        let whole = process.stat().ok()?;
        let threads = process
            .tasks()
            .ok()?
            .flatten()
            .filter_map(|task| {
                let (stat, status) = (task.stat().ok()?, task.status().ok()?);
                Some(Thread { tid: task.tid, state: stat.state, tracer: status.tracerpid })
            })
            .collect();
        Some(Health { alive: !ended(whole.state), ran: whole.utime + whole.stime, threads })
    }
}

impl Thread {
    fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

fn ended(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}
