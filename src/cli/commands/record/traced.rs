//! `--view traced`: the tables of tracemalloc, read in one capture. Exact.

use std::thread;
use std::time::{Duration, Instant};

use super::Args;
use crate::cli::errors::CommandError;
use crate::cli::errors::advice;
use crate::cli::output;
use crate::cli::signals::{Signals, TICK};
use crate::cli::terminal::say;
use crate::process::Process;
use crate::process::descendants::descendants;
use crate::profile::tracemalloc::{Traced, TracedError};

/// Waits for the given time, and records the live blocks at its end.
pub fn record(args: &Args, process: &Process, signals: &Signals) -> Result<(), CommandError> {
    if let Some(duration) = args.duration {
        wait(duration, process, signals);
    }
    let traced =
        if args.children.subprocesses { family(process)? } else { Traced::of(process, false)? };
    output::write_traced(&traced, &args.output_spec()?)
}

/// Waits until the time is over, a signal comes or the target ends.
fn wait(duration: Duration, process: &Process, signals: &Signals) {
    say(format_args!("Waiting {:.1} s; Ctrl-C to look now.", duration.as_secs_f64()));
    let begun = Instant::now();
    loop {
        let left = duration.saturating_sub(begun.elapsed());
        if left.is_zero() || signals.came() || !process.is_alive() {
            return;
        }
        thread::sleep(left.min(TICK));
    }
}

/// Records the process and its descendants, as far as they are Pythons with tracemalloc on. The others are
/// reported; if there are only others, returns the error of the first.
fn family(first: &Process) -> Result<Traced, CommandError> {
    let mut all: Option<Traced> = None;
    let mut refusals: Vec<(i32, CommandError)> = Vec::new();
    let mut take = |pid, traced: Result<Traced, TracedError>| match (traced, &mut all) {
        (Ok(traced), Some(all)) => all.merge(traced),
        (Ok(traced), None) => all = Some(traced),
        (Err(error), _) => refusals.push((pid, error.into())),
    };
    take(first.pid(), Traced::of(first, true));
    for pid in descendants(first.pid()) {
        let traced = Process::open(pid).map_err(TracedError::from);
        take(pid, traced.and_then(|process| Traced::of(&process, true)));
    }
    let Some(all) = all else {
        // A shell that starts the Pythons is not worth an error.
        let pythons = refusals.iter().position(|(_, error)| !error.is_not_python());
        return Err(refusals.swap_remove(pythons.unwrap_or_default()).1);
    };
    for (pid, error) in refusals.iter().filter(|(_, error)| !error.is_not_python()) {
        say(format_args!("leakspy: {}", advice::explain(error, Some(*pid))));
    }
    Ok(all)
}
