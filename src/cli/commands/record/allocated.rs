//! The view of allocations: samples for a while, or stacks where nothing may be paused.

use std::thread;
use std::time::Duration;

use super::{Args, nothing_recorded};
use crate::cli::errors::CommandError;
use crate::cli::errors::advice;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::signals::{Signals, TICK};
use crate::cli::terminal::say;
use crate::guardian::Program;
use crate::process::Process;
use crate::profile::recording::Recording;
use crate::profile::stack_recorder::StackRecorder;

/// Records a process; one that was just started, from the moment it is a Python.
pub fn record(
    args: &Args,
    process: Process,
    signals: &Signals,
    guardian: &Program,
) -> Result<(), CommandError> {
    let pid = process.pid();
    let runs = args.target.pid().is_some();
    if args.pausing.nonblocking {
        let stacks = match runs {
            true => StackRecorder::attach(process, args.stack_options())?,
            false => StackRecorder::expect(&process, args.stack_options()),
        };
        return record_stacks(args, pid, stacks, signals);
    }
    let options = args.options(guardian);
    let recording = match runs {
        true => Recording::attach(process, options, args.children.subprocesses)?,
        false => Recording::expect(&process, options, args.children.subprocesses),
    };
    record_allocations(args, pid, recording, signals)
}

/// Samples until the time is over, a signal comes or the target ends.
fn record_allocations(
    args: &Args,
    pid: i32,
    mut recording: Recording,
    signals: &Signals,
) -> Result<(), CommandError> {
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
    output::write_recorded(&recorded, &args.output_spec()?)
}

/// Records stacks without ever pausing the process.
fn record_stacks(
    args: &Args,
    pid: i32,
    mut stacks: StackRecorder,
    signals: &Signals,
) -> Result<(), CommandError> {
    say(
        "Without pauses only stacks are recorded: which code has the interpreter, and nothing about \
         memory. A stack that changed while it was read may be wrong.",
    );
    let pace = Duration::from_secs(1) / args.rate();
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
    output::write_stacks(&recorded, &args.output_spec()?)
}
