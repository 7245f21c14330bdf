//! The view of live objects: one capture, or two with some time between them.

use std::thread;
use std::time::{Duration, Instant};

use super::{Args, nothing_recorded};
use crate::cli::errors::CommandError;
use crate::cli::errors::advice;
use crate::cli::output;
use crate::cli::processes;
use crate::cli::signals::{Signals, TICK};
use crate::cli::terminal::say;
use crate::inspect::live::{Heavy, live};
use crate::process::Process;
use crate::profile::tracemalloc::TracedError;
use crate::profile::{Profile, process_root};
use crate::python::Python;
use crate::python::objects::Disclosure;
use crate::python::tracemalloc::Traces;
use crate::render::{Heading, Pauses, View};
use crate::source::{CoreFile, Heap, Identity, Source};

/// The live objects of a process and, if wanted, of its children.
pub(super) struct Moment {
    at: Option<Instant>,
    pid: i32,
    /// When the process started: [`Process::started`].
    started: u64,
    command: String,
    python: String,
    profile: Profile,
    /// The objects shown by themselves.
    heavy: Heavy,
    /// How long each process stood still.
    pauses: Vec<Duration>,
}

/// Draws the objects of a process; of one that was just started, from the moment it is a Python.
pub fn record(args: &Args, process: &Process, signals: &Signals) -> Result<(), CommandError> {
    let pid = process.pid();
    if args.target.pid().is_none() {
        wait_for_python(process, signals)?;
    }
    let first = look(args, pid, None)?;
    let Some(duration) = args.duration else {
        return write(args, first, None);
    };
    let began = first.at.unwrap_or_else(Instant::now);
    say(format_args!("Looked once; again in {:.1} s, or on Ctrl-C.", duration.as_secs_f64()));
    let is_over = || signals.came() || began.elapsed() >= duration;
    while !is_over() && process.is_alive() {
        thread::sleep(TICK.min(duration.saturating_sub(began.elapsed())));
    }
    match look(args, pid, Some(&first)) {
        // Another process may have its PID now.
        Ok(second) if second.started == first.started => {
            let between = second.at.unwrap_or(began).duration_since(began);
            write(args, second, Some((first, between)))
        }
        Err(error) if process.is_alive() => Err(error),
        _ => {
            say("It ended before its objects could be looked at again; these are the first.");
            write(args, first, None)
        }
    }
}

/// Draws the objects of a core file.
pub fn record_core(args: &Args, core: &CoreFile) -> Result<(), CommandError> {
    let heap = core.heap()?;
    let traces = if args.born { births(&heap, core.identity().pid) } else { None };
    write(args, Moment::of(core, &heap, traces.as_ref(), None), None)
}

fn wait_for_python(process: &Process, signals: &Signals) -> Result<(), CommandError> {
    while Python::attach(process).is_err_and(|error| !error.is_lasting()) {
        if signals.came() || !process.is_alive() {
            return Err(nothing_recorded(process.pid(), signals));
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// Captures all objects now; shows as many of them by themselves as an earlier capture did.
fn look(args: &Args, pid: i32, earlier: Option<&Moment>) -> Result<Moment, CommandError> {
    let at = Some(Instant::now());
    let (first, others) =
        processes::each(pid, args.children.subprocesses, |pid| look_at_one(args, pid, earlier))?;
    if !args.children.subprocesses {
        return Ok(first);
    }
    let mut all = Moment { at, profile: Profile::new(), pauses: Vec::new(), ..first.headline() };
    for one in [first].into_iter().chain(others) {
        all.profile.merge(one.profile.on_root(&process_root(one.pid, &one.command)));
        all.pauses.extend(one.pauses);
    }
    Ok(all)
}

fn look_at_one(args: &Args, pid: i32, earlier: Option<&Moment>) -> Result<Moment, CommandError> {
    let at = Some(Instant::now());
    let source = processes::open(pid, args.capture_options())?;
    let heap = source.heap()?;
    let found = heap.provenance.inconsistencies;
    // After a pause an inconsistency is only an object that was being created.
    if found > 0 && args.pausing.nonblocking {
        say(format_args!(
            "References or objects that did not fit together in process {pid}: {found}."
        ));
    }
    let traces = if args.born { births(&heap, pid) } else { None };
    Ok(Moment { at, ..Moment::of(&source, &heap, traces.as_ref(), earlier) })
}

/// Where objects were allocated, if tracemalloc was on; otherwise leakspy says that it was off.
fn births(heap: &Heap<'_>, pid: i32) -> Option<Traces> {
    let error = match heap.traces() {
        Ok(Some(traces)) => return Some(traces),
        Ok(None) => TracedError::Off { pid }.into(),
        Err(error) => CommandError::from(error),
    };
    say(format_args!("leakspy: {}", advice::explain(&error, Some(pid))));
    None
}

impl Moment {
    /// The objects of a heap; as many of them by themselves as in an earlier one.
    pub(super) fn of(
        source: &dyn Source,
        heap: &Heap<'_>,
        traces: Option<&Traces>,
        earlier: Option<&Moment>,
    ) -> Moment {
        let heavy = earlier.map_or_else(|| Heavy::of(&heap.analysis), |first| first.heavy);
        let Identity { pid, started, command, version, .. } = source.identity().clone();
        Moment {
            at: None,
            pid,
            started,
            command,
            python: version.to_string(),
            profile: live(&heap.analysis, heap.names(), traces, heavy, Disclosure::default()),
            heavy,
            pauses: vec![heap.provenance.pause],
        }
    }

    /// The process alone, without the objects found.
    fn headline(&self) -> Moment {
        Moment {
            at: self.at,
            pid: self.pid,
            started: self.started,
            heavy: self.heavy,
            command: self.command.clone(),
            python: self.python.clone(),
            profile: Profile::new(),
            pauses: Vec::new(),
        }
    }
}

/// Writes the objects of a moment; if there is an earlier one, what grew and shrank in the time between them.
pub(super) fn write(
    args: &Args,
    moment: Moment,
    earlier: Option<(Moment, Duration)>,
) -> Result<(), CommandError> {
    let mut pauses = moment.pauses;
    let duration = earlier.as_ref().map(|(_, between)| *between);
    pauses.extend(earlier.iter().flat_map(|(first, _)| &first.pauses));
    let total: Duration = pauses.iter().sum();
    let count = u32::try_from(pauses.len()).unwrap_or(u32::MAX);
    let heading = Heading {
        pid: moment.pid,
        command: moment.command,
        python: moment.python,
        view: View::Live,
        duration: duration.unwrap_or_default(),
        samples: pauses.len() as u64,
        pauses: Pauses {
            mean: total.checked_div(count).unwrap_or_default(),
            max: pauses.iter().max().copied().unwrap_or_default(),
            total,
        },
        accuracy: None,
        earlier: earlier.map(|(first, _)| first.profile),
    };
    output::write_all(&moment.profile, &heading, &args.output_spec()?)
}
