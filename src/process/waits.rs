//! How long threads have waited for a processor, as counted by the kernel's scheduler.
//!
//! Relies on `/proc/PID/task/TID/schedstat` (`CONFIG_SCHED_INFO`): nanoseconds on a processor,
//! nanoseconds of waiting for one, and how often it got one. A wait is counted when it is over.

use std::fs;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::handle::Process;

/// The time that threads had waited up to some moment, in nanoseconds. Always zero where the kernel does not
/// count.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    threads: FxHashMap<i32, u64>,
    own: u64,
}

impl Waits {
    /// The waits of these threads of a process, and of the calling thread, until now.
    pub fn until_now(process: &Process, threads: &[i32]) -> Waits {
        let of = |&tid: &i32| {
            let waited = waited(&format!("/proc/{}/task/{tid}/schedstat", process.pid()))?;
            Some((tid, waited))
        };
        Waits {
            threads: threads.iter().filter_map(of).collect(),
            own: waited("/proc/thread-self/schedstat").unwrap_or_default(),
        }
    }

    /// The total wait since `before`, of the threads that are in both.
    pub fn since(&self, before: &Waits) -> u64 {
        let threads = self
            .threads
            .iter()
            .filter_map(|(tid, waited)| Some(waited.saturating_sub(*before.threads.get(tid)?)));
        threads.sum::<u64>() + self.own.saturating_sub(before.own)
    }
}

/// How long a thread has been on a processor so far; `None` where the kernel does not count, or the thread
/// has ended.
pub fn ran(process: &Process, tid: i32) -> Option<Duration> {
    let path = format!("/proc/{}/task/{tid}/schedstat", process.pid());
    number(&path, 0).map(Duration::from_nanos)
}

fn waited(path: &str) -> Option<u64> {
    number(path, 1)
}

fn number(path: &str, place: usize) -> Option<u64> {
    fs::read_to_string(path).ok()?.split(' ').nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_both_is_compared() {
        let waits =
            |threads: [(i32, u64); 2], own| Waits { threads: threads.into_iter().collect(), own };
        let (earlier, later) = (waits([(1, 10), (2, 20)], 5), waits([(1, 15), (3, 90)], 7));
        assert_eq!(later.since(&earlier), 5 + 2);
        assert_eq!(earlier.since(&later), 0);
    }
}
