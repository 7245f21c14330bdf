//! leakspy on real interpreters. Most tests run once per interpreter found: [`support::cases`] makes a trial
//! of each pair.
//!
//! Trials of a group run side by side, groups one after another: many trials measure time or memory, so the
//! other load must be known. A filter that starts with a group in brackets selects from that group:
//! `cargo test --test interpreters '[hunt] hunt_dict'`.

// A test panics where a result is unexpected, and prints its measurements.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

#[path = "../support/mod.rs"]
mod support;

mod accuracy;
mod advice;
mod bodies;
mod children;
mod columns;
mod containers;
mod cores;
mod cycles;
mod disclosure;
mod dump;
mod dump_details;
mod errors;
mod examples;
mod feeders;
mod finalizers;
mod fixtures;
mod forgotten;
mod functions;
mod growth;
mod heap;
mod heap_command;
mod hunt;
mod identity;
mod known_leaks;
mod live;
mod mem;
mod naming;
mod native_calls;
mod objects;
mod psutil;
mod public_leaks;
mod py_spy;
mod python;
mod recognition;
mod record;
mod removals;
mod report;
mod services;
mod snapshot;
mod source_lines;
mod steps;
mod survival;
mod timeline;
mod traced;
mod values;
mod waste;
mod watch;
mod why;

use std::process::{ExitCode, exit};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

/// Trials that may run side by side.
struct Group {
    name: &'static str,
    trials: fn() -> Vec<Trial>,
    /// How many at a time, unless `--test-threads` says otherwise; by default one per processor.
    at_a_time: Option<usize>,
}

/// The longest group, `hunt`, takes some six minutes on two processors.
const MOST_FOR_A_GROUP: Duration = Duration::from_secs(25 * 60);

/// In the order in which they run: the basis first, then layer by layer.
const GROUPS: &[Group] = &[
    group("fixtures", fixtures::trials),
    group("python", python::trials),
    group("py_spy", py_spy::trials),
    group("dump", dump::trials),
    group("dump_details", dump_details::trials),
    group("source_lines", source_lines::trials),
    group("objects", objects::trials),
    group("values", values::trials),
    group("traced", traced::trials),
    group("heap", heap::trials),
    group("bodies", bodies::trials),
    group("recognition", recognition::trials),
    group("heap_command", heap_command::trials),
    group("live", live::trials),
    group("why", why::trials),
    group("functions", functions::trials),
    group("cycles", cycles::trials),
    group("waste", waste::trials),
    group("snapshot", snapshot::trials),
    group("cores", cores::trials),
    group("report", report::trials),
    group("disclosure", disclosure::trials),
    group("mem", mem::trials),
    group("naming", naming::trials),
    group("columns", columns::trials),
    group("timeline", timeline::trials),
    group("psutil", psutil::trials),
    group("watch", watch::trials),
    // A target and the process that samples or watches it keep two processors busy.
    group("record", record::trials).at_a_time(2),
    // Sampling bends when its target waits for a processor.
    group("accuracy", accuracy::trials).at_a_time(1),
    group("feeders", feeders::trials).at_a_time(2),
    group("identity", identity::trials),
    // A hunt mostly waits.
    group("hunt", hunt::trials).at_a_time(6),
    group("native_calls", native_calls::trials).at_a_time(6),
    group("known_leaks", known_leaks::trials).at_a_time(3),
    group("growth", growth::trials).at_a_time(6),
    group("forgotten", forgotten::trials).at_a_time(6),
    group("advice", advice::trials).at_a_time(6),
    group("removals", removals::trials).at_a_time(6),
    group("steps", steps::trials).at_a_time(4),
    group("children", children::trials).at_a_time(4),
    group("finalizers", finalizers::trials).at_a_time(4),
    group("public", public_leaks::trials).at_a_time(8),
    group("services", services::trials),
    group("examples", examples::trials),
    group("errors", errors::trials),
    group("containers", containers::trials).at_a_time(4),
    group("survival", survival::trials),
];

fn main() -> ExitCode {
    if let Some(request) = feeders::request_to_watch() {
        feeders::watch_until_killed(&request);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let failed: Vec<&str> = GROUPS
        .iter()
        .filter(|group| group.has_failed(&arguments))
        .map(|group| group.name)
        .collect();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("failures in: {}", failed.join(", "));
    ExitCode::from(101)
}

const fn group(name: &'static str, trials: fn() -> Vec<Trial>) -> Group {
    Group { name, trials, at_a_time: None }
}

impl Group {
    const fn at_a_time(self, number: usize) -> Group {
        Group { at_a_time: Some(number), ..self }
    }

    /// Runs the trials that the arguments select, if there are any.
    fn has_failed(&self, arguments: &Arguments) -> bool {
        let trials: Vec<Trial> =
            (self.trials)().into_iter().map(|trial| trial.with_kind(self.name)).collect();
        if trials.iter().all(|trial| arguments.is_filtered_out(trial)) {
            return false;
        }
        let test_threads = arguments.test_threads.or(self.at_a_time);
        let _watchdog = self.watchdog();
        libtest_mimic::run(&Arguments { test_threads, ..arguments.clone() }, trials).has_failed()
    }

    /// Ends this program if the group takes several times as long as it should, unless the returned sender is
    /// dropped first: a trial that hangs, which leakspy must not do, fails soon and visibly.
    fn watchdog(&self) -> Sender<()> {
        let (done, is_done) = channel();
        let name = self.name;
        thread::spawn(move || {
            if is_done.recv_timeout(MOST_FOR_A_GROUP) == Err(RecvTimeoutError::Timeout) {
                eprintln!("[{name}] hangs: the trials that it has not told of have not ended");
                exit(101);
            }
        });
        done
    }
}
