//! Processes that may become Pythons: one that has just been started, one that replaced its program, new
//! children. They are tried again and again until they are Pythons, or clearly something else.

use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::descendants::descendants;
use super::handle::Process;

/// How often to look for new children.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How often to try whether a process has become a Python.
pub const TRY_AGAIN: Duration = Duration::from_millis(20);
/// How long to wait for a process that may never become a Python.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes that may become Pythons.
#[derive(Debug)]
pub struct Newcomers {
    waiting: Vec<Newcomer>,
    /// Processes that have been seen, by PID and start time.
    known: FxHashSet<(i32, u64)>,
    looked_around: Instant,
}

#[derive(Debug)]
struct Newcomer {
    pid: i32,
    started: u64,
    /// When to give up; `None`: not while it lives.
    until: Option<Instant>,
    tried: Option<Instant>,
}

impl Newcomers {
    /// No newcomers yet; `process` is known and is not a newcomer.
    pub fn beside(process: &Process) -> Newcomers {
        let known = FxHashSet::from_iter([(process.pid(), process.started())]);
        Newcomers { known, ..Newcomers::none() }
    }

    /// No newcomers and no known processes.
    pub fn none() -> Newcomers {
        Newcomers {
            waiting: Vec::new(),
            known: FxHashSet::default(),
            looked_around: Instant::now(),
        }
    }

    /// Adds a process, to be tried as long as it lives.
    pub fn expect(&mut self, process: &Process) {
        self.wait_for(process, None);
    }

    /// Adds a process that replaced its program, perhaps by another Python.
    pub fn expect_again(&mut self, pid: i32) {
        if let Ok(process) = Process::open(pid) {
            self.wait_for(&process, Some(Instant::now() + PATIENCE));
        }
    }

    /// Looks for new descendants of a process, if the last look was long enough ago.
    pub fn look_around_sometimes(&mut self, ancestor: i32) {
        if self.looked_around.elapsed() >= LOOK_AROUND {
            self.look_around(ancestor);
        }
    }

    /// Looks for new descendants of a process.
    pub fn look_around(&mut self, ancestor: i32) {
        self.looked_around = Instant::now();
        for pid in descendants(ancestor) {
            let Ok(process) = Process::open(pid) else { continue };
            if self.known.insert((pid, process.started())) {
                self.wait_for(&process, Some(Instant::now() + PATIENCE));
            }
        }
    }

    /// Whether there are no newcomers.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets all newcomers.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Forgets all newcomers, and returns their PIDs.
    pub fn give_up(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.waiting).into_iter().map(|newcomer| newcomer.pid).collect()
    }

    /// Calls `start` for each newcomer that is due. One that succeeds is no longer a newcomer; those whose
    /// time is up are given up and returned with their last error.
    pub fn try_all<E>(&mut self, mut start: impl FnMut(Process) -> Result<(), E>) -> Vec<(i32, E)> {
        let mut given_up = Vec::new();
        for mut newcomer in std::mem::take(&mut self.waiting) {
            if newcomer.tried.is_some_and(|tried| tried.elapsed() < TRY_AGAIN) {
                self.waiting.push(newcomer);
                continue;
            }
            let same = Process::open(newcomer.pid)
                .ok()
                .filter(|process| process.started() == newcomer.started);
            let Some(process) = same else { continue };
            let Err(error) = start(process) else { continue };
            if newcomer.until.is_some_and(|until| Instant::now() > until) {
                given_up.push((newcomer.pid, error));
            } else {
                newcomer.tried = Some(Instant::now());
                self.waiting.push(newcomer);
            }
        }
        given_up
    }

    fn wait_for(&mut self, process: &Process, until: Option<Instant>) {
        let (pid, started) = (process.pid(), process.started());
        self.waiting.push(Newcomer { pid, started, until, tried: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_tried_again_and_who_succeeds_is_not() {
        let own = Process::open(std::process::id() as i32).expect("we are there");
        let mut newcomers = Newcomers::beside(&own);
        newcomers.expect(&own);
        let mut tries = 0;
        while !newcomers.is_empty() {
            let given_up = newcomers.try_all(|process| {
                assert_eq!(process.pid(), own.pid());
                tries += 1;
                if tries < 3 { Err(()) } else { Ok(()) }
            });
            assert!(given_up.is_empty());
        }
        assert_eq!(tries, 3);
    }

    #[test]
    fn who_has_ended_is_not_waited_for() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("a child");
        let process = Process::open(child.id() as i32).expect("it is there");
        let mut newcomers = Newcomers::beside(&process);
        newcomers.expect(&process);
        child.kill().expect("it is there");
        child.wait().expect("its status");
        newcomers.try_all(|_| -> Result<(), ()> { panic!("it is tried") });
        assert!(newcomers.is_empty());
    }

    #[test]
    fn whose_time_is_over_is_given_up() {
        let own = Process::open(std::process::id() as i32).expect("we are there");
        let mut newcomers = Newcomers::beside(&own);
        newcomers.wait_for(&own, Some(newcomers.looked_around));
        assert_eq!(newcomers.try_all(|_| Err("no")), [(own.pid(), "no")]);
        assert!(newcomers.is_empty());
    }
}
