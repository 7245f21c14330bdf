//! Signals to the target all arrive, and stop or wake it as usual.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::support::{
    Health, Interpreter, Recorded, Recording, Target, cases, interpreters, wait_until,
    wait_until_readable,
};

/// Long enough for a stopped target to show whether it runs all the same.
const A_WHILE: Duration = Duration::from_millis(300);

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in ["perf", "ptrace"] {
        trials.extend(cases(&format!("signals_{way}"), move |interpreter| {
            every_signal_arrives(interpreter, way)
        }));
        trials.extend(cases(&format!("stopped_{way}"), move |interpreter| {
            a_stop_lasts_until_it_is_over(interpreter, way)
        }));
    }
    trials.push(Trial::test("stopped_in_a_pause", a_stop_of_leakspy_waits_for_the_end_of_a_pause));
    trials.extend(cases("suspended", a_leakspy_that_is_stopped_does_not_stop_the_target));
    trials
}

/// SIGUSR1 a thousand times a second, and real-time signals, which queue; also while leakspy lets go, by
/// itself or because it is killed.
fn every_signal_arrives(interpreter: &'static Interpreter, way: &str) -> Result<(), Failed> {
    let mut listener = Listener::start(interpreter);
    for end in [Signal::SIGINT, Signal::SIGKILL] {
        let mut recording = listener.record(way);
        recording.wait_until_begun();
        for _ in 0..1000 {
            listener.send_and_hear(libc::SIGUSR1);
            thread::sleep(Duration::from_millis(1));
        }
        let real_time = libc::SIGRTMIN() + 1;
        for _ in 0..500 {
            listener.send(real_time);
        }
        recording.signal(end);
        for _ in 0..500 {
            listener.send(real_time);
            thread::sleep(Duration::from_micros(100));
        }
        recording.end();
        for _ in 0..1000 {
            assert_eq!(listener.hear(), real_time);
        }
        listener.assert_healthy();
    }
    Ok(())
}

/// A stopped target stays stopped, even when leakspy ends, and continues when told to.
fn a_stop_lasts_until_it_is_over(
    interpreter: &'static Interpreter,
    way: &str,
) -> Result<(), Failed> {
    let mut listener = Listener::start(interpreter);
    for end in [Signal::SIGINT, Signal::SIGKILL] {
        let mut recording = listener.record(way);
        recording.wait_until_begun();
        listener.stop();
        listener.assert_stays_stopped();
        listener.go_on();
        listener.stop();
        recording.signal(end);
        let recorded = recording.end();
        assert_eq!(recorded.status.success(), end == Signal::SIGINT, "{recorded:?}");
        listener.assert_stays_stopped();
        assert!(!listener.target.health().is_traced());
        listener.go_on();
        listener.assert_healthy();
    }
    Ok(())
}

/// Ctrl-Z: the target's tracer must not wait for leakspy.
fn a_leakspy_that_is_stopped_does_not_stop_the_target(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut listener = Listener::start(interpreter);
    let mut recording = listener.record("auto");
    recording.wait_until_begun();
    recording.signal(Signal::SIGSTOP);
    // Long enough to fill every pipe with reports that are not read.
    for _ in 0..3000 {
        listener.send_and_hear(libc::SIGUSR1);
        thread::sleep(Duration::from_millis(1));
    }
    recording.signal(Signal::SIGCONT);
    recording.signal(Signal::SIGINT);
    let recorded: Recorded = recording.end();
    recorded.assert_success();
    listener.assert_healthy();
    Ok(())
}

/// SIGSTOP in the middle of a capture: the target goes on at once, leakspy is stopped after that.
fn a_stop_of_leakspy_waits_for_the_end_of_a_pause() -> Result<(), Failed> {
    /// How often leakspy must be caught in a pause, and how often that is tried.
    const CAUGHT: usize = 3;
    const TRIES: usize = 60;
    /// For how long the capture may go on after that, on a busy machine. It takes a tenth of a second.
    const SOON: Duration = Duration::from_secs(5);
    let interpreter = interpreters().first().ok_or("no interpreter")?;
    let mut target = Target::start(interpreter, "heap_of", &["300000"]);
    let pid = target.pid().to_string();
    let mut caught = 0;
    for _ in 0..TRIES {
        let heap = Recording::start_command(["heap", "--quick", "--pid", &pid]);
        while !target.health().is_traced() && Health::of(heap.pid().as_raw()).alive {}
        let is_in_a_pause = target.health().is_traced();
        heap.signal(Signal::SIGSTOP);
        let since = Instant::now();
        while target.health().is_traced() {
            assert!(since.elapsed() < SOON, "the target stands still as long as leakspy");
        }
        if is_in_a_pause {
            wait_until("leakspy is stopped or over", || {
                let health = Health::of(heap.pid().as_raw());
                health.is_stopped() || !health.alive
            });
            caught += 1;
        }
        heap.signal(Signal::SIGCONT);
        heap.end().assert_success();
        target.assert_healthy();
        if caught == CAUGHT {
            return Ok(());
        }
    }
    Err(format!("caught in a pause only {caught} times").into())
}

/// `signals.py`, and the FIFO in which it reports each signal.
struct Listener {
    target: Target,
    fifo: File,
    _scratch: TempDir,
}

impl Listener {
    fn start(interpreter: &Interpreter) -> Listener {
        let scratch = interpreter.scratch();
        let path = scratch.path().join("signals");
        mkfifo(&path, Mode::S_IRWXU).expect("a FIFO can be made");
        // Does not wait for a writer, which could not exist before its reader.
        let fifo = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let fifo = fifo.expect("it can be read");
        let inside = interpreter.inside(&path);
        let target = Target::start(interpreter, "signals", &[inside.to_str().expect("UTF-8")]);
        Listener { target, fifo, _scratch: scratch }
    }

    fn record(&self, way: &str) -> Recording {
        let options = ["--breakpoints", way, "--format", "json", "--output", "/dev/null"];
        Recording::attach(self.target.pid(), &options)
    }

    fn send(&self, signal: i32) {
        // nix has no real-time signals.
        // SAFETY: integers only.
        let result = unsafe { libc::kill(self.target.pid(), signal) };
        assert_eq!(result, 0, "the target is there");
    }

    /// The number of the next signal that was delivered.
    fn hear(&mut self) -> i32 {
        wait_until_readable(&self.fifo, "the target's signal handler");
        let mut number = [0];
        self.fifo.read_exact(&mut number).expect("the target is there to write");
        number[0].into()
    }

    fn send_and_hear(&mut self, signal: i32) {
        self.send(signal);
        assert_eq!(self.hear(), signal);
    }

    /// Sends SIGSTOP and waits until it has taken effect. All threads may be seen stopped earlier: in the middle
    /// of a burst leakspy holds them, too, and lets them go on to the stop.
    fn stop(&self) {
        self.send(libc::SIGSTOP);
        wait_until("it is stopped", || {
            let before = self.target.health();
            thread::sleep(A_WHILE);
            let after = self.target.health();
            before.is_stopped() && after.is_stopped() && after.ran == before.ran
        });
    }

    fn assert_stays_stopped(&self) {
        let before = self.target.health();
        thread::sleep(A_WHILE);
        let after = self.target.health();
        assert!(after.is_stopped(), "{after:?}");
        assert_eq!(after.ran, before.ran);
    }

    fn go_on(&mut self) {
        self.send(libc::SIGCONT);
        self.wait_for_rounds();
    }

    fn assert_healthy(&mut self) {
        self.target.assert_healthy();
        self.wait_for_rounds();
    }

    /// Waits until both threads have allocated more.
    fn wait_for_rounds(&mut self) {
        let rounds = |target: &mut Target| {
            let rounds = target.ask("rounds");
            [rounds["main"].as_u64(), rounds["deaf"].as_u64()]
        };
        let before = rounds(&mut self.target);
        wait_until("both threads go on", || {
            rounds(&mut self.target).iter().zip(&before).all(|(now, then)| now > then)
        });
    }
}
