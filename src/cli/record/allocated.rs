//! The view of what is allocated: samples for a while, or stacks where nothing may be paused.

use std::thread;
use std::time::Duration;

use anyhow::anyhow;

use super::Args;
use crate::cli::progress::Progress;
use crate::cli::signals::{Signals, TICK};
use crate::cli::{advice, output, say};
use crate::profile::recording::Recording;
use crate::profile::stack_recorder::StackRecorder;
use crate::target::{Process, ProcessError};

/// Records a process that runs.
pub fn of_process(args: &Args, pid: i32, signals: &Signals) -> anyhow::Result<()> {
    let process = Process::open(pid)?;
    if args.nonblocking {
        let stacks = StackRecorder::attach(process, args.stack_options())?;
        return record_stacks(args, pid, stacks, signals);
    }
    let recording = Recording::attach(process, args.options(), args.subprocesses)?;
    record_allocations(args, pid, recording, signals)
}

/// Records a process that was just started.
pub fn of_child(args: &Args, pid: i32, signals: &Signals) -> anyhow::Result<()> {
    let process = match Process::open(pid) {
        // Nobody else would have waited for it.
        Err(ProcessError::Zombie { .. }) => return Err(nothing_recorded(pid, signals)),
        opened => opened?,
    };
    if args.nonblocking {
        let stacks = StackRecorder::expect(&process, args.stack_options());
        return record_stacks(args, pid, stacks, signals);
    }
    let recording = Recording::expect(&process, args.options(), args.subprocesses);
    record_allocations(args, pid, recording, signals)
}

/// Why there is nothing, not even an empty recording.
pub fn nothing_recorded(pid: i32, signals: &Signals) -> anyhow::Error {
    let what = if signals.came() { "did not become" } else { "ended before it became" };
    anyhow!("Process {pid} {what} a Python that could be recorded.")
}

/// Samples until the time is over, a signal comes or the target ends.
fn record_allocations(
    args: &Args,
    pid: i32,
    mut recording: Recording,
    signals: &Signals,
) -> anyhow::Result<()> {
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
        progress.show(elapsed, recording.processes(), recording.samples(), recording.mean_pause());
        if signals.came() || args.duration.is_some_and(|duration| elapsed >= duration) {
            recording.stop();
        }
    }
    progress.clear();
    let recorded = recording.finish().ok_or_else(|| nothing_recorded(pid, signals))?;
    output::write_recorded(&recorded, args)
}

/// Records stacks without ever pausing the process.
fn record_stacks(
    args: &Args,
    pid: i32,
    mut stacks: StackRecorder,
    signals: &Signals,
) -> anyhow::Result<()> {
    say(
        "Without pauses only stacks are recorded: which code has the interpreter, and nothing about \
         memory. A stack that changed while it was read may be wrong.",
    );
    let pace = Duration::from_secs(1) / args.rate;
    let progress = Progress::begin();
    while stacks.sample()? && !signals.came() {
        for (pid, error) in stacks.refusals() {
            progress.say(&advice::explain(&error.into(), Some(pid)));
        }
        let Some(elapsed) = stacks.elapsed() else {
            thread::sleep(pace.min(TICK));
            continue;
        };
        progress.show(elapsed, stacks.processes(), stacks.samples(), Duration::ZERO);
        if args.duration.is_some_and(|duration| elapsed >= duration) {
            break;
        }
        thread::sleep(pace);
    }
    progress.clear();
    let recorded = stacks.finish().ok_or_else(|| nothing_recorded(pid, signals))?;
    output::write_stacks(&recorded, args)
}
