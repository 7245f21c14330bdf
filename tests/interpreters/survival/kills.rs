//! leakspy is killed, or told to end, at any moment.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Interpreter, Recording, Target, cases, interpreters, wait_until};

/// The number of random moments for each way of setting breakpoints, over all interpreters.
const MOMENTS: usize = 200;
/// The latest of them. Half of them are counted from the start, to cover attaching, and half from the
/// beginning of sampling, however long that took.
const LAST_MOMENT: Duration = Duration::from_millis(300);
/// The seed of the moments; set in the environment to repeat them.
static SEED: LazyLock<u64> = LazyLock::new(|| {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("random moments with SEED={seed}");
    seed
});

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in ["perf", "ptrace"] {
        trials.extend(cases(&format!("killed_{way}"), move |interpreter| {
            killed_at_random_moments(interpreter, way)
        }));
        for (name, signal) in [("interrupted", Signal::SIGINT), ("terminated", Signal::SIGTERM)] {
            trials.extend(cases(&format!("{name}_{way}"), move |interpreter| {
                told_to_end(interpreter, way, signal)
            }));
        }
    }
    trials
}

/// SIGKILL, alternately to leakspy alone and to its whole process group.
fn killed_at_random_moments(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let number = interpreters().iter().position(|other| other.name == interpreter.name);
    let mut random = fastrand::Rng::with_seed(SEED.wrapping_add(number.unwrap_or(0) as u64));
    let mut busy = Busy::start(interpreter);
    let moments = MOMENTS.div_ceil(interpreters().len());
    for moment in 0..moments {
        let delay = LAST_MOMENT.mul_f64(random.f64());
        let mut recording = Recording::attach(
            busy.target.pid(),
            &["--breakpoints", way, "--format", "json", "--output", "/dev/null"],
        );
        if moment % 4 < 2 {
            recording.wait_until_begun();
        }
        thread::sleep(delay);
        if moment % 2 == 0 {
            recording.signal(Signal::SIGKILL);
        } else {
            recording.signal_group(Signal::SIGKILL);
        }
        let recorded = recording.end();
        assert_eq!(recorded.status.code(), None, "moment {moment}, {delay:?}: {recorded:?}");
        busy.assert_healthy();
    }
    assert_registers_are_clear(&busy.target);
    Ok(())
}

/// SIGINT or SIGTERM: the recording so far is written.
fn told_to_end(interpreter: &'static Interpreter, way: &str, signal: Signal) -> Result<(), Failed> {
    let mut busy = Busy::start(interpreter);
    let output = busy.scratch.path().join("profile.json");
    let mut recording = Recording::attach(
        busy.target.pid(),
        &["--breakpoints", way, "--format", "json", "--output", output.to_str().expect("UTF-8")],
    );
    recording.wait_until_begun();
    // Work for about a second when it is not recorded: the first burst comes after 20 ms on average.
    busy.wait_for_rounds(20_000);
    recording.signal(signal);
    recording.end().assert_success();
    let profile: Value = serde_json::from_slice(&fs::read(&output)?)?;
    assert!(profile["samples"].as_u64() > Some(0), "{profile}");
    busy.assert_healthy();
    assert_registers_are_clear(&busy.target);
    Ok(())
}

/// `busy.py`, which counts its work in memory that can be read without asking.
struct Busy {
    target: Target,
    scratch: TempDir,
}

impl Busy {
    fn start(interpreter: &Interpreter) -> Busy {
        let scratch = interpreter.scratch();
        let counters = interpreter.inside(&scratch.path().join("counters"));
        let counters = counters.to_str().expect("a plain path");
        let target = Target::start(interpreter, "busy", &[counters, "--threads", "3"]);
        Busy { target, scratch }
    }

    /// Nothing holds or traces it, it answers, and each of its threads still allocates.
    fn assert_healthy(&mut self) {
        self.target.assert_healthy();
        self.wait_for_rounds(5);
    }

    /// Waits until each thread has done this many more rounds, of some hundred allocations each.
    fn wait_for_rounds(&self, rounds: u64) {
        let counters = self.scratch.path().join("counters");
        let before = counts(&counters);
        wait_until("each thread works on", || {
            let health = self.target.health();
            assert!(health.alive, "the target died");
            counts(&counters).iter().zip(&before).all(|(now, then)| *now >= then + rounds)
        });
    }
}

fn counts(counters: &Path) -> Vec<u64> {
    let bytes = fs::read(counters).expect("the counters are readable");
    bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect()
}

/// Reads the registers themselves: only ptrace's own, because perf events have others.
#[cfg(target_arch = "x86_64")]
pub fn assert_registers_are_clear(target: &Target) {
    use leakspy::process::ptrace;
    const CONTROL: usize = 7;
    for thread in target.health().threads {
        let tid = thread.tid;
        ptrace::seize(tid).expect("nobody else traces it");
        ptrace::interrupt(tid).expect("it is traced");
        ptrace::wait(Some(tid), true).expect("it stops");
        assert_eq!(ptrace::debug_register(tid, CONTROL).expect("it is stopped"), 0, "{tid}");
        ptrace::detach(tid, 0).expect("it is stopped");
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn assert_registers_are_clear(_: &Target) {}
