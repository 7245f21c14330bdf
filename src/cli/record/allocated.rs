//! The view of what is allocated: samples for a while, or stacks where nothing may be paused.

use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::Args;
use crate::cli::progress::Progress;
use crate::cli::signals::{Signals, TICK};
use crate::cli::{advice, output, say};
use crate::profile::recording::{Recorded, Recording};
use crate::profile::stack_recorder::StackRecorder;
use crate::target::Process;

/// Records a process that runs.
pub fn of_process(args: &Args, pid: i32, signals: &Signals) -> anyhow::Result<()> {
    let process = Process::open(pid)?;
    if args.nonblocking {
        let stacks = StackRecorder::attach(process, args.stack_options())?;
        return record_stacks(args, stacks, signals);
    }
    let recording = Recording::attach(process, args.options(), args.subprocesses)?;
    record_allocations(args, recording, signals)
}

/// Records a process that was just started.
pub fn of_child(args: &Args, pid: i32, signals: &Signals) -> anyhow::Result<()> {
    let process = Process::open(pid)?;
    if args.nonblocking {
        let stacks = StackRecorder::expect(&process, args.stack_options());
        return record_stacks(args, stacks, signals);
    }
    let recording = Recording::expect(&process, args.options(), args.subprocesses);
    record_allocations(args, recording, signals)
}

fn record_allocations(args: &Args, recording: Recording, signals: &Signals) -> anyhow::Result<()> {
    let recorded = sample(args, recording, signals)?.context(NOTHING_SAMPLED)?;
    output::write_recorded(&recorded, args)
}

const NOTHING_SAMPLED: &str = "it ended before a Python in it could be recorded";

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
        progress.show(elapsed, recording.processes(), recording.samples(), recording.mean_pause());
        if signals.came() || args.duration.is_some_and(|duration| elapsed >= duration) {
            recording.stop();
        }
    }
    progress.clear();
    Ok(recording.finish())
}

/// Records stacks without ever pausing the process.
fn record_stacks(args: &Args, mut stacks: StackRecorder, signals: &Signals) -> anyhow::Result<()> {
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
    output::write_stacks(&stacks.finish().context(NOTHING_SAMPLED)?, args)
}
