//! Waiting for a state or for output, but not for ever: a test that would hang fails instead.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long nothing may happen before a test is abandoned, in seconds.
const PATIENCE: i32 = 180;
/// How often a state is checked.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until there is something to read, or all writers are gone.
#[track_caller]
pub fn wait_until_readable(from: &impl AsFd, whom: &str) {
    let mut waiting = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut waiting, PollTimeout::try_from(PATIENCE * 1000).expect("a short time"))
        .expect("it can be polled");
    assert!(ready > 0, "{whom} was silent for {PATIENCE} s");
}

/// Waits until a state is reached.
#[track_caller]
pub fn wait_until(state: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE as u64);
    while !reached() {
        assert!(Instant::now() < deadline, "after {PATIENCE} s still not so: {state}");
        thread::sleep(LOOK);
    }
}
