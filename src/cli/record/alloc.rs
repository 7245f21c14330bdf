//! `--view alloc`: samples allocations for a while, or stacks where nothing may be paused.

use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::{Args, Signals, TICK};
use crate::cli::progress::Progress;
use crate::cli::{advice, output, say};
use crate::profile::recorder::Options;
use crate::profile::recording::{Recorded, Recording};
use crate::profile::stack_recorder::StackRecorder;
use crate::target::Process;

const NOTHING_SAMPLED: &str = "it ended before a Python in it could be recorded";

/// Records a process. One that we have just started is waited for until it is a Python.
pub fn record(args: &Args, process: Process, signals: &Signals) -> anyhow::Result<()> {
    if args.nonblocking {
        return record_stacks(args, process, signals);
    }
    let recording = match args.target.pid {
        Some(_) => Recording::attach(process, options(args), args.subprocesses)?,
        None => Recording::expect(process, options(args), args.subprocesses),
    };
    let recorded = sample(args, recording, signals)?.context(NOTHING_SAMPLED)?;
    output::write_recorded(&recorded, args)
}

/// What is sampled.
fn options(args: &Args) -> Options {
    Options {
        rate: f64::from(args.rate),
        way: args.breakpoints.way(),
        threads: args.threads,
        processes: args.subprocesses,
    }
}

/// Samples until the time is over, a signal comes or the target ends.
fn sample(
    args: &Args,
    mut recording: Recording,
    signals: &Signals,
) -> anyhow::Result<Option<Recorded>> {
    let progress = Progress::begin();
    while !recording.is_over() {
        recording.step(TICK)?;
        for (pid, error) in recording.refusals() {
            progress.say(&advice::explain(&error.into(), Some(pid)));
        }
        let Some(elapsed) = recording.elapsed() else {
            if signals.came() {
                recording.stop();
            }
            continue;
        };
        progress.show(elapsed, &recording);
        if signals.came() || args.duration.is_some_and(|duration| elapsed >= duration) {
            recording.stop();
        }
    }
    progress.clear();
    Ok(recording.finish())
}

/// Records stacks without ever pausing the process.
fn record_stacks(args: &Args, process: Process, signals: &Signals) -> anyhow::Result<()> {
    say(
        "Without pauses only stacks are recorded: which code has the interpreter, and nothing about \
         memory. A stack that changed while it was read may be wrong.",
    );
    let mut stacks = StackRecorder::start(process)?;
    let pace = Duration::from_secs(1) / args.rate;
    while !signals.came() && args.duration.is_none_or(|duration| stacks.elapsed() < duration) {
        if !stacks.sample()? {
            break;
        }
        thread::sleep(pace);
    }
    output::write_stacks(stacks, args)
}
