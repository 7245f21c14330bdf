//! Reaping traced threads that end while their tracer is busy attaching to another.
//!
//! `execve` first ends all other threads of the process and waits for them, and a traced thread has ended
//! only once its tracer has reaped it. Meanwhile the kernel blocks any attempt to attach to a thread of that
//! process. A tracer that attaches at this moment would wait for the process, and the process for the tracer,
//! forever. So another thread reaps as soon as attaching takes suspiciously long. (`de_thread` and
//! `ptrace_attach`, Linux to 6.18 at least.)

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::ptrace;

/// How long attaching may take before something is wrong.
const SUSPICIOUS: Duration = Duration::from_millis(10);

/// Reaps threads that are traced by this process, until it is dropped.
#[derive(Debug)]
pub struct Reaper {
    /// Nothing is ever sent: the other end notices when this is dropped.
    done: Sender<()>,
    thread: JoinHandle<Vec<i32>>,
}

impl Reaper {
    /// Starts watching these threads.
    pub fn start(tids: Vec<i32>) -> io::Result<Reaper> {
        let (done, is_done) = channel();
        let thread = Builder::new().spawn(move || reap(tids, &is_done))?;
        Ok(Reaper { done, thread })
    }

    /// Stops, and returns the threads that it reaped: their ends are not reported again.
    pub fn finish(self) -> Vec<i32> {
        drop(self.done);
        self.thread.join().unwrap_or_default()
    }
}

fn reap(mut tids: Vec<i32>, is_done: &Receiver<()>) -> Vec<i32> {
    let mut ended = Vec::new();
    while is_done.recv_timeout(SUSPICIOUS) == Err(RecvTimeoutError::Timeout) {
        let (gone, left) = tids.into_iter().partition(|&tid| ptrace::take_end(tid));
        ended.extend::<Vec<i32>>(gone);
        tids = left;
    }
    ended
}
