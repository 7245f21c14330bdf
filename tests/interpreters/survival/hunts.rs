//! A hunt is killed while it watches: its guardian's breakpoints are gone soon after.

use std::thread;
use std::time::Duration;

use leakspy::process::descendants::descendants;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;

use super::kills::assert_registers_are_clear;
use crate::support::{Interpreter, Recording, Target, interpreters, wait_until};

/// The number of kills for each way of setting breakpoints.
const KILLS: usize = 8;
/// The latest moment for a kill after watching has begun.
const LAST_MOMENT: Duration = Duration::from_millis(300);

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let trial = |way: &'static str| {
        Trial::test(format!("hunt_killed_{way}::{}", some.name), move || killed(some, way))
    };
    ["perf", "ptrace"].map(trial).into()
}

/// SIGKILL while its guardian watches, alternately to leakspy alone and to its whole process group. The
/// guardian has a session of its own and is not killed.
fn killed(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "leaks", &["dict,list,set,deque,array"]);
    let pid = target.pid().to_string();
    for number in 0..KILLS {
        let hunting = Recording::start_command([
            "hunt",
            "--pid",
            &pid,
            "--duration",
            "2",
            "--breakpoints",
            way,
            "--json",
        ]);
        let hunter = hunting.pid();
        wait_until("it is watched", || {
            let tracers: Vec<i32> =
                target.health().threads.iter().map(|thread| thread.tracer).collect();
            // A process that only captures the heap stops it by itself.
            descendants(hunter.as_raw()).iter().any(|guardian| tracers.contains(guardian))
        });
        thread::sleep(LAST_MOMENT.mul_f64(fastrand::f64()));
        match number % 2 {
            0 => hunting.signal(Signal::SIGKILL),
            _ => hunting.signal_group(Signal::SIGKILL),
        }
        let ended = hunting.end();
        assert_eq!(ended.status.code(), None, "kill {number}: {ended:?}");
        target.assert_healthy();
    }
    assert_registers_are_clear(&target);
    Ok(())
}
